"""How many predictions are right, sample by sample: element by element, or class by class."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from monai_auxops.counting.counts import Counts
from monai_auxops.counting.overlap import ratio


class Shares(NamedTuple):
    """Exact int64 counts ``[B]``: the elements predicted right, and those that have a label at all."""

    right: Tensor
    labeled: Tensor

    def accuracy(self) -> Tensor:
        """``right / labeled``, NaN where nothing is labeled."""
        return ratio(self.right, self.labeled)


def of_elements(predictions: Tensor, label: Tensor, threshold: float = 0.5) -> Shares:
    """Compare ``(p > threshold) == (y > 0.5)`` where the label lies within 0..1; a NaN prediction is never right.

    >>> import torch
    >>> of_elements(torch.tensor([[0.9, 0.2, 0.7, 0.7]]), torch.tensor([[1, 1, 0, -1]]))
    Shares(right=tensor([1]), labeled=tensor([3]))
    """
    labeled = (label >= 0) & (label <= 1)  # false for NaN
    right = ((predictions > threshold) == (label > 0.5)) & ~predictions.isnan() & labeled
    return Shares(right.flatten(1).sum(1), labeled.flatten(1).sum(1))


def of_classes(counts: Counts) -> Shares:
    """From the counts of exclusive classes ``[B, C]``: a voxel is right in its own class."""
    return Shares(counts.tp.sum(1), (counts.tp + counts.fn).sum(1))
