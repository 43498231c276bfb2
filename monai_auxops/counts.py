"""Voxel counts of one batch: how many true and false positives and negatives each class has in each sample.

Every accuracy-like aux-op is arithmetic on these integers, so this is the one place that reads voxels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Counts", "confusion", "count"]


class Counts(NamedTuple):
    """Exact int64 counts ``[B, C]`` on the predictions' device; their sum is the number of voxels counted."""

    tp: Tensor
    fp: Tensor
    fn: Tensor
    tn: Tensor


def count(
    predictions: Tensor, label: Tensor, *, independent: bool = False, onehot: bool = False, threshold: float = 0.5
) -> Counts:
    """Count true and false positives and negatives per sample and class.

    A voxel is predicted in the class of its first highest score; in none if one of its scores is NaN. With
    ``independent``, and always where there is one channel, it is predicted in every class whose score exceeds
    ``threshold``. It is labelled in the class its index names, or with ``onehot`` in every class whose label exceeds 0.5.
    Voxels whose index names no class (negative, NaN, a fraction, too large) are left out of all four counts. With
    one channel, index 1 is the class and index 0 its absence.

    Args:
        predictions: scores ``[B, C, *S]`` with 0 to 3 spatial dimensions; integers too where they are thresholded.
        label: indices ``[B, 1, *S]`` or ``[B, *S]``, or with ``onehot`` ``[B, C, *S]``; any real dtype.
        independent: threshold each class on its own instead of taking the highest.
        onehot: the label has one channel per class.
        threshold: on the scale of ``predictions``, compared in float32 (in float64 where they are float64).

    Example:
        >>> scores = torch.tensor([[[0.9, 0.2, 0.4, 0.1], [0.1, 0.8, 0.6, 0.9]]])
        >>> count(scores, torch.tensor([[[0, 1, 0, 255]]]))
        Counts(tp=tensor([[1, 1]]), fp=tensor([[0, 1]]), fn=tensor([[1, 0]]), tn=tensor([[1, 1]]))
    """
    x, y = _checked(predictions, label, onehot, thresholded=independent or predictions.shape[1:2] == (1,))
    if not (independent or onehot or x.shape[1] == 1):
        return _from_table(_table(x, y))
    if independent or x.shape[1] == 1:
        predicted = (x if x.dtype in (torch.float32, torch.float64) else x.float()) > threshold
    else:
        predicted = _class_of_score(x).unsqueeze(1) == _classes(x)
    if onehot:
        labelled, valid = y > 0.5, torch.ones_like(y[:, :1], dtype=torch.bool)
    elif x.shape[1] == 1:
        labelled, valid = y == 1, (y == 0) | (y == 1)
    else:
        code = _class_of_label(y, x.shape[1])
        labelled, valid = code == _classes(x), code < x.shape[1]
    return _from_sums(
        tp=_voxels(predicted & labelled), p=_voxels(predicted & valid), t=_voxels(labelled), n=_voxels(valid)
    )


def confusion(predictions: Tensor, label: Tensor) -> Tensor:
    """Count voxels by label class (row) and predicted class (column): int64 ``[B, C, C]``, C of at least 2.

    Classes are exclusive and labels are indices. Voxels that :func:`count` leaves out, and voxels predicted in no
    class because a score is NaN, are in no entry.

    Example:
        >>> scores = torch.tensor([[[0.9, 0.2, 0.4, 0.1], [0.1, 0.8, 0.6, 0.9]]])
        >>> confusion(scores, torch.tensor([[[0, 1, 0, 255]]]))
        tensor([[[1, 1],
                 [0, 1]]])
    """
    x, y = _checked(predictions, label, onehot=False, thresholded=False)
    if x.shape[1] == 1:
        raise ValueError(f"confusion: expected at least 2 channels, got predictions {_described(predictions)}")
    return _table(x, y)[:, :-1, :-1]


def _checked(predictions: Tensor, label: Tensor, onehot: bool, thresholded: bool) -> tuple[Tensor, Tensor]:
    """Return plain tensors, the label with a channel dimension, or raise a ValueError that shows both."""
    x, y = (t.as_tensor() if hasattr(t, "as_tensor") else t for t in (predictions, label))
    got = f"got predictions {_described(x)} and label {_described(y)}"
    if not 2 <= x.ndim <= 5 or x.shape[1] == 0:
        raise ValueError(f"count: expected predictions [B, C, *S] with 0 to 3 spatial dimensions, {got}")
    if x.is_complex() or y.is_complex() or not (thresholded or x.is_floating_point()):
        raise ValueError(f"count: expected floating-point predictions and a real label, {got}")
    if x.device != y.device:
        raise ValueError(f"count: expected both on one device, {got}")
    if not onehot and y.ndim == x.ndim - 1:
        y = y.unsqueeze(1)
    expected = (x.shape[0], x.shape[1] if onehot else 1, *x.shape[2:])
    if y.shape != expected:
        raise ValueError(f"count: expected a label of shape {list(expected)} (onehot={onehot}), {got}")
    return x.detach(), y.detach()


def _described(t: Tensor) -> str:
    return f"{list(t.shape)} {t.dtype} on {t.device}"


def _classes(x: Tensor) -> Tensor:
    return torch.arange(x.shape[1], device=x.device).view(1, -1, *[1] * (x.ndim - 2))


def _class_of_score(x: Tensor) -> Tensor:
    """First maximum over channels, C where a score is NaN."""
    best = x.max(dim=1)
    return best.indices.masked_fill(best.values.isnan(), x.shape[1])


def _class_of_label(y: Tensor, classes: int) -> Tensor:
    """The label as int64, ``classes`` where it names no class."""
    if not y.is_floating_point():
        y = y.long()
        return y.masked_fill((y < 0) | (y >= classes), classes)
    named = (y >= 0) & (y < classes) & (y == y.trunc())
    return y.masked_fill(~named, 0).long().masked_fill(~named, classes)


def _table(x: Tensor, y: Tensor) -> Tensor:
    """Joint counts ``[B, C + 1, C + 1]``: the last row has no label class, the last column no predicted class."""
    b, c = x.shape[:2]
    code = _class_of_label(y[:, 0], c) * (c + 1) + _class_of_score(x)
    table = torch.zeros(b, (c + 1) ** 2, dtype=torch.int64, device=x.device)
    code = code.reshape(b, -1) if code.numel() else code.new_zeros(b, 0)
    table.scatter_add_(1, code, torch.ones((), dtype=torch.int64, device=x.device).expand(code.shape))
    return table.view(b, c + 1, c + 1)


def _from_table(table: Tensor) -> Counts:
    valid = table[:, :-1]
    tp = valid[:, :, :-1].diagonal(dim1=1, dim2=2)
    return _from_sums(tp, p=valid.sum(1)[:, :-1], t=valid.sum(2), n=valid.sum((1, 2)).unsqueeze(1))


def _from_sums(tp: Tensor, p: Tensor, t: Tensor, n: Tensor) -> Counts:
    return Counts(tp, p - tp, t - tp, n - p - t + tp)


def _voxels(mask: Tensor) -> Tensor:
    return mask.flatten(2).sum(2) if mask.ndim > 2 else mask.long()
