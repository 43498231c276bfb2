"""The compiled loop of ``backend_numba``: it reads predictions and label once, a tile of voxels at a time.

::

    scores ──▶ first maximum ──▶ predicted ─┐
                                            ├──▶ code ──▶ four tables of counts
    label ───▶ class, or none ──▶ labeled ──┘

The running maxima and the codes of a tile stay in a cache, and four channels are read per pass over it, so that most
loads are scores. A code is ``labeled * (C + 1) + predicted`` in the smallest unsigned type that holds it: narrow codes
leave room in the cache, and unsigned ones need no care for negative indices. Other integers stay 32 bits wide (numba
widens their sums to 64), so that a vector register holds as many of them as float32 scores. ``None`` for an option
compiles the loop without its branch.

Scores and label come as flat memory with the strides of samples and channels; ``start`` and ``stop`` are voxels of all
samples in a row, and ``out`` ``[B, 4, ·]`` begins with the sample of ``start``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

__all__ = ["Kernel", "add_by_class", "count_joint", "count_masks"]

Kernel = Callable[..., Any]
compiled: Callable[[Kernel], Kernel] = njit(nogil=True, cache=True, error_model="numpy")


@njit(nogil=True, error_model="numpy")  # not cached: numba cannot compile a caller of a generator that it loads
def _tiles(start, stop, voxels, tile):  # type: ignore[no-untyped-def]
    """Yield sample, first voxel and size of each tile; a tile is of one sample."""
    while start < stop:
        size = min(tile, voxels - start % voxels, stop - start)
        yield start // voxels, start % voxels, size
        start += size


@compiled
def count_joint(  # type: ignore[no-untyped-def]
    x, x_sample, x_class, y, y_sample, _, classes, voxels, tile, start, stop, out, best, codes
):
    """Count by the code of label class and predicted class."""
    for sample, voxel, n in _tiles(start, stop, voxels, tile):
        _first_maximum(x, sample * x_sample + voxel, x_class, classes, n, best, codes)
        _add_label(y, sample * y_sample + voxel, classes, n, classes + 1, codes)
        _count_codes(codes, n, out[sample - start // voxels])


@compiled
def add_by_class(tables, sums):  # type: ignore[no-untyped-def]
    """Add codes up to the sums that ``count_masks`` counts."""
    batch, _, classes = sums.shape
    for b in range(batch):
        for table in tables[b]:
            for t in range(classes):
                row = table[t * (classes + 1) : (t + 1) * (classes + 1)]
                sums[b, 0, t] += row[t]
                sums[b, 2, t] += row.sum()
                for p in range(classes):
                    sums[b, 1, p] += row[p]
        sums[b, 3] = sums[b, 2].sum()


@compiled
def count_masks(  # type: ignore[no-untyped-def]
    x, x_sample, x_class, y, y_sample, y_class, classes, voxels, tile, start, stop, out, best, codes, threshold, onehot
):
    """Count per class the voxels in both, in the prediction, in the label, and in all."""
    named = max(classes, 2)
    for sample, voxel, n in _tiles(start, stop, voxels, tile):
        x_row, y_row = sample * x_sample + voxel, sample * y_sample + voxel
        if threshold is None:
            _first_maximum(x, x_row, x_class, classes, n, best, codes)
        if onehot is None:
            codes[:n] = 0
            _add_label(y, y_row, named, n, 1, codes)
        for c in range(classes):
            scores, marks = x[x_row + c * x_class :], y[y_row + c * y_class :]
            both = in_p = in_t = valid = np.int32(0)
            for i in range(n):
                p = codes[i] == c if threshold is None else scores[i] > x.dtype.type(threshold)
                t = codes[i] == c + named - classes if onehot is None else marks[i] > 0.5
                counts = codes[i] < named if onehot is None else marks[i] >= 0  # false for NaN, which is not annotated
                both = np.int32(both + (p & t))
                in_p = np.int32(in_p + (p & counts))
                in_t = np.int32(in_t + t)
                valid = np.int32(valid + counts)
            sums = out[sample - start // voxels, :, c]
            sums[0], sums[1], sums[2], sums[3] = sums[0] + both, sums[1] + in_p, sums[2] + in_t, sums[3] + valid


@compiled
def _first_maximum(x, row, step, classes, n, best, found):  # type: ignore[no-untyped-def]
    """Write the class of the first maximum of ``n`` voxels, ``classes`` where a score is NaN."""
    last = row + (classes - 1) * step
    odd = np.int32(0)
    for c in range(0, classes, 4):
        odd |= _raise_maximum(x, row + c * step, step, last, c, n, best, found)
    if odd != 0:  # a NaN, or infinities of both signs
        for c in range(classes):
            scores = x[row + c * step :]
            for i in range(n):
                found[i] = classes if np.isnan(scores[i]) else found[i]


@compiled
def _raise_maximum(x, row, step, last, c, n, best, found):  # type: ignore[no-untyped-def]
    """Update the maxima with classes c to c + 3, repeating the last; return not 0 if a sum of scores is NaN."""
    row1, row2, row3 = min(row + step, last), min(row + 2 * step, last), min(row + 3 * step, last)
    x0, x1, x2, x3 = x[row : row + n], x[row1 : row1 + n], x[row2 : row2 + n], x[row3 : row3 + n]
    code = found.dtype.type
    c0, c1, c2, c3 = code(c), code(c + 1), code(c + 2), code(c + 3)
    odd = np.int32(0)
    for i in range(n):
        b, f = (x0[i], c0) if c == 0 else (best[i], found[i])
        f, b = (c0, x0[i]) if x0[i] > b else (f, b)
        f, b = (c1, x1[i]) if x1[i] > b else (f, b)
        f, b = (c2, x2[i]) if x2[i] > b else (f, b)
        f, b = (c3, x3[i]) if x3[i] > b else (f, b)
        total = (x0[i] + x1[i]) + (x2[i] + x3[i])
        odd = np.int32(odd | np.int32(np.isnan(total)))
        best[i], found[i] = b, f
    return odd


@compiled
def _add_label(y, row, classes, n, factor, codes):  # type: ignore[no-untyped-def]
    """Add ``factor`` times the class that the label names, ``classes`` where it names none."""
    labels, none, factor = y[row : row + n], np.int32(classes), np.int32(factor)
    for i in range(n):
        label = np.int32(labels[i]) if labels[i] >= 0 and labels[i] < classes else none
        label = label if label == labels[i] else none  # a fraction
        codes[i] += np.int32(factor * label)


@compiled
def _count_codes(codes, n, tables):  # type: ignore[no-untyped-def]
    """Count in four tables, so that equal neighbors do not wait for the same counter."""
    quarter = n // 4
    for i in range(quarter):
        for k in range(4):
            tables[k, codes[i + k * quarter]] += 1
    for i in range(4 * quarter, n):
        tables[0, codes[i]] += 1
