"""Count on the CPU in one compiled loop that reads predictions and label once (``pip install monai-auxops[fast]``).

``compiled_loop`` holds the loop. It runs without the GIL in ``torch.get_num_threads()`` threads: the caller's and
short-lived ones, because a pool would not survive a fork in a DataLoader. numba compiles it at the first call for each
set of dtypes, and caches it on disk for the next process.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monai_auxops.counting import backend_blocked as blocked
from monai_auxops.counting.compiled_loop import Kernel, add_by_class, count_joint, count_masks
from monai_auxops.counting.counts import Counts, Membership, counts_of_sums

__all__ = ["count", "table"]

TILE = 384  # voxels at a time: their maxima and codes stay in the L1 cache
LONG_TILE = 65_536  # with many rows, so that the prefetcher sees a stream in each
MIN_LONG_ROWS = 6  # rows from which reading them costs more than the tile's maxima leaving the L1 cache
MAX_CLASSES = 32_767  # a code has 32 bits
MAX_FREE_ENTRIES = 65_536  # entries of all tables that cost nothing, even with few voxels
PER_THREAD = 4_000_000  # logits for which starting a thread is worthwhile

SCORES = {torch.float32: np.float32, torch.float64: np.float64}  # each pair of dtypes takes seconds to compile, once
LABELS = (torch.float32, torch.int64, torch.int32, torch.uint8, torch.bool)

_kept_memory: list[Any] = []  # buffers of maxima and codes; allocating them anew often adds half of the loop's time


def count(x: Tensor, y: Tensor, membership: Membership) -> Counts:
    """Count ``x`` ``[B, C, *S]`` against ``y`` ``[B, C or 1, *S]``."""
    rows, (batch, classes) = _rows(x, y), x.shape[:2]
    joint = membership.exclusive and not membership.onehot
    if rows is None or (joint and batch * 4 * (classes + 1) ** 2 > max(MAX_FREE_ENTRIES, x.numel())):
        return blocked.count(x, y, membership)
    if joint:
        sums = np.zeros((batch, 4, classes), np.int64)
        add_by_class(_run(count_joint, *rows, (classes + 1) ** 2), sums)
    else:
        options = None if membership.exclusive else float(membership.threshold), membership.onehot or None
        sums = _run(count_masks, *rows, classes, *options)
    return counts_of_sums(*torch.from_numpy(sums).unbind(1))


def table(x: Tensor, y: Tensor) -> Tensor:
    """Count by label class and predicted class, ``[B, C, C]``."""
    rows, size = _rows(x, y), x.shape[1] + 1
    if rows is None:
        return blocked.table(x, y)
    joint = _run(count_joint, *rows, size**2).sum(1).reshape(-1, size, size)
    return torch.from_numpy(joint)[:, :-1, :-1]


def _rows(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor] | None:
    """View both as ``[B, C, n]`` with adjacent voxels; None if that would copy, and where the loop does not count."""
    if x.dtype not in SCORES or y.dtype not in LABELS or x.shape[1] > MAX_CLASSES or not x.numel():
        return None
    flat = blocked.flattened(x, y)
    return flat if all(t.ndim == 3 and 1 in (t.stride(2), t.shape[2]) for t in flat) else None


def _run(kernel: Kernel, x: Tensor, y: Tensor, size: int, *options: float | None) -> Any:
    """Count in threads that share the voxels of all samples; return an int64 array ``[B, 4, size]``."""
    count_part = partial(_count_part, kernel, x, y, size, options)
    voxels, threads = x.shape[0] * x.shape[2], min(torch.get_num_threads(), x.numel() // PER_THREAD)
    if threads <= 1:
        return count_part(0, voxels)[1]
    ends = [voxels * k // threads for k in range(threads + 1)]
    total = np.zeros((x.shape[0], 4, size), np.int64)
    with ThreadPoolExecutor(threads - 1) as pool:
        others = pool.map(count_part, ends[1:], ends[2:])
        for samples, part in (count_part(0, ends[1]), *others):
            total[samples] += part
    return total


def _count_part(
    kernel: Kernel, x: Tensor, y: Tensor, size: int, options: tuple[float | None, ...], start: int, stop: int
) -> tuple[slice, Any]:
    """Count the voxels from ``start`` to ``stop``; return the samples they belong to, and the counts of these."""
    classes, n = x.shape[1:]
    first, last = start // n, (stop - 1) // n
    counts, memory = np.zeros((last - first + 1, 4, size), np.int64), _tile_memory()
    best = memory[: 8 * LONG_TILE].view(SCORES[x.dtype])
    codes = memory[8 * LONG_TILE :].view(np.min_scalar_type((classes + 1) ** 2 - 1))
    tile = TILE if classes < MIN_LONG_ROWS else LONG_TILE
    kernel(*elements(x), *elements(y), classes, n, tile, start, stop, counts, best, codes, *options)
    _kept_memory.append(memory)
    return slice(first, last + 1), counts


def _tile_memory() -> Any:
    """Return kept memory, 8 bytes for a maximum and 4 for a code of each voxel; new if other threads use all of it."""
    try:
        return _kept_memory.pop()
    except IndexError:
        return np.empty(12 * LONG_TILE, np.uint8)


def elements(t: Tensor) -> tuple[Any, int, int]:
    """Return the elements of ``[B, C, n]`` in memory order, and the strides of samples and channels."""
    (samples, channels, voxels), (by_sample, by_channel, by_voxel) = t.shape, t.stride()
    length = 1 + (samples - 1) * by_sample + (channels - 1) * by_channel + (voxels - 1) * by_voxel
    memory = t.as_strided((length,), (1,)).numpy()
    return memory.view(np.uint8) if t.dtype == torch.bool else memory, by_sample, by_channel
