"""Compute the epilogue of a batch on a GPU in one kernel: the two matrix products of ``epilogue``.

All numbers are float64. Integer sums are exact in it, so only the mean over fractions depends on the order of addition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from monai_auxops.counting.backend_triton import compiled, on_device

if TYPE_CHECKING:
    from monai_auxops.counting.counts import Counts

__all__ = ["evaluate"]

TILE = 4096  # entries of a matrix that a program handles at a time
MAX_WIDTH = 4096  # numerators of a sample, all of which a program holds in registers
WARPS = 4


def evaluate(counts: Counts, voxels: int, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor] | None:
    """Evaluate a recipe; None if it is too wide for the kernel.

    Args:
        counts: counts of all classes, ``[B, C]`` each.
        voxels: the number of voxels per sample.
        rows: the weights ``[4 C + 2, 2 width]`` of counts in numerators and denominators.
        columns: the weights ``[width, 2 n]`` of fractions in values.

    Returns:
        The values ``[B, n]`` as float32, and their numerators and denominators ``[B, 2 n]`` as float64.
    """
    (batch, classes), (width, both) = counts.tp.shape, columns.shape
    if width > MAX_WIDTH:
        return None
    fractions = torch.empty(batch, both, dtype=torch.float64, device=rows.device)
    values = torch.empty(batch, both // 2, dtype=torch.float32, device=rows.device)
    if batch:
        slots = triton.next_power_of_2(width)
        sizes = {"classes": classes, "width": width, "n": both // 2, "slots": slots, "span": max(1, TILE // slots)}
        with on_device(rows):
            _epilogue_kernel[(batch,)](
                *(count.contiguous() for count in counts), rows, columns, fractions, values, voxels,
                num_warps=WARPS, **sizes,
            )  # fmt: skip
    return values, fractions


@compiled
def _epilogue_kernel(  # type: ignore[no-untyped-def]
    tp, fp, fn, tn, rows, columns, fractions, values, voxels,
    classes: tl.constexpr, width: tl.constexpr, n: tl.constexpr, slots: tl.constexpr, span: tl.constexpr,
):  # fmt: skip
    """Write numerators and denominators ``[B, 2 n]``, and their quotients ``[B, n]``, of one sample."""
    sample = tl.program_id(0).to(tl.int64)
    slot = tl.arange(0, slots)
    above, below = tl.zeros((slots,), tl.float64), tl.zeros((slots,), tl.float64)
    for start in range(0, 4 * classes + 2, span):
        k = start + tl.arange(0, span)
        number = _table_entry(tp, fp, fn, tn, sample, k, voxels, classes)
        inside = (k < 4 * classes + 2)[:, None] & (slot < width)[None, :]
        at = rows + k[:, None] * (2 * width) + slot[None, :]
        above += tl.sum(number[:, None] * tl.load(at, inside, 0.0), 0)
        below += tl.sum(number[:, None] * tl.load(at + width, inside, 0.0), 0)
    quotient = above / tl.where(slot < width, below, 1.0)
    for start in range(0, n, span):
        column = start + tl.arange(0, span)
        inside = (column < n)[:, None] & (slot < width)[None, :]
        at = columns + slot[None, :] * (2 * n) + column[:, None]
        over = tl.sum(quotient[None, :] * tl.load(at, inside, 0.0), 1)
        under = tl.sum(quotient[None, :] * tl.load(at + n, inside, 0.0), 1)
        tl.store(fractions + sample * (2 * n) + column, over, column < n)
        tl.store(fractions + sample * (2 * n) + n + column, under, column < n)
        tl.store(values + sample * n + column, (over / under).to(tl.float32), column < n)


@compiled
def _table_entry(tp, fp, fn, tn, sample, k, voxels, classes: tl.constexpr):  # type: ignore[no-untyped-def]
    """Load entries ``k`` of the table ``tp fp fn tn voxels 1`` of a sample, 0 beyond its end."""
    kind, at = k // classes, sample * classes + k % classes
    count = tl.load(tp + at, kind == 0, 0) + tl.load(fp + at, kind == 1, 0)
    count += tl.load(fn + at, kind == 2, 0) + tl.load(tn + at, kind == 3, 0)
    count += tl.where(k == 4 * classes, voxels, 0) + tl.where(k == 4 * classes + 1, 1, 0)
    return count.to(tl.float64)
