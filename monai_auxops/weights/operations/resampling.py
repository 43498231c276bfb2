"""Upsampling with TensorFlow's three conventions for voxel positions, and moves between channels and space."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monai_auxops.weights.operations.layers import _Layout
from monai_auxops.weights.operations.registry import Step, operation
from monai_auxops.weights.values import Value, numbers


@operation("ResizeNearestNeighbor")
def resize_nearest(step: Step, x: Tensor, size: Value) -> Tensor:
    """Take the nearest voxel of an image with channels last."""
    for axis, new in enumerate(_new_sizes(step, x, size), start=1):
        old, place = x.shape[axis], _places(step, x, axis, new, centered=0.0)
        if step.get("align_corners", False):
            place = torch.floor(place + 0.5)
        x = x.index_select(axis, place.floor().long().clamp(max=old - 1))
    return x


@operation("ResizeBilinear")
def resize_linear(step: Step, x: Tensor, size: Value) -> Tensor:
    """Interpolate between the two nearest voxels of each axis of an image with channels last."""
    for axis, new in enumerate(_new_sizes(step, x, size), start=1):
        old, place = x.shape[axis], _places(step, x, axis, new, centered=0.5)
        left = place.floor().long().clamp(max=old - 1)
        right = (left + 1).clamp(max=old - 1)
        share = (place - left).to(x.dtype).reshape([-1] + [1] * (x.dim() - 1 - axis))
        x = x.index_select(axis, left) * (1 - share) + x.index_select(axis, right) * share
    return x


def _new_sizes(step: Step, x: Tensor, size: Value) -> list[Any]:
    new = numbers(size)
    step.sizes([x.shape[0], *new, x.shape[3]])
    return new


def _places(step: Step, x: Tensor, axis: int, new: Any, centered: float) -> Tensor:
    """Return where each new voxel lies among the old ones, in 64 bits."""
    old = x.shape[axis]
    place = torch.arange(new, dtype=torch.float64, device=x.device)
    if step.get("align_corners", False):
        return place.mul((old - 1) / (new - 1)) if new > 1 else place
    if step.get("half_pixel_centers", False):
        center: Tensor = (place + 0.5) * (old / new) - centered
        return center.clamp(min=0)
    return place.mul(old / new)


@operation("SpaceToDepth")
def space_to_depth(step: Step, x: Tensor) -> Tensor:
    """Move blocks of space into the channels; the channel is the fastest index of a block."""
    layout, block = _Layout(step, 2), step.get("block_size", 2)
    batch, channels, height, width = layout.to_torch(x).shape
    found = layout.to_torch(x).reshape([batch, channels, height // block, block, width // block, block])
    found = found.permute(0, 3, 5, 1, 2, 4)
    return layout.back(found.reshape([batch, block * block * channels, height // block, width // block]))


@operation("DepthToSpace")
def depth_to_space(step: Step, x: Tensor) -> Tensor:
    """Move channels into blocks of space."""
    layout, block = _Layout(step, 2), step.get("block_size", 2)
    batch, channels, height, width = layout.to_torch(x).shape
    found = layout.to_torch(x).reshape([batch, block, block, channels // block**2, height, width])
    found = found.permute(0, 3, 4, 1, 5, 2)
    return layout.back(found.reshape([batch, channels // block**2, height * block, width * block]))
