"""Voxel counts of one batch: true and false positives and negatives of each class in each sample.

Every accuracy-like aux-op is arithmetic on these integers, so nothing else reads voxels. This module defines what is
counted. Four backends count, with identical results; ``backend`` chooses one:

- ``backend_vectorized``: a handful of whole-tensor operations, on any device; the reference
- ``backend_blocked``: plain torch in blocks that stay in the CPU's cache
- ``backend_numba``: one compiled loop, where numba is installed (``pip install monai-auxops[fast]``)
- ``backend_triton``: one kernel on a CUDA device, where triton is installed (it comes with torch there)
"""

from __future__ import annotations

import functools
import importlib.util
import os
import warnings
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor

__all__ = ["Counts", "backend", "confusion", "count"]

BACKENDS = ("vectorized", "blocked", "numba", "triton")


class Counts(NamedTuple):
    """Exact int64 counts ``[B, C]`` on the predictions' device; their sum is the number of voxels counted."""

    tp: Tensor
    fp: Tensor
    fn: Tensor
    tn: Tensor


class Membership(NamedTuple):
    """How a voxel gets its classes."""

    exclusive: bool  # predicted in the class of the first maximum, else wherever the score exceeds the threshold
    onehot: bool  # labeled wherever the label's channel exceeds 0.5, else in the class of its index
    threshold: float = 0.5


class Backend(Protocol):
    """The two functions of every backend module; their tensors are plain, checked and detached."""

    def count(self, x: Tensor, y: Tensor, membership: Membership) -> Counts:
        """Count ``x`` ``[B, C, *S]`` against ``y`` ``[B, C or 1, *S]``."""

    def table(self, x: Tensor, y: Tensor) -> Tensor:
        """Count by label class and predicted class, ``[B, C, C]``."""


def count(
    predictions: Tensor, label: Tensor, *, independent: bool = False, onehot: bool = False, threshold: float = 0.5
) -> Counts:
    """Count true and false positives and negatives per sample and class.

    A voxel is predicted in the class of its first highest score; in none if one of its scores is NaN. With
    ``independent``, and always with one channel, it is predicted in every class whose score exceeds ``threshold``.
    It is labeled in the class of its index, or with ``onehot`` in every class whose label exceeds 0.5. Voxels whose
    index is not a class (negative, NaN, a fraction, too large) are left out of all four counts. With one channel,
    index 1 is the class and index 0 the background.

    Args:
        predictions: scores ``[B, C, *S]`` with 0 to 3 spatial dimensions; also integers if they are thresholded.
        label: indices ``[B, 1, *S]`` or ``[B, *S]``, or with ``onehot`` ``[B, C, *S]``; any real dtype.
        independent: threshold each class on its own instead of taking the highest.
        onehot: the label has one channel per class.
        threshold: on the scale of ``predictions``, compared in float32 (in float64 if they are float64).

    Example:
        >>> scores = torch.tensor([[[0.9, 0.2, 0.4, 0.1], [0.1, 0.8, 0.6, 0.9]]])
        >>> count(scores, torch.tensor([[[0, 1, 0, 255]]]))
        Counts(tp=tensor([[1, 1]]), fp=tensor([[0, 1]]), fn=tensor([[1, 0]]), tn=tensor([[1, 1]]))
    """
    membership = Membership(
        exclusive=not independent and predictions.shape[1:2] != (1,), onehot=onehot, threshold=threshold
    )
    x, y = _checked_tensors(predictions, label, membership)
    return _module(backend(x.device)).count(x, y, membership)


def count_indices(predictions: Tensor, label: Tensor, classes: int, *, onehot: bool = False) -> Counts:
    """Count like ``count``, but from predicted class indices ``[B, 1, *S]`` out of ``classes``.

    An index that is not a class predicts none.

    Example:
        >>> count_indices(torch.tensor([[[0, 1, 2, 9]]]), torch.tensor([[[0, 1, 0, 1]]]), classes=2)
        Counts(tp=tensor([[1, 1]]), fp=tensor([[0, 0]]), fn=tensor([[1, 1]]), tn=tensor([[2, 2]]))
    """
    from monai_auxops.counting import backend_vectorized as vectorized  # which imports this module

    x, y = _checked_tensors(predictions, label, Membership(exclusive=False, onehot=False), classes if onehot else 1)
    if x.shape[1] != 1:
        raise ValueError(f"count: expected predictions [B, 1, *S] of class indices, got predictions {_tensor_text(x)}")
    predicted = vectorized.label_class(x[:, 0], classes)
    if not onehot:
        return vectorized.count_between(predicted, vectorized.label_class(y[:, 0], classes), classes)
    numbers = torch.arange(classes, device=x.device).view(1, -1, *[1] * (x.ndim - 2))
    scores = (predicted.unsqueeze(1) == numbers).float()
    return count(scores, y, independent=True, onehot=True)


