"""Turn what files hold into class indices, and compare and change grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from monai.data import MetaTensor
from monai.transforms import ResampleToMatch

from monai_auxops.evaluation.formats import Affine, Array, Volume

ROUNDING: Final = 1e-3
"""By how much float16 and interpolation may carry a probability beyond 0 or 1."""
SCALING: Final = 1e-4
"""By how much the scale factor of a file's header may carry a label from a whole number."""
MAX_SUM_ERROR: Final = 0.02
"""By how much rounding, as to multiples of 1/255, may carry the sum of a few probabilities from 1."""
MAX_LABEL: Final = 2**53  # float64 skips whole numbers above


def label_map(volume: Volume) -> Array:
    """Return class indices as integers.

    Raises:
        ValueError: several channels, or values that are not whole numbers.
    """
    values = volume.values
    if values.ndim > volume.dimensions:
        channels = values.shape[0]
        raise ValueError(
            f"{volume.path}: {channels} channels; expected a label map (--probabilities for a map per class)"
        )
    if values.dtype == bool:
        return values.view(np.uint8)
    if not np.issubdtype(values.dtype, np.floating):
        return values
    whole: Array = np.rint(values)
    with np.errstate(invalid="ignore"):  # NaN and inf are not whole either
        odd = values[~((np.abs(values - whole) <= SCALING) & (np.abs(whole) < MAX_LABEL))]
    if odd.size:
        raise ValueError(
            f"{volume.path}: values that are not whole numbers, such as {odd[0]:.6g}; expected a label map "
            "(--probabilities for probabilities)"
        )
    return whole.astype(np.int64)


def decide_classes(volume: Volume, threshold: float) -> Array:
    """Convert probabilities to class indices, by argmax of several maps or by ``threshold`` of a single one.

    A voxel with NaN belongs to no class and becomes -1.

    Raises:
        ValueError: a single map with values outside 0 to 1, which a threshold between them does not fit.
    """
    scores = volume.values
    if scores.ndim == volume.dimensions:
        _refuse_scores(volume, threshold)
        return (scores > threshold).astype(np.int16)
    classes: Array = scores.argmax(0).astype(np.int16)
    classes[np.isnan(scores).any(0)] = -1
    return classes


def _refuse_scores(volume: Volume, threshold: float) -> None:
    """Refuse label maps, logits and 0 to 255 where probabilities are expected."""
    odd = volume.values[(volume.values < -ROUNDING) | (volume.values > 1 + ROUNDING)]
    if odd.size and 0 < threshold < 1:
        raise ValueError(
            f"{volume.path}: values outside 0 to 1, such as {odd[0]:.6g}; expected probabilities "
            "(label maps without --probabilities, other scores with their own --threshold)"
        )


def doubt_about_scores(volume: Volume, highest: int) -> str:
    """Return why scores may not be what was meant; empty if nothing speaks against them.

    Args:
        volume: the scores.
        highest: the highest class of the label.
    """
    scores = volume.values if volume.values.ndim > volume.dimensions else volume.values[None]
    channels = len(scores)
    if highest >= max(channels, 2):
        return f"labels have the value {highest}, which predictions with channels for {max(channels, 2)} classes lack"
    if channels < 2 or np.issubdtype(scores.dtype, np.integer) or not _are_probabilities(scores):
        return ""
    if np.nanmax(np.abs(scores.sum(0, dtype=np.float32) - 1), initial=0) <= MAX_SUM_ERROR:
        return ""
    return (
        "channels of probabilities do not add up to 1, as if they were regions that overlap; "
        "the highest one counts, and the first one is the background"
    )


def _are_probabilities(scores: Array) -> bool:
    return bool(np.nanmin(scores, initial=0) >= -ROUNDING and np.nanmax(scores, initial=0) <= 1 + ROUNDING)


def grid_difference(prediction: Volume, label: Volume) -> str | None:
    """Describe how two grids differ; None if every corner is within a tenth of a voxel."""
    shapes = [list(volume.values.shape[-volume.dimensions :]) for volume in (prediction, label)]
    if shapes[0] != shapes[1]:
        return f"shapes {shapes[0]} and {shapes[1]}"
    off = np.abs((prediction.affine - label.affine) @ _corners(shapes[0])).max()
    if off <= 0.1 * min(label.spacing):
        return None
    spacings = [" × ".join(f"{length:.4g}" for length in volume.spacing) for volume in (prediction, label)]
    return f"voxels up to {off:.4g} mm apart (spacing {spacings[0]} and {spacings[1]} mm)"


def resample(prediction: Volume, label: Volume, mode: str) -> Volume:
    """Resample a prediction to the label's grid.

    Args:
        prediction: class indices or scores.
        label: the label whose grid to use.
        mode: ``"nearest"`` for classes, ``"bilinear"`` for scores.

    Raises:
        ValueError: the prediction lies beside the label.
    """
    if _lies_beside(prediction, label):
        raise ValueError(f"{prediction.path} and {label.path} have no place in common; their positions do not agree")
    if mode == "nearest":  # numbers instead of labels, because MONAI returns float32; 0 is outside
        known, numbers = np.unique(prediction.values, return_inverse=True)
        moved = np.insert(known, 0, 0)[_resample(prediction._replace(values=numbers + 1), label, mode).astype(np.intp)]
    else:
        moved = _resample(prediction, label, mode)
    return Volume(moved, label.affine, prediction.path)


def _resample(prediction: Volume, label: Volume, mode: str) -> Array:
    channels = prediction.values.ndim > prediction.dimensions
    source = prediction.values if channels else prediction.values[None]
    image = MetaTensor(source.astype(np.float32), affine=_four_by_four(prediction.affine))
    like = MetaTensor(np.zeros((1, *label.values.shape), np.float32), affine=_four_by_four(label.affine))
    moved: Array = np.asarray(ResampleToMatch(mode=mode, padding_mode="zeros")(image, like).array)
    return moved if channels else moved[0]


def _lies_beside(prediction: Volume, label: Volume) -> bool:
    """Tell whether all of a label is on one side of a prediction."""
    shape = prediction.values.shape[-prediction.dimensions :]
    inverse = np.linalg.inv(_four_by_four(prediction.affine)) @ _four_by_four(label.affine)
    corners = _corners([*label.values.shape, 1][:3])
    at = (inverse @ corners)[: len(shape)]
    return any(row.max() < -0.5 or row.min() > n - 0.5 for row, n in zip(at, shape, strict=True))


def _corners(shape: Sequence[int]) -> Affine:
    """Return the corners of a grid as columns, each with a one below."""
    return np.array(np.meshgrid(*([0, n - 1] for n in shape), [1]), np.float64).reshape(len(shape) + 1, -1)


def _four_by_four(affine: Affine) -> Affine:
    """Expand an affine to 4 × 4 as in MONAI; the missing axis of a picture is perpendicular to it."""
    full = np.eye(4)
    full[:3, [*range(affine.shape[1] - 1), 3]] = affine
    if affine.shape[1] == 3:
        normal = np.cross(affine[:, 0], affine[:, 1])
        full[:3, 2] = normal / np.linalg.norm(normal)
    return full
