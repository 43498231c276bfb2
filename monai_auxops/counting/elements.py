"""Correct predictions per sample, compared element by element or class by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from monai_auxops.counting.backend_vectorized import exceeds
from monai_auxops.counting.overlap import ratio

if TYPE_CHECKING:
    from monai_auxops.counting.counts import Counts


class Shares(NamedTuple):
    """Exact int64 counts ``[B]``: correct elements, elements with a label, and elements whose label is above 1."""

    right: Tensor
    labeled: Tensor
    above: Tensor

    def accuracy(self) -> Tensor:
        """Return ``right / labeled``, NaN where nothing is labeled."""
        return ratio(self.right, self.labeled)


def of_elements(predictions: Tensor, label: Tensor, threshold: float = 0.5, left_out: Tensor | None = None) -> Shares:
    """Compare ``(p > threshold) == (y > 0.5)`` where the label is within 0..1; a NaN prediction is never right.

    Examples:
        >>> import torch
        >>> of_elements(torch.tensor([[0.9, 0.2, 0.7, 0.7]]), torch.tensor([[1, 1, 0, -1]]))
        Shares(right=tensor([1]), labeled=tensor([3]), above=tensor([0]))
    """
    if not label.dtype.is_signed and label.dtype not in (torch.bool, torch.uint8):
        label = label.long()  # torch compares wide unsigned types only on some devices
    above, known = label > 1, label >= 0  # false for NaN
    if left_out is not None:
        above, known = above & ~left_out, known & ~left_out
    labeled = known & ~above
    right = (exceeds(predictions, threshold) == (label > 0.5)) & ~predictions.isnan() & labeled
    return Shares(*(part.flatten(1).sum(1) for part in (right, labeled, above)))


def of_classes(counts: Counts) -> Shares:
    """Return shares from counts of exclusive classes ``[B, C]``: a voxel is right if predicted in its own class."""
    right = counts.tp.sum(1)
    return Shares(right, right + counts.fn.sum(1), torch.zeros_like(right))
