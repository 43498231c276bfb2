"""Count on a GPU in one kernel that reads predictions and label once, with any strides, also in half precision.

A program walks over tiles of one sample's voxels, finds class and label of each voxel, counts them in registers and
shared memory, and finally adds its counts to the result with a few atomic additions. Nothing waits for the host. Types
that the kernel does not support (float64 predictions, wide unsigned labels) are counted by ``backend_vectorized``.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from monai_auxops.counting import backend_vectorized as vectorized
from monai_auxops.counting.backend_blocked import flattened
from monai_auxops.counting.counts import Counts, Membership

__all__ = ["count", "table"]

TILE = 1024  # voxels that a program handles at a time
PROGRAMS = 4096  # several per multiprocessor of a GPU, few enough that their atomic additions cost nothing
WARPS = 8  # of 32 threads each in a program
UNROLLED: tl.constexpr = tl.constexpr(32)  # up to so many classes, all scores of a voxel are loaded at once
MAX_CLASSES = 1023  # what a histogram in shared memory holds
MAX_TABLE_CLASSES = 31  # what a table of classes by classes holds there

NARROW = {torch.float32, torch.float16, torch.bfloat16}
LABELS = NARROW | {torch.float64, torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}

compiled: Callable[[Callable[..., Any]], Any] = triton.jit


def count(x: Tensor, y: Tensor, membership: Membership) -> Counts:
    """Count ``x`` ``[B, C, *S]`` against ``y`` ``[B, C or 1, *S]``."""
    classes = x.shape[1]
    if not has_kernel(x, y, MAX_CLASSES):
        return vectorized.count(x, y, membership)
    result = torch.zeros(4, x.shape[0], classes, dtype=torch.int64, device=x.device)
    launch(_count_kernel, x, y, result, capacity=triton.next_power_of_2(classes + 1), **membership._asdict())
    return Counts._make(result.unbind())


def table(x: Tensor, y: Tensor) -> Tensor:
    """Count by label class and predicted class, ``[B, C, C]``."""
    size = x.shape[1] + 1
    if not has_kernel(x, y, MAX_TABLE_CLASSES):
        return vectorized.table(x, y)
    result = torch.zeros(x.shape[0], size, size, dtype=torch.int64, device=x.device)
    launch(_table_kernel, x, y, result, capacity=triton.next_power_of_2(size * size))
    return result[:, :-1, :-1]


def has_kernel(x: Tensor, y: Tensor, max_classes: int) -> bool:
    """Tell whether the kernels support types and sizes; a voxel's number has 32 bits."""
    return (
        x.dtype in NARROW
        and y.dtype in LABELS
        and x.shape[1] <= max_classes
        and 0 < math.prod(x.shape[2:]) < 2**31 - TILE
    )


def launch(kernel: Any, x: Tensor, y: Tensor, result: Tensor, **options: Any) -> None:
    """Start programs that each count several tiles of a sample, at most ``PROGRAMS`` in all."""
    if x.shape[0] == 0:
        return
    grid, sizes, flat = _layout(x.shape, x.stride(), y.shape, y.stride())
    y = y.view(torch.uint8) if y.dtype == torch.bool else y
    with on_device(x):
        kernel[grid](x, y, result, *sizes, classes=x.shape[1], span=TILE, flat=flat, num_warps=WARPS, **options)


