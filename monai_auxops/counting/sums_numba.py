"""Sum the elements of a batch on the CPU in one compiled loop that reads it once, as ``backend_numba`` counts it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from monai_auxops.counting.backend_blocked import flattened
from monai_auxops.counting.backend_numba import LABELS, PER_THREAD, SCORES, elements

__all__ = ["sums"]

TILE = 16_384  # elements whose number a 32-bit integer holds, as wide as a float32 in a vector register


def sums(x: Tensor, y: Tensor | None, threshold: float | None) -> tuple[Tensor, ...] | None:
    """Return what ``fused_sums`` promises; None if rows are not adjacent in memory, and for rare dtypes."""
    marks = x if y is None else y
    if x.dtype not in SCORES or (y is not None and y.dtype not in LABELS):
        return None
    x, marks = flattened(x.detach(), marks.detach())
    if any(t.ndim != 3 or 1 not in (t.stride(2), t.shape[2]) for t in (x, marks)):
        return None
    found = torch.from_numpy(_sum_in_threads(x, marks, threshold, None if y is None else True))
    return tuple(found.long()) if threshold is not None else (found[0], found[1].long())


def _sum_in_threads(x: Tensor, marks: Tensor, threshold: float | None, labeled: bool | None) -> Any:
    """Sum in threads that share the elements of all samples; return ``[3, B]``."""
    batch, classes, n = x.shape
    arguments = (*elements(x), *elements(marks), classes, n)

    def sum_part(start: int, end: int) -> Any:
        out = np.zeros((3, batch))
        _sum_rows(*arguments, start, end, out, threshold, labeled)
        return out

    threads = min(torch.get_num_threads(), x.numel() // PER_THREAD)
    if threads <= 1:
        return sum_part(0, x.numel())
    ends = [x.numel() * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(sum_part, ends, ends[1:]))


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})  # sums in lanes; NaN stays NaN
def _sum_rows(  # type: ignore[no-untyped-def]
    x, x_sample, x_class, y, y_sample, y_class, classes, voxels, start, stop, out, threshold, labeled
):
    """Add to ``out [3, B]`` the sums of the elements from ``start`` to ``stop``.

    None for an option compiles the loop without it.
    """
    while start < stop:
        row, voxel = start // voxels, start % voxels
        sample, c = row // classes, row % classes
        n = min(TILE, voxels - voxel, stop - start)
        values = x[sample * x_sample + c * x_class + voxel :]
        marks = y[sample * y_sample + c * y_class + voxel :]
        if threshold is None:
            total, number = 0.0, np.int32(0)
            for i in range(n):
                value = np.float64(values[i])
                valid = abs(value) < np.inf  # false for NaN
                if labeled is not None:
                    valid &= marks[i] >= 0
                total += value if valid else 0.0
                number = np.int32(number + valid)
            out[0, sample] += total
            out[1, sample] += number
        else:
            right = known = above = np.int32(0)
            for i in range(n):
                within = (marks[i] >= 0) & (marks[i] <= 1)  # false for NaN
                positive, negative = values[i] > x.dtype.type(threshold), values[i] <= x.dtype.type(threshold)
                same = (positive & (marks[i] > 0.5)) | (negative & (marks[i] <= 0.5))
                right = np.int32(right + (same & within))
                known = np.int32(known + within)
                above = np.int32(above + (marks[i] > 1))
            out[0, sample] += right
            out[1, sample] += known
            out[2, sample] += above
        start += n
