"""Count on the CPU in one compiled loop that reads predictions and label once (``pip install monai-auxops[fast]``).

The loop takes hundreds or thousands of voxels at a time, so that their running maxima and classes stay in a cache, and
four channels per pass over them, so that most loads are scores. Integers stay 32 bits wide (numba widens their sums to
64), so that a vector register holds as many of them as float32 scores. ``None`` for an option compiles the loop without
its branch. The loop runs without the GIL in ``torch.get_num_threads()`` short-lived threads, because a pool would not
survive a fork in a DataLoader. numba compiles it at the first call for each pair of dtypes, and caches it on disk for
the next process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from monai_auxops.counting import backend_blocked as blocked
from monai_auxops.counting import backend_vectorized as vectorized
from monai_auxops.counting.counts import Counts, Membership, counts_of_sums

__all__ = ["count", "table"]

TILE, LONG_TILE = (
    512,
    16_384,
)  # voxels at a time; the long one with many rows, so that the prefetcher sees a stream in each
MIN_LONG_ROWS = 6  # rows from which reading them costs more than the tile's maxima leaving the L1 cache
MAX_MASKED_CLASSES = 4  # classes up to which comparing every voxel with each class is faster than a table
PER_THREAD = 4_000_000  # logits that make starting a thread worthwhile

SCORES = (torch.float32, torch.float64)  # each pair of dtypes takes seconds to compile, once
LABELS = (torch.float32, torch.int64, torch.int32, torch.uint8, torch.bool)

compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(nogil=True, cache=True, error_model="numpy")


class _Buffers(threading.local):
    """Maxima, predicted and label classes of a tile, for each thread.

    The calling thread keeps its buffers, because allocating them anew often adds half the time again.
    """

    def __init__(self) -> None:
        self.best = {torch.float32: np.empty(LONG_TILE, np.float32), torch.float64: np.empty(LONG_TILE, np.float64)}
        self.classes = np.empty(LONG_TILE, np.int32), np.empty(LONG_TILE, np.int32)


_buffers = _Buffers()


def count(x: Tensor, y: Tensor, membership: Membership) -> Counts:
    """Count ``x`` ``[B, C, *S]`` against ``y`` ``[B, C or 1, *S]``."""
    rows = _rows(x, y)
    if rows is None:
        return blocked.count(x, y, membership)
    classes, voxels = rows[0].shape[1:]
    if (
        membership.exclusive
        and not membership.onehot
        and classes > MAX_MASKED_CLASSES
        and 4 * (classes + 1) ** 2 <= voxels
    ):
        return vectorized.counts_of_joint(_run(_count_joint, *rows, (classes + 1, classes + 1))[:, :-1])
    options = None if membership.exclusive else float(membership.threshold), membership.onehot or None
    both, p, t, valid = _run(_count_masks, *rows, (4, classes), *options).unbind(1)
    return counts_of_sums(both, p, t, valid)


def table(x: Tensor, y: Tensor) -> Tensor:
    """Count by label class and predicted class, ``[B, C, C]``."""
    rows = _rows(x, y)
    if rows is None:
        return blocked.table(x, y)
    return _run(_count_joint, *rows, (x.shape[1] + 1, x.shape[1] + 1))[:, :-1, :-1]


def _rows(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor] | None:
    """View both as ``[B, C, n]`` with adjacent voxels; None if that would copy, and for rare dtypes."""
    if x.dtype not in SCORES or y.dtype not in LABELS or not x.numel():
        return None
    flat = blocked.flattened(x, y)
    return flat if all(t.ndim == 3 and 1 in (t.stride(2), t.shape[2]) for t in flat) else None


def _run(kernel: Callable[..., Any], x: Tensor, y: Tensor, shape: tuple[int, int], *options: float | None) -> Tensor:
    """Count in threads that share the voxels of all samples evenly; return int64 ``[B, *shape]``."""
    (batch, _, n), threads = x.shape, max(1, min(torch.get_num_threads(), x.numel() // PER_THREAD))
    tile = TILE if x.shape[1] < MIN_LONG_ROWS else LONG_TILE
    shared = (*_memory(x), *_memory(y), *x.shape[1:], tile)

    def count_part(start: int, end: int) -> tuple[slice, Any]:
        first, last = start // n, (end - 1) // n  # the samples that this thread counts
        part = np.zeros((last - first + 1, *shape), np.int64)
        kernel(*shared, start, end, part, _buffers.best[x.dtype], *_buffers.classes, *options)
        return slice(first, last + 1), part

    if threads == 1:
        return torch.from_numpy(count_part(0, batch * n)[1])
    ends = [batch * n * k // threads for k in range(threads + 1)]
    total = torch.zeros(batch, *shape, dtype=torch.int64, device=x.device)
    with ThreadPoolExecutor(threads) as pool:
        for samples, part in pool.map(count_part, ends, ends[1:]):
            total[samples] += torch.from_numpy(part)
    return total


def _memory(t: Tensor) -> tuple[Any, int, int]:
    """Return the elements of ``[B, C, n]`` in memory order, and the strides of samples and channels."""
    length = 1 + sum((size - 1) * stride for size, stride in zip(t.shape, t.stride(), strict=True))
    memory = t.as_strided((length,), (1,)).numpy()
    return memory.view(np.uint8) if t.dtype == torch.bool else memory, t.stride(0), t.stride(1)


@compiled
def _count_joint(  # type: ignore[no-untyped-def]
    x, x_sample, x_class, y, y_sample, _, classes, voxels, tile, start, stop, out, best, predicted, labeled
):
    """Count by label class and predicted class, C where there is none.

    There are four tables, so that equal neighbors do not wait for the same counter.
    """
    first, size = start // voxels, classes + 1
    tables = np.zeros((4, size * size), np.int64)
    while start < stop:
        sample, voxel = start // voxels, start % voxels
        n = min(tile, voxels - voxel, stop - start)
        _first_maximum(x, sample * x_sample + voxel, x_class, classes, n, best, predicted)
        _label_class(y, sample * y_sample + voxel, classes, n, labeled)
        for i in range(n):
            predicted[i] += (labeled[i] if labeled[i] >= 0 else classes) * size
        for i in range(0, n - 3, 4):
            tables[0, predicted[i]] += 1
            tables[1, predicted[i + 1]] += 1
            tables[2, predicted[i + 2]] += 1
            tables[3, predicted[i + 3]] += 1
        for i in range(n - n % 4, n):
            tables[0, predicted[i]] += 1
        start += n
        if start % voxels == 0 or start == stop:
            for i in range(size * size):
                out[sample - first, i // size, i % size] += tables[0, i] + tables[1, i] + tables[2, i] + tables[3, i]
            tables[:] = 0


@compiled
def _count_masks(  # type: ignore[no-untyped-def]
    x, x_sample, x_class, y, y_sample, y_class, classes, voxels, tile, start, stop, out, best, predicted, labeled,
    threshold, onehot,
):  # fmt: skip
    """Count per class the voxels in both, in the prediction, in the label, and in all."""
    first, named = start // voxels, max(classes, 2)
    while start < stop:
        sample, voxel = start // voxels, start % voxels
        n = min(tile, voxels - voxel, stop - start)
        x_row, y_row = sample * x_sample + voxel, sample * y_sample + voxel
        if threshold is None:
            _first_maximum(x, x_row, x_class, classes, n, best, predicted)
        if onehot is None:
            _label_class(y, y_row, named, n, labeled)
        for c in range(classes):
            scores, marks = x[x_row + c * x_class :], y[y_row + c * y_class :]
            both = in_p = in_t = valid = np.int32(0)
            for i in range(n):
                p = predicted[i] == c if threshold is None else scores[i] > x.dtype.type(threshold)
                t = labeled[i] == c + named - classes if onehot is None else marks[i] > 0.5
                counts = labeled[i] >= 0 if onehot is None else marks[i] >= 0  # false for NaN, which is not annotated
                both = np.int32(both + (p & t))
                in_p = np.int32(in_p + (p & counts))
                in_t = np.int32(in_t + t)
                valid = np.int32(valid + counts)
            out[sample - first, 0, c] += both
            out[sample - first, 1, c] += in_p
            out[sample - first, 2, c] += in_t
            out[sample - first, 3, c] += valid
        start += n


@compiled
def _first_maximum(x, row, step, classes, n, best, found):  # type: ignore[no-untyped-def]
    """Write the class of the first maximum of ``n`` voxels, ``classes`` where a score is NaN."""
    last = row + (classes - 1) * step
    odd = np.int32(0)
    for c in range(0, classes, 4):
        odd |= _raise_maximum(x, row + c * step, step, last, np.int32(c), n, best, found)
    if odd != 0:  # a NaN, or infinities of both signs
        for c in range(classes):
            for i in range(n):
                if np.isnan(x[row + c * step + i]):
                    found[i] = classes


@compiled
def _raise_maximum(x, row, step, last, c, n, best, found):  # type: ignore[no-untyped-def]
    """Update the maxima with classes c to c + 3, repeating the last; return not 0 if a sum of scores is NaN."""
    row1, row2, row3 = min(row + step, last), min(row + 2 * step, last), min(row + 3 * step, last)
    x0, x1, x2, x3 = x[row : row + n], x[row1 : row1 + n], x[row2 : row2 + n], x[row3 : row3 + n]
    odd = np.int32(0)
    for i in range(n):
        b, f = (x0[i], c) if c == 0 else (best[i], found[i])
        f, b = (c, x0[i]) if x0[i] > b else (f, b)
        f, b = (c + np.int32(1), x1[i]) if x1[i] > b else (f, b)
        f, b = (c + np.int32(2), x2[i]) if x2[i] > b else (f, b)
        f, b = (c + np.int32(3), x3[i]) if x3[i] > b else (f, b)
        best[i], found[i] = b, f
        total = (x0[i] + x1[i]) + (x2[i] + x3[i])
        odd = np.int32(odd | np.int32(total != total))
    return odd


@compiled
def _label_class(y, row, classes, n, found):  # type: ignore[no-untyped-def]
    """Write the class of ``n`` voxels from their index, -1 where it is not a class."""
    part = y[row : row + n]
    for i in range(n):
        inside = np.int32(part[i]) if part[i] >= 0 and part[i] < classes else np.int32(-1)
        found[i] = inside if inside == part[i] else np.int32(-1)
