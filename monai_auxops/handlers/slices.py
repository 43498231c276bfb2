"""One slice of a case, found and cut out on its device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

SIZE = 192  # pixels of a panel


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
