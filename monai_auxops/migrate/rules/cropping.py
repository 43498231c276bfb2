"""Transforms that crop. A crop with batch_size gives several samples of one image."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import A, Call, Caveat, F, Param, Rule, Section, T, Target
from monai_auxops.migrate.rules.common import FIELDS, IMAGE_FIELD, KEYS, LABEL_FIELD, PAIR, keys_of, radians, size
from monai_auxops.migrate.rules.kinds import flag, integer, integers, number, numbers, text, words

_SIZE = Param("size", kind=integers)
_POS = Param("pos", 1, number)
_NEG = Param("neg", 1, number)
_BATCH = Param("batch_size", 1, integer)
_AT_ONCE = Param(
    "batches_to_gen_at_once", 1, note="it only made Clara faster; MONAI draws the crops of one image at once"
)
_PATCH = {"patch_size": A("size", tuple)}
_SAMPLES = {**_PATCH, "samples": A("batch_size")}


def _with_label(call: Call) -> list[str]:
    return keys_of([*call["fields"], *(f for f in [call["label_field"]] if f not in call["fields"])])


def _pos_neg(keys: F) -> tuple[Target, Target]:
    """Pad to the crop's size first: MONAI refuses an image smaller than the crop."""
    return (
        T("SpatialPadd", keys=keys, spatial_size=size("size")),
        T(
            "RandCropByPosNegLabeld",
            keys=keys,
            label_key=A("label_field"),
            spatial_size=size("size"),
            pos=A("pos"),
            neg=A("neg"),
            num_samples=A("batch_size"),
        ),
    )


def _by_ratio(name: str, also: tuple[str, ...] = ()) -> Rule:
    return Rule(
        name,
        Section.TRANSFORM,
        (_SIZE, FIELDS, Param("label_field", "label", text), _POS, _NEG, _BATCH, _AT_ONCE),
        _pos_neg(F(_with_label, uses=("fields", "label_field"))),
        Outcome.APPROXIMATE,
        "The same choice of centres; crops near the border are moved inside, small images are padded.",
        "Crops around voxels of the label or of the background, in the ratio pos to neg.",
        also=also,
        facts=_SAMPLES,
    )


def _fractions(call: Call) -> bool:
    return any(isinstance(value, float) and value <= 1 for value in call["lower_size"])


def _one_or_more(values: Any) -> Any:
    return values[0] if len(values) == 1 else values


CROPPING: Final = (
    Rule(
        "CropFixedSizeRandomCenter",
        Section.TRANSFORM,
        (FIELDS, _SIZE),
        (
            T("SpatialPadd", keys=KEYS, spatial_size=size("size")),
            T("RandSpatialCropd", keys=KEYS, roi_size=size("size"), random_size=False),
        ),
        Outcome.EQUIVALENT,
        "The same crop; images smaller than it are padded with zeros.",
        "Crops a fixed size around a random centre.",
        also=("CropSubVolumeRandomWithinBounds",),
        facts=_PATCH,
    ),
    Rule(
        "CropSubVolumeCenter",
        Section.TRANSFORM,
        (FIELDS, _SIZE),
        (T("ResizeWithPadOrCropd", keys=KEYS, spatial_size=size("size")),),
        Outcome.EQUIVALENT,
        "The same crop; images smaller than it are padded with zeros.",
        "Crops a fixed size around the centre.",
        facts=_PATCH,
    ),
    Rule(
        "CropRandomSizeWithDisplacement",
        Section.TRANSFORM,
        (
            FIELDS,
            Param("lower_size", kind=numbers),
            Param("max_displacement", 0, numbers, note="MONAI's crop may lie anywhere inside the image"),
        ),
        (
            T(
                "RandScaleCropd",
                when=_fractions,
                keys=KEYS,
                roi_scale=A("lower_size", _one_or_more),
                max_roi_scale=1.0,
                random_size=True,
            ),
            T(
                "RandSpatialCropd",
                when=lambda c: not _fractions(c),
                keys=KEYS,
                roi_size=A("lower_size", lambda size: [int(n) for n in size]),
                random_size=True,
            ),
        ),
        Outcome.APPROXIMATE,
        "The same range of sizes; the displacement from the centre is not limited.",
        "Crops a random size near the centre.",
    ),
    _by_ratio("CropByPosNegRatio", ("CropSubVolumeBatchPosNegRatio",)),
    _by_ratio("FastCropByPosNegRatio"),
    _by_ratio("CropByPosNegRatioLabelOnly"),
    Rule(
        "FastPosNegRatioCropROI",
        Section.TRANSFORM,
        (
            _SIZE,
            IMAGE_FIELD,
            LABEL_FIELD,
            Param(
                "fields", [], words, also=("applied_keys",), note="TLT 1.x; image_field and label_field say the same"
            ),
            _POS,
            _NEG,
            _BATCH,
            Param("deform", False, flag),
            Param("rotation", False, flag),
            Param("rotation_degree", 20, number),
            Param("scale", False, flag),
            Param("scale_factor", 0.1, number),
            Param("fast_crop", True, flag, note="it only made Clara faster"),
        ),
        (
            *_pos_neg(PAIR),
            T(
                "RandAffined",
                when=lambda c: c["rotation"] or c["scale"],
                keys=PAIR,
                prob=1.0,
                rotate_range=F(
                    lambda c: [radians(c["rotation_degree"]) if c["rotation"] else 0.0] * c.facts.spatial_dims,
                    uses=("rotation", "rotation_degree"),
                ),
                scale_range=F(
                    lambda c: [c["scale_factor"] if c["scale"] else 0.0] * c.facts.spatial_dims,
                    uses=("scale", "scale_factor"),
                ),
                mode=["bilinear", "nearest"],
            ),
            T(
                "RandGridDistortiond",
                when=lambda c: c["deform"],
                keys=PAIR,
                prob=1.0,
                mode=["bilinear", "nearest"],
            ),
        ),
        Outcome.APPROXIMATE,
        "The same choice of centres; crops near the border are moved inside, small images are padded.",
        "Crops around voxels of the label or of the background, in the ratio pos to neg, and may deform them.",
        also=("TransformVolumeCropROIFastPosNegRatio",),
        facts=_SAMPLES,
        caveats=(
            Caveat(
                lambda c: c["rotation"] or c["scale"],
                "rotation and scale are applied after the crop, so its corners are filled by reflection",
                Outcome.APPROXIMATE,
            ),
            Caveat(
                lambda c: c["deform"],
                "how strongly deform bent the image is not documented; MONAI's default grid distortion is used",
                Outcome.APPROXIMATE,
            ),
        ),
    ),
    Rule(
        "CropForegroundObject",
        Section.TRANSFORM,
        (FIELDS,),
        (T("CropForegroundd", keys=KEYS, source_key=A("fields", lambda fields: keys_of(fields)[0])),),
        Outcome.APPROXIMATE,
        "Crops to the voxels above 0 of the first field; Clara's rule is not documented.",
        "Crops to the foreground.",
        open=True,
    ),
)
