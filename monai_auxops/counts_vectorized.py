"""Counting in a handful of whole-tensor operations: any device, no host synchronization; the reference backend."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_auxops.counts import Counts, Rule, of_sums

__all__ = ["count", "label_class", "table"]


def count(x: Tensor, y: Tensor, rule: Rule) -> Counts:
    """Count ``x`` ``[B, C, *S]`` against ``y`` ``[B, C or 1, *S]``."""
    classes = x.shape[1]
    if rule.exclusive and not rule.onehot:
        return _exclusive_sums(_score_class(x), label_class(y[:, 0], classes), classes)
    numbers = torch.arange(classes, device=x.device).view(1, -1, *[1] * (x.ndim - 2))
    predicted = _score_class(x).unsqueeze(1) == numbers if rule.exclusive else _exceeds(x, rule.threshold)
    if rule.onehot:
        labelled, valid = _exceeds(y, 0.5), torch.ones_like(y[:, :1], dtype=torch.bool)
    elif classes == 1:
        labelled, valid = y == 1, (y == 0) | (y == 1)
    else:
        named = label_class(y, classes)
        labelled, valid = named == numbers, named < classes
    return of_sums(_voxels(predicted & labelled), _voxels(predicted & valid), _voxels(labelled), _voxels(valid))


def table(x: Tensor, y: Tensor) -> Tensor:
    """Count by label class and predicted class, ``[B, C, C]``."""
    classes = x.shape[1]
    predicted, labelled = _score_class(x), label_class(y[:, 0], classes)
    outside = (predicted == classes) | (labelled == classes)
    joint = (labelled * classes + predicted).masked_fill(outside, classes**2)
    return _histogram(joint, classes**2).view(-1, classes, classes)


def label_class(y: Tensor, classes: int) -> Tensor:
    """The label's class as int64, ``classes`` where it names none."""
    if not y.is_floating_point():
        y = y.long()
        return y.masked_fill((y < 0) | (y >= classes), classes)
    named = (y >= 0) & (y < classes) & (y == y.trunc())
    return y.masked_fill(~named, 0).long().masked_fill(~named, classes)


def _score_class(x: Tensor) -> Tensor:
    """First maximum over channels, ``C`` where a score is NaN; on CPU ``argmax`` is many times slower."""
    best = x.max(dim=1)
    return best.indices.masked_fill(best.values.isnan(), x.shape[1])


def _exclusive_sums(predicted: Tensor, labelled: Tensor, classes: int) -> Counts:
    valid = labelled < classes
    return of_sums(
        both=_histogram(labelled.masked_fill(labelled != predicted, classes), classes),
        predicted=_histogram(predicted.masked_fill(~valid, classes), classes),
        labelled=_histogram(labelled, classes),
        valid=_voxels(valid.unsqueeze(1)),
    )


def _exceeds(t: Tensor, threshold: float) -> Tensor:
    """Compare in float32: a half-precision comparison would round the threshold."""
    return (t if t.dtype in (torch.float32, torch.float64) else t.float()) > threshold


def _histogram(index: Tensor, size: int) -> Tensor:
    """Count each sample's indices below ``size``.

    ``bincount`` would synchronize with the host; one dimension, because only there torch has a deterministic
    ``scatter_add_`` on CUDA, which ``torch.use_deterministic_algorithms`` demands.
    """
    batch = index.shape[0]
    start = torch.arange(batch, device=index.device).view(-1, *[1] * (index.ndim - 1)) * (size + 1)
    index = (index + start).flatten()
    counts = torch.zeros(batch * (size + 1), dtype=torch.int64, device=index.device)
    return counts.scatter_add_(0, index, counts.new_ones(()).expand(index.shape)).view(batch, size + 1)[:, :size]


def _voxels(mask: Tensor) -> Tensor:
    return mask.flatten(2).sum(2) if mask.ndim > 2 else mask.long()
