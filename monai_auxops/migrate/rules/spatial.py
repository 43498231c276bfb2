"""Transforms that change the grid: resampling, flips, rotations, zooms."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import A, Call, Each, F, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import (
    FIELD,
    FIELDS,
    IMAGE_FIELD,
    IS_LABEL,
    KEY,
    KEYS,
    LABEL_FIELD,
    PAIR,
    linear,
    modes,
    prob,
    radians,
)
from monai_auxops.migrate.rules.kinds import flag, integer, integers, number, numbers, text

_SPACING_MODE = A("is_label", lambda label: "nearest" if label else "bilinear")
_RESIZE_MODE = F(lambda c: "nearest" if c["is_label"] else linear(c), uses=("is_label",))


def _spacing(name: str, argument: str) -> Rule:
    return Rule(
        name,
        Section.TRANSFORM,
        (FIELDS, Param(argument, kind=numbers), IS_LABEL),
        (T("Spacingd", keys=KEYS, pixdim=A(argument), mode=_SPACING_MODE),),
        Outcome.APPROXIMATE,
        "Another resampler: voxels at the border and the size of the result may differ by one.",
        "Resamples to a voxel size in millimetres.",
    )


def _zoom_modes(call: Call) -> list[str]:
    return [linear(call), "nearest"]


def _plane_angle(call: Call) -> Any:
    angle = radians(call["angle"])
    return angle if call.facts.spatial_dims == 2 else [0.0, 0.0, angle]


def _spatial_shape(call: Call) -> Any:
    """Clara's shape may name the channels too, on the side where they stood."""
    shape = call["target_shape"]
    if len(shape) <= call.facts.spatial_dims:
        return shape
    return shape[:-1] if call.facts.channels_last else shape[1:]


SPATIAL: Final = (
    _spacing("ScaleByResolution", "target_resolution"),
    _spacing("ScaleBySpacing", "target_spacing"),
    Rule(
        "ScaleByFactor",
        Section.TRANSFORM,
        (FIELDS, Param("factor", kind=numbers), IS_LABEL),
        (
            T(
                "Zoomd",
                keys=KEYS,
                zoom=A("factor", lambda factor: factor[0] if len(factor) == 1 else factor),
                mode=_RESIZE_MODE,
                keep_size=False,
            ),
        ),
        Outcome.APPROXIMATE,
        "Another interpolation.",
        "Scales the image by a factor.",
    ),
    Rule(
        "ScaleToShape",
        Section.TRANSFORM,
        (FIELDS, Param("target_shape", kind=integers), IS_LABEL),
        (T("Resized", keys=KEYS, spatial_size=F(_spatial_shape, uses=("target_shape",)), mode=_RESIZE_MODE),),
        Outcome.APPROXIMATE,
        "Another interpolation.",
        "Scales the image to a shape.",
    ),
    Rule(
        "RestoreOriginalShape",
        Section.TRANSFORM,
        (FIELD, Param("src_field", "image", text), IS_LABEL),
        (
            T(
                "Invertd",
                keys=KEY,
                transform=Expr("@preprocessing"),
                orig_keys=A("src_field"),
                nearest_interp=A("is_label"),
                to_tensor=True,
            ),
        ),
        Outcome.APPROXIMATE,
        "MONAI inverts all spatial transforms of the image, crops and orientation too.",
        "Scales the prediction back to the shape of the image file.",
    ),
    Rule(
        "RandomAxisFlip",
        Section.TRANSFORM,
        (FIELDS, prob()),
        (T("RandAxisFlipd", keys=KEYS, prob=A("probability")),),
        Outcome.APPROXIMATE,
        "One random axis at a time, as inferred from the name.",
        "Flips along a random axis.",
    ),
    Rule(
        "RandomSpatialFlip",
        Section.TRANSFORM,
        (FIELDS, prob()),
        (
            Each(
                F(lambda c: range(c.facts.spatial_dims)),
                lambda axis: T("RandFlipd", keys=KEYS, prob=A("probability"), spatial_axis=axis),
            ),
        ),
        Outcome.APPROXIMATE,
        "Each axis on its own with probability 0.5, as inferred from the name.",
        "Flips along random axes.",
        also=("FlipAxisRandom",),
        open=True,
    ),
    Rule(
        "RandomRotate2D",
        Section.TRANSFORM,
        (FIELDS, Param("angle", 0.0, number), Param("is_random", True, flag)),
        (
            T(
                "RandRotated",
                when=lambda c: c["is_random"],
                keys=KEYS,
                range_x=A("angle", radians),
                prob=1.0,
                mode=modes("bilinear"),
            ),
            T(
                "Rotated",
                when=lambda c: not c["is_random"],
                keys=KEYS,
                angle=F(_plane_angle, uses=("angle",)),
                mode=modes("bilinear"),
            ),
        ),
        Outcome.APPROXIMATE,
        "The angle is read as degrees to either side; images linear, labels nearest.",
        "Rotates in the plane.",
        open=True,
    ),
    Rule(
        "RandomRotate3D",
        Section.TRANSFORM,
        (FIELDS, prob()),
        (T("RandRotate90d", keys=KEYS, prob=A("probability"), max_k=3),),
        Outcome.APPROXIMATE,
        "Multiples of 90 degrees in the first two axes; Clara's axes are not documented.",
        "Rotates a volume at random.",
        open=True,
    ),
    Rule(
        "RandomZoom",
        Section.TRANSFORM,
        (
            IMAGE_FIELD,
            LABEL_FIELD,
            Param("lower_limits", [0.9], numbers),
            Param("upper_limits", [1.1], numbers),
            Param("keep_size", True, flag, note="the bundle keeps the size, which batches need"),
            prob(1.0),
        ),
        (
            T(
                "RandZoomd",
                keys=PAIR,
                prob=A("probability"),
                min_zoom=A("lower_limits"),
                max_zoom=A("upper_limits"),
                mode=F(_zoom_modes),
            ),
        ),
        Outcome.APPROXIMATE,
        "Another interpolation; image linear, label nearest, and the size is kept.",
        "Zooms image and label by a random factor per axis.",
        open=True,
    ),
    Rule(
        "SymmetricPadderDiv",
        Section.TRANSFORM,
        (FIELDS, Param("div_int", kind=integer)),
        (T("DivisiblePadd", keys=KEYS, k=A("div_int"), method="symmetric"),),
        Outcome.EXACT,
        "The same, with zeros on both sides.",
        "Pads until every side is divisible.",
    ),
)
