"""Correct predictions per sample, compared element by element or class by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from monai_auxops.counting.backend_vectorized import exceeds
from monai_auxops.counting.blocks import fused_sums, sum_in_blocks
from monai_auxops.counting.ignored import where_equal
from monai_auxops.counting.overlap import ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monai_auxops.counting.counts import Counts


class Shares(NamedTuple):
    """Exact int64 counts ``[B]``: correct elements, elements with a label, and elements whose label is above 1."""

    right: Tensor
    labeled: Tensor
    above: Tensor

    def accuracy(self) -> Tensor:
        """Return ``right / labeled``, NaN where nothing is labeled."""
        return ratio(self.right, self.labeled)


def shares_of_elements(
    predictions: Tensor,
    label: Tensor,
    threshold: float = 0.5,
    ignored: Sequence[int] = (),
    mask: Tensor | None = None,
) -> Shares:
    """Compare ``(p > threshold) == (y > 0.5)`` where the label is within 0..1; a NaN prediction is never right.

    Args:
        predictions: ``[B, C, *S]``.
        label: of that shape.
        threshold: on the scale of the predictions.
        ignored: labels to leave out.
        mask: of that shape, or expanded to it; only elements where it is positive count.

    Examples:
        >>> import torch
        >>> shares_of_elements(torch.tensor([[0.9, 0.2, 0.7, 0.7]]), torch.tensor([[1, 1, 0, -1]]))
        Shares(right=tensor([1]), labeled=tensor([3]), above=tensor([0]))
    """
    if mask is None and not ignored:
        fused = fused_sums(predictions, label, threshold)
        if fused is not None:
            return Shares(*fused)

    def parts(p: Tensor, y: Tensor, inside: Tensor | None = None) -> Iterator[Tensor]:
        y = comparable(y)
        labeled, above = y >= 0, y > 1  # false for NaN
        for counts in _counting(y, ignored, inside):
            labeled &= counts
            above &= counts
        yield above
        labeled ^= above
        del above  # before the next masks, because on a GPU each is as large as the batch
        yield labeled
        right = exceeds(p, threshold).eq_(y > 0.5)
        right &= torch.eq(p, p)  # false for NaN
        right &= labeled
        yield right

    tensors = [predictions, label] if mask is None else [predictions, label, mask]
    above, labeled, right = sum_in_blocks(parts, tensors, range(1, predictions.dim()))
    return Shares(right, labeled, above)


def _counting(y: Tensor, ignored: Sequence[int], mask: Tensor | None) -> Iterator[Tensor]:
    """Yield where elements are not ignored, and where they are inside of the mask."""
    for value in ignored:
        yield ~where_equal(y, value)
    if mask is not None:
        yield mask > 0


def comparable(label: Tensor) -> Tensor:
    """Return the label in a dtype that torch compares on every device, which wide unsigned types are not."""
    if label.dtype.is_signed or label.dtype in (torch.bool, torch.uint8):
        return label
    return label.long()


def shares_of_classes(counts: Counts) -> Shares:
    """Return shares from counts of exclusive classes ``[B, C]``: a voxel is right if predicted in its own class."""
    right = counts.tp.sum(1)
    return Shares(right, right + counts.fn.sum(1), torch.zeros_like(right))
