"""One slice of a case, found and cut out on its device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

SIZE = 192  # pixels of a panel


def panels(image: Tensor, label: Tensor, predicted: Tensor, size: int = SIZE) -> tuple[Tensor, Tensor]:
    """Cut one slice of each case out of image, label and prediction, without a copy to the host.

    It takes ``[B, *S]`` with two or three spatial dimensions and selects one slice of the third. Resizing is by nearest
    neighbor, which keeps classes.

    Returns:
        The panels ``[B, 3, size, size]``, and the number of each slice ``[B]``, from 0.

    Raises:
        ValueError: the three differ in size, or are not images.
    """
    shapes = [list(x.shape) for x in (image, label, predicted)]
    if image.dim() not in (3, 4) or not shapes[0] == shapes[1] == shapes[2]:
        raise ValueError(f"pictures need image, label and prediction of the same size in 2D or 3D, got {shapes}")
    stack = torch.stack([image.float(), label.float(), predicted.float()], 1)
    at = torch.zeros(len(stack), dtype=torch.int64, device=stack.device)
    if stack.dim() == 5:
        at = most_wrong_slice(label, predicted)
        index = at.reshape(-1, 1, 1, 1, 1).expand(*stack.shape[:4], 1)
        stack = stack.gather(4, index).squeeze(4)
    height, width = size_of_panel(stack.shape[2:], size)
    canvas = stack.new_zeros((len(stack), 3, size, size))
    canvas[:, :, :height, :width] = interpolate(stack, size=(height, width), mode="nearest")
    return canvas, at


def most_wrong_slice(label: Tensor, predicted: Tensor) -> Tensor:
    """Choose per volume ``[B, X, Y, Z]`` the slice ``[B]`` with most wrong voxels among slices with much label."""
    labeled, wrong = (x.sum((1, 2)) for x in (label > 0, label != predicted))
    much = labeled * 2 >= labeled.max(1, keepdim=True).values
    return torch.where(much, wrong, -1).argmax(1)


def size_of_panel(shape: Sequence[int], size: int = SIZE) -> tuple[int, int]:
    """Return height and width of a slice whose longer side is ``size``.

    Examples:
        >>> size_of_panel((50, 100), 192)
        (96, 192)
    """
    scale = size / max(shape[:2])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