@functools.lru_cache(maxsize=256)
def _layout(
    x_shape: torch.Size, x_steps: Sequence[int], y_shape: torch.Size, y_steps: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, ...], bool]:
    """Return the grid, the sizes and strides that a kernel takes, and whether the voxels are one row.

    The result is cached, because the host would spend more time on these views than on the launch.
    """
    both = (torch.empty_strided(s, t, device="meta") for s, t in ((x_shape, x_steps), (y_shape, y_steps)))
    x, y = flattened(*both)
    voxels, missing = math.prod(x.shape[2:]), 5 - x.ndim
    height, width = (1, 1, 1, *x.shape[2:])[-2:]
    steps = (step for t in (x, y) for step in (*t.stride()[:2], *[0] * missing, *t.stride()[2:]))
    grid = (x.shape[0], min(triton.cdiv(voxels, TILE), max(1, PROGRAMS // x.shape[0])))
    return grid, (voxels, height, width, *steps), voxels == width


def on_device(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Launch kernels on the GPU of ``x``; triton's interpreter runs on the CPU."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


@compiled
def _count_kernel(  # type: ignore[no-untyped-def]
    x, y, result, voxels, height, width, xb, xc, x0, x1, x2, yb, yc, y0, y1, y2,
    threshold, exclusive: tl.constexpr, onehot: tl.constexpr,
    classes: tl.constexpr, capacity: tl.constexpr, span: tl.constexpr, flat: tl.constexpr,
):  # fmt: skip
    """Add to result ``[4, B, C]`` the true and false positives, the false and true negatives."""
    sample = tl.program_id(0).to(tl.int64)
    slots = tl.arange(0, capacity)
    both, p, t, valid = slots * 0, slots * 0, slots * 0, slots * 0
    named: tl.constexpr = 2 if classes == 1 else classes
    for tile in range(tl.program_id(1), tl.cdiv(voxels, span), tl.num_programs(1)):
        voxel = tile * span + tl.arange(0, span)
        inside = voxel < voxels
        x_at = x + sample * xb + voxel_offset(voxel, height, width, x0, x1, x2, flat)
        y_at = y + sample * yb + voxel_offset(voxel, height, width, y0, y1, y2, flat)
        counts = inside
        if exclusive:
            predicted = _first_maximum(x_at, xc, inside, classes)
        if not onehot:
            labeled = _label_class(y_at, inside, named)
            counts = labeled < named
            valid += tl.sum(counts.to(tl.int32))
        if exclusive and not onehot:
            both += tl.histogram(tl.where(predicted == labeled, labeled, classes), capacity)
            p += tl.histogram(tl.where(counts, predicted, classes), capacity)
            t += tl.histogram(labeled, capacity)
        else:
            x_skip, y_skip = tl.zeros((), tl.int64), tl.zeros((), tl.int64)
            for c in range(classes):
                if exclusive:
                    in_p = (predicted == c) & inside
                else:
                    in_p = (tl.load(x_at + x_skip, inside, 0).to(tl.float32) > threshold) & counts
                if onehot:
                    mark = tl.load(y_at + y_skip, inside, -1)
                    mark = mark.to(tl.float32) if mark.dtype.is_floating() else mark
                    known = (mark >= 0) & inside  # false for NaN: voxels without annotation are not counted
                    in_t = (mark > 0.5) & inside
                    in_p = in_p & known
                else:
                    known = counts
                    in_t = labeled == c + named - classes
                x_skip += xc
                y_skip += yc
                two = in_p + in_t.to(tl.int64) * 2**15  # a tile has at most 2**10 voxels: four sums in one
                packed = tl.sum(two + (in_p & in_t).to(tl.int64) * 2**30 + known.to(tl.int64) * 2**45)
                p += (packed % 2**15).to(tl.int32) * (slots == c)
                t += (packed // 2**15 % 2**15).to(tl.int32) * (slots == c)
                both += (packed // 2**30 % 2**15).to(tl.int32) * (slots == c)
                if onehot:
                    valid += (packed // 2**45).to(tl.int32) * (slots == c)
    out, size = result + sample * classes + slots, tl.num_programs(0).to(tl.int64) * classes
    tl.atomic_add(out, both.to(tl.int64), slots < classes, sem="relaxed")
    tl.atomic_add(out + size, (p - both).to(tl.int64), slots < classes, sem="relaxed")
    tl.atomic_add(out + 2 * size, (t - both).to(tl.int64), slots < classes, sem="relaxed")
    tl.atomic_add(out + 3 * size, (valid - p - t + both).to(tl.int64), slots < classes, sem="relaxed")


@compiled
def _table_kernel(  # type: ignore[no-untyped-def]
    x, y, result, voxels, height, width, xb, xc, x0, x1, x2, yb, _, y0, y1, y2,
    classes: tl.constexpr, capacity: tl.constexpr, span: tl.constexpr, flat: tl.constexpr,
):  # fmt: skip
    """Add to result ``[B, C + 1, C + 1]`` the voxels by label class and predicted class, C where there is none."""
    sample = tl.program_id(0).to(tl.int64)
    slots = tl.arange(0, capacity)
    joint = slots * 0
    for tile in range(tl.program_id(1), tl.cdiv(voxels, span), tl.num_programs(1)):
        voxel = tile * span + tl.arange(0, span)
        inside = voxel < voxels
        x_at = x + sample * xb + voxel_offset(voxel, height, width, x0, x1, x2, flat)
        y_at = y + sample * yb + voxel_offset(voxel, height, width, y0, y1, y2, flat)
        predicted, labeled = _first_maximum(x_at, xc, inside, classes), _label_class(y_at, inside, classes)
        joint += tl.histogram(labeled * (classes + 1) + predicted, capacity)
    size: tl.constexpr = (classes + 1) * (classes + 1)
    tl.atomic_add(result + sample * size + slots, joint.to(tl.int64), slots < size, sem="relaxed")


@compiled
def voxel_offset(voxel, height, width, step0, step1, step2, flat: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the offset of a voxel in [depth, height, width]; ``flat`` tells the compiler that rows are adjacent."""
    if flat:
        return voxel.to(tl.int64) * step2
    row = voxel // width
    plane, line, place = (row // height).to(tl.int64), (row % height).to(tl.int64), (voxel % width).to(tl.int64)
    return plane * step0 + line * step1 + place * step2


@compiled
def _first_maximum(at, step, inside, classes: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the class of the first maximum, ``classes`` where a score is NaN or the voxel is not ``inside``."""
    best = tl.load(at, inside, float("nan")).to(tl.float32)
    odd = best != best
    found = tl.where(odd, 0, 0)
    skip = tl.zeros((), tl.int64)  # a class times the step may exceed 32 bits
    if classes <= UNROLLED:
        for c in tl.static_range(1, classes):
            skip += step
            best, found, odd = _raise_maximum(at + skip, inside, c, best, found, odd)
    else:
        for start in range(1, classes, 8):  # the scores of neighboring channels may be adjacent
            for c in tl.static_range(8):
                skip += step
                there = inside & (start + c < classes)
                best, found, odd = _raise_maximum(at + skip, there, start + c, best, found, odd)
    return tl.where(odd, classes, found)


@compiled
def _raise_maximum(at, inside, c, best, found, odd):  # type: ignore[no-untyped-def]
    """Update the maximum and its class with one more class, and whether a score was NaN."""
    score = tl.load(at, inside, -float("inf")).to(tl.float32)
    return tl.where(score > best, score, best), tl.where(score > best, c, found), odd | (score != score)


@compiled
def _label_class(at, inside, classes: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the class of the index, ``classes`` where it is not a class."""
    label = tl.load(at, inside, -1)
    label = label.to(tl.int64) if label.dtype.is_int() else label  # a uint8 cannot hold 300 classes
    named = inside & (label >= 0) & (label < classes)
    found = tl.where(named, label, 0).to(tl.int32)
    return tl.where(named & (found == label), found, classes)
