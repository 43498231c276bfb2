"""Distances between surfaces, by MONAI's functions with the image's spacing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from torch import Tensor

SURFACE_COLUMNS = ("hd95_mm", "assd_mm", "nsd")
Mask = npt.NDArray[np.bool_]


def surface_distances(prediction: Mask, label: Mask, spacing: Sequence[float], tolerance: float) -> dict[str, float]:
    """Measure two masks of one class.

    Args:
        prediction: ``[*S]`` with two or three dimensions.
        label: of the same shape.
        spacing: mm per voxel. An axis of one voxel is left out, because every voxel of a slice would be surface.
        tolerance: mm within which a surface counts as found.

    Returns:
        ``hd95_mm``, the 95th percentile of the distances in either direction, the larger one; ``assd_mm``, the mean of
        all distances in both directions; ``nsd``, the share of both surfaces within ``tolerance``. NaN if one of
        the masks is empty.

    Examples:
        >>> mask = np.zeros((4, 4), bool)
        >>> mask[1:3, 1:3] = True
        >>> surface_distances(mask, mask, (1.0, 1.0), 1.0)
        {'hd95_mm': 0.0, 'assd_mm': 0.0, 'nsd': 1.0}
    """
    if not prediction.any() or not label.any():
        return dict.fromkeys(SURFACE_COLUMNS, math.nan)
    prediction, label, spacing = _without_flat_axes(prediction, label, spacing)
    box = bounding_box(prediction | label)
    y_pred, y = (torch.from_numpy(np.ascontiguousarray(mask[box]))[None, None] for mask in (prediction, label))
    shared: dict[str, Any] = {"include_background": True, "spacing": list(spacing)}
    with warnings.catch_warnings():  # MONAI's surface Dice calls a deprecated function of MONAI
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy")
        values = _by_monai(y_pred, y, tolerance, shared)
    return {name: float(value) for name, value in zip(SURFACE_COLUMNS, values, strict=True)}


def _without_flat_axes(prediction: Mask, label: Mask, spacing: Sequence[float]) -> tuple[Mask, Mask, Sequence[float]]:
    kept = [axis for axis in range(label.ndim) if label.shape[axis] > 1]
    if len(kept) < 2:
        return prediction, label, spacing
    shape = [label.shape[axis] for axis in kept]
    return prediction.reshape(shape), label.reshape(shape), [spacing[axis] for axis in kept]


def _by_monai(y_pred: Tensor, y: Tensor, tolerance: float, shared: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    return (
        compute_hausdorff_distance(y_pred, y, percentile=95, **shared),
        compute_average_surface_distance(y_pred, y, symmetric=True, **shared),
        compute_surface_dice(y_pred, y, class_thresholds=[tolerance], **shared),
    )


def bounding_box(mask: Mask) -> tuple[slice, ...]:
    """Return the bounding box of ``mask``, one voxel larger on each side, so that its edges stay edges."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        where = np.flatnonzero(mask.any(others))
        box.append(slice(max(0, int(where[0]) - 1), int(where[-1]) + 2))
    return tuple(box)
