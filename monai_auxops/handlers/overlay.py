"""One slice of a case as a picture: found and cut out on the device, painted on the host."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

SIZE = 192  # pixels of a panel
COLOURS = ("#4c9be8", "#f2a33a", "#5dbb63", "#d65db1", "#e8574c", "#3fc1c9", "#b49b57", "#8e7cc3")
Pixels = npt.NDArray[np.uint8]


def classes_of(values: Tensor, threshold: float) -> Tensor:
    """The class each voxel shows ``[B, *S]``: indices as they are, of several channels the highest, of one where it
    exceeds the threshold.

    >>> classes_of(torch.tensor([[[0.2, 0.9]]]), 0.5), classes_of(torch.tensor([[[0.1, 0.7], [0.3, 0.2]]]), 0.5)
    (tensor([[0, 1]]), tensor([[1, 0]]))
    """
    return values.max(1).indices if values.shape[1] > 1 else (values[:, 0] > threshold).long()


def panels(image: Tensor, label: Tensor, predicted: Tensor, size: int = SIZE) -> Tensor:
    """Image, label and prediction ``[B, 3, size, size]`` of one slice of each case, without a copy to the host.

    Takes ``[B, *S]`` with two or three spatial dimensions; a third one is cut. Nearest neighbours, so classes stay.
    """
    stack = torch.stack([image.float(), label.float(), predicted.float()], 1)
    if stack.dim() == 5:
        at = telling_slice(label, predicted).reshape(-1, 1, 1, 1, 1).expand(*stack.shape[:4], 1)
        stack = stack.gather(4, at).squeeze(4)
    height, width = fitted(stack.shape[2:], size)
    canvas = stack.new_zeros((len(stack), 3, size, size))
    canvas[:, :, :height, :width] = interpolate(stack, size=(height, width), mode="nearest")
    return canvas


def telling_slice(label: Tensor, predicted: Tensor) -> Tensor:
    """Per volume ``[B, X, Y, Z]`` the slice ``[B]`` with most wrong voxels, of those that hold much of the label."""
    labelled, wrong = (x.sum((1, 2)) for x in (label > 0, label != predicted))
    much = labelled * 2 >= labelled.max(1, keepdim=True).values
    return torch.where(much, wrong, -1).argmax(1)


def fitted(shape: Sequence[int], size: int = SIZE) -> tuple[int, int]:
    """Height and width of a slice when its longer side is ``size``.

    >>> fitted((50, 100), 192)
    (96, 192)
    """
    scale = size / max(shape[:2])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def paint(three: npt.NDArray[np.float32]) -> Pixels:
    """Three panels side by side, ``[H, 3 W, 3]``: the image, and over it label and prediction in colour.

    >>> paint(np.zeros((3, 2, 2), np.float32)).shape
    (2, 6, 3)
    """
    image, *masks = (np.flipud(panel.T) for panel in three)
    low, high = np.percentile(image, [1, 99.5])
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    base = np.repeat(grey[..., None], 3, axis=2)
    side_by_side = np.concatenate([base, *(covered(base, mask) for mask in masks)], axis=1)
    return (255 * side_by_side).astype(np.uint8)


def covered(base: npt.NDArray[np.float32], mask: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``base`` with a colour for each class above 0."""
    over: npt.NDArray[np.float32] = base.copy()
    for index in (int(value) for value in np.unique(mask) if value > 0):
        colour = COLOURS[(index - 1) % len(COLOURS)]
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        over[mask == index] = 0.45 * base[mask == index] + 0.55 * rgb
    return over
