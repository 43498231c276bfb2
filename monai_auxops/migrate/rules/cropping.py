"""Transforms that crop. A crop with batch_size gives several samples of one image."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T, Target
from monai_auxops.migrate.rules.common import FIELDS, IMAGE_FIELD, KEYS, LABEL_FIELD, PAIR, SIZE, keys_of, radians
from monai_auxops.migrate.rules.kinds import flag, integer, integers, number, numbers, text, texts
from monai_auxops.migrate.rules.values import A, F

_SIZE = Param("size", kind=integers)
_POS = Param("pos", 1, number)
_NEG = Param("neg", 1, number)
_BATCH = Param("batch_size", 1, integer)
_AT_ONCE = Param(
    "batches_to_gen_at_once", 1, note="it only made Clara faster; MONAI draws the crops of one image at once"
)
_PATCH = {"patch_size": A("size", tuple)}
_SAMPLES = {**_PATCH, "samples": A("batch_size")}


def _with_label(fields: list[str], label_field: str) -> list[str]:
    return keys_of(list(dict.fromkeys([*fields, label_field])))


def _pos_neg(keys: F) -> tuple[Target, Target]:
    """Pad to the crop's size first: MONAI refuses an image smaller than the crop."""
    return (
        T("SpatialPadd", keys=keys, spatial_size=SIZE),
        T(
            "RandCropByPosNegLabeld",
            keys=keys,
            label_key=A("label_field"),
            spatial_size=SIZE,
            pos=A("pos"),
            neg=A("neg"),
            num_samples=A("batch_size"),
        ),
    )


def _by_ratio(name: str, also: tuple[str, ...] = ()) -> Rule:
    return Rule(
        name=name,
        section=Section.TRANSFORM,
        params=(_SIZE, FIELDS, Param("label_field", "label", text), _POS, _NEG, _BATCH, _AT_ONCE),
        targets=_pos_neg(F(_with_label)),
        outcome=Outcome.APPROXIMATE,
        why="The same choice of centers; crops near the border are moved inside, small images are padded.",
        clara="Crops around voxels of the label or of the background, in the ratio pos to neg.",
        also=also,
        facts=_SAMPLES,
    )


def _fractions(lower_size: list[float]) -> bool:
    return any(isinstance(value, float) and value <= 1 for value in lower_size)


def _one_or_more(values: Any) -> Any:
    return values[0] if len(values) == 1 else values


CROPPING: Final = (
    Rule(
        name="CropFixedSizeRandomCenter",
        section=Section.TRANSFORM,
        params=(FIELDS, _SIZE),
        targets=(
            T("SpatialPadd", keys=KEYS, spatial_size=SIZE),
            T("RandSpatialCropd", keys=KEYS, roi_size=SIZE, random_size=False),
        ),
        outcome=Outcome.EQUIVALENT,
        why="The same crop; images smaller than it are padded with zeros.",
        clara="Crops a fixed size around a random center.",
        also=("CropSubVolumeRandomWithinBounds",),
        facts=_PATCH,
    ),
    Rule(
        name="CropSubVolumeCenter",
        section=Section.TRANSFORM,
        params=(FIELDS, _SIZE),
        targets=(T("ResizeWithPadOrCropd", keys=KEYS, spatial_size=SIZE),),
        outcome=Outcome.EQUIVALENT,
        why="The same crop; images smaller than it are padded with zeros.",
        clara="Crops a fixed size around the center.",
        facts=_PATCH,
    ),
    Rule(
        name="CropRandomSizeWithDisplacement",
        section=Section.TRANSFORM,
        params=(
            FIELDS,
            Param("lower_size", kind=numbers),
            Param("max_displacement", 0, numbers, note="MONAI's crop may lie anywhere inside the image"),
        ),
        targets=(
            T(
                "RandScaleCropd",
                when=_fractions,
                keys=KEYS,
                roi_scale=A("lower_size", _one_or_more),
                max_roi_scale=1.0,
                random_size=True,
            ),
            T(
                "SpatialPadd",
                when=lambda lower_size: not _fractions(lower_size),
                keys=KEYS,
                spatial_size=A("lower_size", lambda size: [int(n) for n in size]),
            ),
            T(
                "RandSpatialCropd",
                when=lambda lower_size: not _fractions(lower_size),
                keys=KEYS,
                roi_size=A("lower_size", lambda size: [int(n) for n in size]),
                random_size=True,
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="The same range of sizes; smaller images are padded, the displacement from the center is not limited.",
        clara="Crops a random size near the center.",
    ),
    _by_ratio("CropByPosNegRatio", ("CropSubVolumeBatchPosNegRatio",)),
    _by_ratio("FastCropByPosNegRatio"),
    _by_ratio("CropByPosNegRatioLabelOnly"),
    Rule(
        name="FastPosNegRatioCropROI",
        section=Section.TRANSFORM,
        params=(
            _SIZE,
            IMAGE_FIELD,
            LABEL_FIELD,
            Param(
                "fields",
                [],
                texts,
                also=("applied_keys",),
                note="TLT 1.x; image_field and label_field have the same meaning",
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
        targets=(
            *_pos_neg(PAIR),
            T(
                "RandAffined",
                when=lambda rotation, scale: rotation or scale,
                keys=PAIR,
                prob=1.0,
                rotate_range=F(
                    lambda rotation_degree, rotation, facts: (
                        [radians(rotation_degree) if rotation else 0.0] * facts.spatial_dims
                    ),
                ),
                scale_range=F(
                    lambda scale_factor, scale, facts: [scale_factor if scale else 0.0] * facts.spatial_dims,
                ),
                mode=["bilinear", "nearest"],
            ),
            T(
                "RandGridDistortiond",
                when=lambda deform: deform,
                keys=PAIR,
                prob=1.0,
                mode=["bilinear", "nearest"],
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="The same choice of centers; crops near the border are moved inside, small images are padded.",
        clara="Crops around voxels of the label or of the background, in the ratio pos to neg, and may deform them.",
        also=("TransformVolumeCropROIFastPosNegRatio",),
        facts=_SAMPLES,
        caveats=(
            Caveat(
                lambda rotation, scale: rotation or scale,
                "rotation and scale are applied after the crop, so its corners are filled by reflection",
                Outcome.APPROXIMATE,
            ),
            Caveat(
                lambda deform: deform,
                "the strength of deform is not documented; the bundle uses MONAI's default grid distortion",
                Outcome.APPROXIMATE,
            ),
        ),
    ),
    Rule(
        name="CropForegroundObject",
        section=Section.TRANSFORM,
        params=(FIELDS,),
        targets=(T("CropForegroundd", keys=KEYS, source_key=A("fields", lambda fields: keys_of(fields)[0])),),
        outcome=Outcome.APPROXIMATE,
        why="Crops to the voxels above 0 of the first field; Clara's rule is not documented.",
        clara="Crops to the foreground.",
        open=True,
    ),
)
