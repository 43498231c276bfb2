"""Read label maps or probabilities with MONAI's readers, and compare their grids."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from monai.data import ITKReader, MetaTensor, NibabelReader, NrrdReader, PILReader
from monai.transforms import LoadImage, ResampleToMatch

ROUNDING = 1e-3
"""By how much float16 and interpolation may carry a probability beyond 0 or 1."""
Array = npt.NDArray[Any]


class Volume(NamedTuple):
    """Class indices ``[*S]`` or scores ``[C, *S]``, and the position of the voxels."""

    values: Array
    affine: npt.NDArray[np.float64]  # [d + 1, d + 1]: voxel to mm; a spacing of 1 if the file has none
    path: Path

    @property
    def spacing(self) -> tuple[float, ...]:
        """The lengths of a voxel's edges."""
        return tuple(np.linalg.norm(self.affine[:-1, :-1], axis=0).tolist())


def read_volume(path: Path) -> Volume:
    """Read a file without changing orientation or type.

    Raises:
        ImportError: the format needs a package that is not installed.
        Exception: any error of the reader for a damaged file.
    """
    load = LoadImage(image_only=True, dtype=None)
    image = load(path, reader=reader_of(path))  # no other one: ITK reads a damaged NIfTI file as far as it goes
    values, meta = np.asarray(image.array), image.meta
    dimensions = len(np.atleast_1d(meta["spatial_shape"]))
    affine = np.eye(dimensions + 1)
    known = np.asarray(image.affine, np.float64)
    affine[:-1, :-1] = known[:dimensions, :dimensions]
    affine[:-1, -1] = known[:dimensions, -1]
    if values.ndim == dimensions + 1:
        values = np.moveaxis(values, int(meta["original_channel_dim"]), 0)
    return Volume(values[0] if values.ndim > dimensions and len(values) == 1 else values, affine, path)


def reader_of(path: Path) -> Any:
    """Choose MONAI's reader by the file's extension."""
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return NibabelReader()
    if name.endswith((".png", ".tif", ".tiff")):
        return PILReader()
    if name.endswith(".nrrd") and _is_installed("nrrd"):
        return NrrdReader()
    if not _is_installed("itk"):
        raise ImportError(f'files like {path.name} need ITK: pip install "monai-auxops[evaluate]"')
    return ITKReader()


def label_map(volume: Volume) -> Array:
    """Return class indices as integers.

    Raises:
        ValueError: several channels, or values that are not whole numbers.
    """
    values = volume.values
    if values.ndim >= len(volume.affine):
        channels = values.shape[0]
        raise ValueError(
            f"{volume.path.name}: {channels} channels; expected a label map (--probabilities for a map per class)"
        )
    if values.dtype == bool:
        return values.view(np.uint8)
    if not np.issubdtype(values.dtype, np.floating):
        return values
    with np.errstate(invalid="ignore"):  # NaN is not whole either
        whole: Array = values.astype(np.int32)
    if not np.array_equal(whole, values):
        odd = values[whole != values][0]
        raise ValueError(
            f"{volume.path.name}: values that are not whole numbers, such as {odd:.6g}; expected a label map "
            "(--probabilities for probabilities)"
        )
    return whole


def decide_classes(volume: Volume, threshold: float) -> Array:
    """Convert probabilities to class indices, by argmax of several maps or by ``threshold`` of a single one.

    A voxel with NaN belongs to no class and becomes -1.

    Raises:
        ValueError: a single map with values outside 0 to 1, which a threshold between them does not fit.
    """
    scores = volume.values
    if scores.ndim < len(volume.affine):
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
            f"{volume.path.name}: values outside 0 to 1, such as {odd[0]:.6g}; expected probabilities "
            "(label maps without --probabilities, other scores with their own --threshold)"
        )


def grid_difference(prediction: Volume, label: Volume) -> str | None:
    """Describe how two grids differ; None if every corner is within a tenth of a voxel."""
    shapes = [list(volume.values.shape[-len(volume.affine) + 1 :]) for volume in (prediction, label)]
    if shapes[0] != shapes[1]:
        return f"shapes {shapes[0]} and {shapes[1]}"
    corners = np.array(np.meshgrid(*([0, n - 1] for n in shapes[0]), [1])).reshape(len(shapes[0]) + 1, -1)
    off = np.abs((prediction.affine - label.affine) @ corners).max()
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
    """
    channels = prediction.values.ndim == len(prediction.affine)
    source = prediction.values if channels else prediction.values[None]
    image = MetaTensor(source.astype(np.float32), affine=_four_by_four(prediction.affine))
    like = MetaTensor(np.zeros((1, *label.values.shape), np.float32), affine=_four_by_four(label.affine))
    moved = np.asarray(ResampleToMatch(mode=mode, padding_mode="zeros")(image, like).array)
    return Volume(moved if channels else moved[0], label.affine, prediction.path)


def _four_by_four(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Expand an affine to 4 × 4 as in MONAI, whatever the number of dimensions."""
    full, n = np.eye(4), len(affine) - 1
    full[:n, :n], full[:n, -1] = affine[:-1, :-1], affine[:-1, -1]
    return full


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
