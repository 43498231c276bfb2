"""Sum the elements of a batch on a GPU in one kernel that reads it once, as ``backend_triton`` counts it.

Each program writes its own sums. They are added afterwards, in the same order in every run, unlike atomic additions.
"""

from __future__ import annotations

import torch
import triton.language as tl
from torch import Tensor

from monai_auxops.counting.backend_triton import PROGRAMS, compiled, has_kernel, launch, voxel_offset

__all__ = ["sums"]


def sums(x: Tensor, y: Tensor | None, threshold: float | None) -> tuple[Tensor, ...] | None:
    """Return what ``fused_sums`` promises; None for types that the kernel does not support."""
    marks = x if y is None else y
    if not has_kernel(x, marks, x.shape[1]):
        return None
    programs = max(1, PROGRAMS // len(x))
    result = torch.zeros(3, len(x), programs, dtype=torch.float64, device=x.device)
    options = {"threshold": threshold or 0.0, "elements": threshold is not None, "labeled": y is not None}
    launch(_sums_kernel, x, marks, result, programs=programs, **options)
    total = result.sum(2)
    return tuple(total.long()) if threshold is not None else (total[0], total[1].long())


@compiled
def _sums_kernel(  # type: ignore[no-untyped-def]
    x, y, result, voxels, height, width, xb, xc, x0, x1, x2, yb, yc, y0, y1, y2,
    threshold, programs, elements: tl.constexpr, labeled: tl.constexpr,
    classes, span: tl.constexpr, flat: tl.constexpr,
):  # fmt: skip
    """Write to result ``[3, B, programs]`` right, labeled and too large elements, or valid values and their number."""
    sample = tl.program_id(0).to(tl.int64)
    first, second, third = tl.zeros((span,), tl.float64), tl.zeros((span,), tl.float64), tl.zeros((span,), tl.float64)
    for tile in range(tl.program_id(1), tl.cdiv(voxels, span), tl.num_programs(1)):
        voxel = tile * span + tl.arange(0, span)
        inside = voxel < voxels
        x_at = x + sample * xb + voxel_offset(voxel, height, width, x0, x1, x2, flat)
        y_at = y + sample * yb + voxel_offset(voxel, height, width, y0, y1, y2, flat)
        x_skip, y_skip = tl.zeros((), tl.int64), tl.zeros((), tl.int64)
        for _ in range(classes):
            value = tl.load(x_at + x_skip, inside, float("nan")).to(tl.float32)
            if labeled:
                mark = tl.load(y_at + y_skip, inside, -1)
                mark = mark.to(tl.float32) if mark.dtype.is_floating() else mark
            if elements:
                within = (mark >= 0) & (mark <= 1) & inside  # false for NaN
                same = tl.where(mark > 0.5, value > threshold, value <= threshold)
                first += (same & within).to(tl.float64)
                second += within.to(tl.float64)
                third += ((mark > 1) & inside).to(tl.float64)
            else:
                valid = tl.abs(value) < float("inf")  # false for NaN and outside
                if labeled:
                    valid = valid & (mark >= 0)
                first += tl.where(valid, value, 0.0).to(tl.float64)
                second += valid.to(tl.float64)
            x_skip += xc
            y_skip += yc
    at, size = result + sample * programs + tl.program_id(1), tl.num_programs(0).to(tl.int64) * programs
    tl.store(at, tl.sum(first))
    tl.store(at + size, tl.sum(second))
    tl.store(at + 2 * size, tl.sum(third))