def confusion(predictions: Tensor, label: Tensor) -> Tensor:
    """Count voxels by label class (row) and predicted class (column): int64 ``[B, C, C]``, C of at least 2.

    Classes are exclusive and labels are indices. Voxels that ``count`` leaves out, and voxels predicted in no
    class because a score is NaN, appear in no entry.

    Example:
        >>> scores = torch.tensor([[[0.9, 0.2, 0.4, 0.1], [0.1, 0.8, 0.6, 0.9]]])
        >>> confusion(scores, torch.tensor([[[0, 1, 0, 255]]]))
        tensor([[[1, 1],
                 [0, 1]]])
    """
    x, y = _checked_tensors(predictions, label, Membership(exclusive=True, onehot=False))
    if x.shape[1] == 1:
        raise ValueError(f"confusion: expected at least 2 channels, got predictions {_tensor_text(x)}")
    return _module(backend(x.device)).table(x, y)


def backend(device: torch.device | str = "cpu") -> str:
    """Return the name of the backend that counts on ``device``: the fastest one that works there.

    The environment variable ``MONAI_AUXOPS_COUNTS`` (``vectorized``, ``blocked``, ``numba`` or ``triton``) overrides
    the choice. A compiled backend that is installed but does not work is reported once and not used.
    """
    if forced := os.environ.get("MONAI_AUXOPS_COUNTS"):
        if forced not in BACKENDS:
            raise ValueError(f"MONAI_AUXOPS_COUNTS: expected one of {', '.join(BACKENDS)}, got {forced!r}")
        return forced
    kind = torch.device(device).type
    if kind == "cuda":
        return "triton" if _works("triton", kind) else "vectorized"
    if kind == "cpu":
        return "numba" if _works("numba", kind) else "blocked"
    return "vectorized"


@functools.cache
def _works(name: str, device: str) -> bool:
    """Tell whether a compiled backend is installed and can count two voxels."""
    if importlib.util.find_spec(name) is None:
        return False
    try:
        x, y = torch.zeros(1, 2, 2, device=device), torch.zeros(1, 1, 2, device=device)
        _module(name).count(x, y, Membership(exclusive=True, onehot=False))
    except Exception as error:  # a compiler's failures have no common type
        warnings.warn(f"monai_auxops counts without {name}, which does not work here: {error!r}", stacklevel=4)
        return False
    return True


@functools.cache
def _module(name: str) -> Backend:
    return cast("Backend", importlib.import_module(f"monai_auxops.counting.backend_{name}"))


def counts_of_sums(both: Tensor, predicted: Tensor, labeled: Tensor, valid: Tensor) -> Counts:
    """Return counts from the voxels in both, in the prediction, in the label, and in total."""
    return Counts(both, predicted - both, labeled - both, valid - predicted - labeled + both)


def _checked_tensors(
    predictions: Tensor, label: Tensor, membership: Membership, channels: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return plain tensors, the label with its channels; ``ValueError`` with both shapes if they do not fit."""
    x, y = (t.as_tensor() if hasattr(t, "as_tensor") else t for t in (predictions, label))

    def wrong(expected: str) -> ValueError:
        came = f"predictions {_tensor_text(x)} and label {_tensor_text(y)}"
        return ValueError(f"expected {expected}, got {came}{_hint_of_stack(x, label)}")

    if not 2 <= x.ndim <= 5 or x.shape[1] == 0:
        raise wrong("predictions [B, C, *S] with 0 to 3 spatial dimensions")
    if x.is_complex() or y.is_complex():
        raise wrong("real predictions and a real label")
    if x.device != y.device:
        raise wrong("predictions and label on one device")
    channels = channels or (x.shape[1] if membership.onehot else 1)
    if channels == 1 and y.ndim == x.ndim - 1:
        y = y.unsqueeze(1)
    expected = (x.shape[0], channels, *x.shape[2:])
    if y.shape != expected:
        kind = "a one-hot label" if membership.onehot else "a label of class indices"
        is_onehot = not membership.onehot and y.shape == x.shape
        hint = " (is_onehot_targets=True accepts a one-hot label)" if is_onehot else ""
        raise wrong(f"{kind} of shape {list(expected)}{hint}")
    if membership.exclusive and not x.is_floating_point():
        x = x.float()  # a one-hot prediction: float32 holds integers below 2**24
    return x.detach(), y.detach()


def _hint_of_stack(predictions: Tensor, label: Tensor) -> str:
    """Return what helps if predictions are stacked outputs ``[B, N, C, *S]``, as those of MONAI's DynUNet."""
    is_stack = predictions.ndim == label.ndim + 1 >= 4 and predictions.shape[3:] == label.shape[2:]
    return "; of stacked outputs (deep supervision) measure one, as in predictions[:, 0]" if is_stack else ""


def _tensor_text(t: Tensor) -> str:
    return f"{list(t.shape)} {t.dtype} on {t.device}"
