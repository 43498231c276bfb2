"""Count in a handful of whole-tensor operations: on any device, without host synchronization; the reference backend."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from monai_auxops.counting.counts import Counts, Membership, counts_of_sums

__all__ = ["count", "count_between", "counts_of_joint", "exceeds", "label_class", "table"]

MAX_FREE_ENTRIES = 16_384  # entries of all tables that cost nothing, even with few voxels
LANES = {
    "cpu": 1
}  # tables that share the additions, by device; many on a GPU, where additions to one entry wait for each other
MOST_LANES, ENTRIES = 256, 65_536


def count(x: Tensor, y: Tensor, membership: Membership) -> Counts:
    """Count ``x`` ``[B, C, *S]`` against ``y`` ``[B, C or 1, *S]``."""
    classes = x.shape[1]
    if membership.exclusive and not membership.onehot:
        return count_between(_score_class(x), label_class(y[:, 0], classes), classes)
    numbers = torch.arange(classes, device=x.device).view(1, -1, *[1] * (x.ndim - 2))
    predicted = _score_class(x).unsqueeze(1) == numbers if membership.exclusive else exceeds(x, membership.threshold)
    if membership.onehot:
        labeled, valid = exceeds(y, 0.5), _is_annotated(y)
    elif classes == 1:
        labeled, valid = y == 1, (y == 0) | (y == 1)
    else:
        named = label_class(y, classes)
        labeled, valid = named == numbers, named < classes
    return counts_of_sums(_voxels(predicted & labeled), _voxels(predicted & valid), _voxels(labeled), _voxels(valid))


def table(x: Tensor, y: Tensor) -> Tensor:
    """Count by label class and predicted class, ``[B, C, C]``."""
    return _joint(_score_class(x), label_class(y[:, 0], x.shape[1]), x.shape[1])[:, :-1, :-1]


def count_between(predicted: Tensor, labeled: Tensor, classes: int) -> Counts:
    """Count predicted against labeled classes, both int64 ``[B, *S]`` with ``classes`` where there is none."""
    if predicted.shape[0] * (classes + 1) ** 2 <= max(MAX_FREE_ENTRIES, predicted.numel()):
        return counts_of_joint(_joint(predicted, labeled, classes)[:, :-1])
    return _by_class(predicted, labeled, classes)


def counts_of_joint(joint: Tensor) -> Counts:
    """Sum counts by label class and predicted class ``[B, C, C + 1]``; the last column is predicted in no class."""
    both = joint[:, :, :-1].diagonal(dim1=1, dim2=2)
    return counts_of_sums(both, joint[:, :, :-1].sum(1), joint.sum(2), joint.sum((1, 2)).unsqueeze(1))


def _joint(predicted: Tensor, labeled: Tensor, classes: int) -> Tensor:
    """Count by label class and predicted class, C where there is none, ``[B, C + 1, C + 1]``."""
    size = classes + 1
    key = (labeled * size).add_(predicted)
    return _histogram(key, size**2).view(-1, size, size)


def label_class(y: Tensor, classes: int) -> Tensor:
    """Return the label's class as int64, ``classes`` where it is not a class."""
    if not y.is_floating_point():
        y = y.long()
        return y.masked_fill((y < 0) | (y >= classes), classes)
    named = (y >= 0) & (y < classes) & (y == y.trunc())
    return y.masked_fill(~named, 0).long().masked_fill(~named, classes)


def _score_class(x: Tensor) -> Tensor:
    """Return the first maximum over channels, ``C`` where a score is NaN; on CPU ``argmax`` is many times slower."""
    best = x.max(dim=1)
    return best.indices.masked_fill(best.values.isnan(), x.shape[1])


def _by_class(predicted: Tensor, labeled: Tensor, classes: int) -> Counts:
    """Count class by class, for when a table would have more entries than there are voxels."""
    valid = labeled < classes
    return counts_of_sums(
        both=_histogram(labeled.masked_fill(labeled != predicted, classes), classes + 1)[:, :-1],
        predicted=_histogram(predicted.masked_fill(~valid, classes), classes + 1)[:, :-1],
        labeled=_histogram(labeled, classes + 1)[:, :-1],
        valid=_voxels(valid.unsqueeze(1)),
    )


def exceeds(t: Tensor, threshold: float) -> Tensor:
    """Compare in float32 where the tensor's own precision would round the threshold."""
    return (t if _holds(t.dtype, threshold) else t.float()) > threshold


@functools.lru_cache(maxsize=64)
def _holds(dtype: torch.dtype, threshold: float) -> bool:
    """Tell whether comparing with ``threshold`` in ``dtype`` is comparing in float32."""
    if dtype in (torch.float32, torch.float64):
        return True
    return dtype.is_floating_point and torch.tensor(threshold, dtype=dtype, device="cpu").item() == threshold


def _is_annotated(y: Tensor) -> Tensor:
    """Return where a one-hot label is neither negative nor NaN: voxels without annotation are not counted."""
    return y >= 0 if y.dtype.is_signed else torch.ones_like(y[:, :1], dtype=torch.bool)


def _histogram(index: Tensor, size: int) -> Tensor:
    """Count each sample's indices 0 to ``size - 1``, ``[B, size]``.

    ``bincount`` would synchronize with the host. The index is one-dimensional, because only then torch has the
    deterministic ``scatter_add_`` on CUDA that ``torch.use_deterministic_algorithms`` requires.
    """
    batch, voxels, device = index.shape[0], math.prod(index.shape[1:]), index.device
    lanes = LANES.get(device.type, max(1, min(MOST_LANES, ENTRIES // size, voxels)))
    lanes = 1 << lanes.bit_length() - 1  # a power of two: a bit mask is exact on every device
    start = torch.arange(batch, device=device).mul_(lanes * size).unsqueeze(1)
    if lanes > 1:
        start = start + torch.arange(voxels, device=device).bitwise_and_(lanes - 1).mul_(size)
    index = (index.reshape(batch, voxels) + start).flatten()
    counts = torch.zeros(batch * lanes * size, dtype=torch.int64, device=device)
    return counts.scatter_add_(0, index, counts.new_ones(()).expand(index.shape)).view(batch, lanes, size).sum(1)


def _voxels(mask: Tensor) -> Tensor:
    return mask.flatten(2).sum(2) if mask.ndim > 2 else mask.long()
