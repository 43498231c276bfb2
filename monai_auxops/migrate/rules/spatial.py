"""Transforms that change the grid: resampling, flips, rotations, zooms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import Caveat, Each, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import (
    FIELD,
    FIELDS,
    IMAGE_FIELD,
    IS_LABEL,
    KEY,
    KEYS,
    LABEL_FIELD,
    MODES,
    PAIR,
    linear,
    prob,
    radians,
)
from monai_auxops.migrate.rules.kinds import flag, integer, integers, number, numbers, text
from monai_auxops.migrate.rules.values import OMIT, A, F

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts

_SPACING_MODE = A("is_label", lambda label: "nearest" if label else "bilinear")
_RESIZE_MODE = F(lambda is_label, facts: "nearest" if is_label else linear(facts))


def _spacing(name: str, argument: str) -> Rule:
    return Rule(
        name=name,
        section=Section.TRANSFORM,
        params=(FIELDS, Param(argument, kind=numbers), IS_LABEL),
        targets=(T("Spacingd", keys=KEYS, pixdim=A(argument), mode=_SPACING_MODE),),
        outcome=Outcome.APPROXIMATE,
        why="Another resampler: voxels at the border and the size of the result may differ by one.",
        clara="Resamples to a voxel size in millimeters.",
    )


def _zoom_modes(facts: Facts) -> list[str]:
    return [linear(facts), "nearest"]


def _flipped_axes(axis: Any, facts: Facts) -> list[int]:
    wanted = range(facts.spatial_dims) if axis is OMIT else axis
    return [index for index in wanted if 0 <= index < facts.spatial_dims]


def _plane_angle(angle: float, facts: Facts) -> Any:
    return radians(angle) if facts.spatial_dims == 2 else [0.0, 0.0, radians(angle)]


def _spatial_shape(target_shape: list[int], facts: Facts) -> Any:
    """Clara's shape may name the channels too, on the side where they stood."""
    if len(target_shape) <= facts.spatial_dims:
        return target_shape
    return target_shape[:-1] if facts.channels_last else target_shape[1:]


SPATIAL: Final = (
    _spacing("ScaleByResolution", "target_resolution"),
    _spacing("ScaleBySpacing", "target_spacing"),
    Rule(
        name="ScaleByFactor",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("factor", kind=numbers), IS_LABEL),
        targets=(
            T(
                "Zoomd",
                keys=KEYS,
                zoom=A("factor", lambda factor: factor[0] if len(factor) == 1 else factor),
                mode=_RESIZE_MODE,
                keep_size=False,
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="Another interpolation.",
        clara="Scales the image by a factor.",
    ),
    Rule(
        name="ScaleToShape",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("target_shape", kind=integers), IS_LABEL),
        targets=(T("Resized", keys=KEYS, spatial_size=F(_spatial_shape), mode=_RESIZE_MODE),),
        outcome=Outcome.APPROXIMATE,
        why="Another interpolation.",
        clara="Scales the image to a shape.",
    ),
    Rule(
        name="RestoreOriginalShape",
        section=Section.TRANSFORM,
        params=(FIELD, Param("src_field", "image", text), IS_LABEL),
        targets=(
            T(
                "Invertd",
                keys=KEY,
                transform=Expr("@preprocessing"),
                orig_keys=A("src_field"),
                nearest_interp=A("is_label"),
                to_tensor=True,
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="MONAI inverts all spatial transforms of the image, including crops and orientation.",
        clara="Scales the prediction back to the shape of the image file.",
    ),
    Rule(
        name="RandomAxisFlip",
        section=Section.TRANSFORM,
        params=(FIELDS, prob()),
        targets=(T("RandAxisFlipd", keys=KEYS, prob=A("probability")),),
        outcome=Outcome.APPROXIMATE,
        why="One random axis at a time, as inferred from the name.",
        clara="Flips along a random axis.",
    ),
    Rule(
        name="RandomSpatialFlip",
        section=Section.TRANSFORM,
        params=(FIELDS, prob(), Param("axis", OMIT, integers)),
        targets=(
            Each(
                F(_flipped_axes),
                lambda axis: T("RandFlipd", keys=KEYS, prob=A("probability"), spatial_axis=axis),
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="Each axis on its own with probability 0.5, as inferred from the name.",
        clara="Flips along random axes.",
        also=("FlipAxisRandom",),
        caveats=(
            Caveat(
                lambda axis: axis is not OMIT,
                "axis is read as a list of spatial axes, counted from 0, which is not documented",
            ),
        ),
        open=True,
    ),
    Rule(
        name="RandomRotate2D",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("angle", 0.0, number), Param("is_random", True, flag)),
        targets=(
            T(
                "RandRotated",
                when=lambda is_random: is_random,
                keys=KEYS,
                range_x=F(lambda angle, facts: radians(angle) if facts.spatial_dims == 2 else OMIT),
                range_z=F(lambda angle, facts: OMIT if facts.spatial_dims == 2 else radians(angle)),
                prob=1.0,
                mode=MODES,
            ),
            T(
                "Rotated",
                when=lambda is_random: not is_random,
                keys=KEYS,
                angle=F(_plane_angle),
                mode=MODES,
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="The angle is read as degrees to either side, in the plane of the first two axes; labels nearest.",
        clara="Rotates in the plane.",
        open=True,
    ),
    Rule(
        name="RandomRotate3D",
        section=Section.TRANSFORM,
        params=(FIELDS, prob()),
        targets=(T("RandRotate90d", keys=KEYS, prob=A("probability"), max_k=3),),
        outcome=Outcome.APPROXIMATE,
        why="Multiples of 90 degrees in the first two axes; Clara's axes are not documented.",
        clara="Rotates a volume at random.",
        open=True,
    ),
    Rule(
        name="RandomZoom",
        section=Section.TRANSFORM,
        params=(
            IMAGE_FIELD,
            LABEL_FIELD,
            Param("lower_limits", [0.9], numbers),
            Param("upper_limits", [1.1], numbers),
            Param("keep_size", True, flag, note="the bundle keeps the size, which batches need"),
            prob(1.0),
        ),
        targets=(
            T(
                "RandZoomd",
                keys=PAIR,
                prob=A("probability"),
                min_zoom=A("lower_limits"),
                max_zoom=A("upper_limits"),
                mode=F(_zoom_modes),
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="Another interpolation; image linear, label nearest, and the size is kept.",
        clara="Zooms image and label by a random factor per axis.",
        open=True,
    ),
    Rule(
        name="SymmetricPadderDiv",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("div_int", kind=integer)),
        targets=(T("DivisiblePadd", keys=KEYS, k=A("div_int"), method="symmetric"),),
        outcome=Outcome.EXACT,
        why="The same, with zeros on both sides.",
        clara="Pads until every side is divisible.",
    ),
)
