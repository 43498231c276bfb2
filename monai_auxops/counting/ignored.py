"""Labels that are left out: the option ignore_index, and voxels that have such a label."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor


def unlabeled(label: Tensor, left_out: Tensor, onehot: bool) -> Tensor:
    """Return the label with -1, which is not counted, where a voxel is left out."""
    if not onehot and label.dim() < left_out.dim():
        label = label.unsqueeze(1)
    if not label.is_floating_point():
        label = label.float() if onehot else label.long()  # an unsigned label has no -1
    return label.masked_fill(left_out, -1)


def ignored_labels(ignore_index: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return ``ignore_index`` as a tuple; ``ValueError`` unless it is None, an integer or a list of integers."""
    if ignore_index is None:
        return ()
    every = [ignore_index] if isinstance(ignore_index, Integral) else ignore_index
    if not isinstance(every, Sequence) or not every or not all(is_integer(index) for index in every):
        raise ValueError(f"expected ignore_index to be an integer or a list of integers, got {ignore_index!r}")
    return tuple(map(int, every))


def where_equal(label: Tensor, value: int) -> Tensor:
    """Return where ``label`` is ``value``, also for a value that the label's dtype cannot hold, such as 255 in int8.

    Examples:
        >>> where_equal(torch.tensor([-1, 1], dtype=torch.int8), 255)
        tensor([False, False])
    """
    if label.is_floating_point():
        return (label if label.dtype in (torch.float32, torch.float64) else label.float()) == value
    lowest, highest = (0, 1) if label.dtype == torch.bool else (_limit(label).min, _limit(label).max)
    if not lowest <= value <= highest:
        return torch.zeros_like(label, dtype=torch.bool)
    return label == value


def _limit(label: Tensor) -> torch.iinfo:
    return torch.iinfo(label.dtype)


def is_integer(value: object) -> bool:
    """Tell whether an option is an integer; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)
