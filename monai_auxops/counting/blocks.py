"""Sums over elements that do not follow from counts of classes, without a copy of the batch.

A few tensor operations say what is summed, but on the whole batch their masks and intermediate values would take as
much memory as the batch, or several times as much. On a CPU they therefore run block by block. Where numba or triton is
installed, one compiled pass computes the two sums that this package needs (``sums_numba``, ``sums_triton``).
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from monai_auxops.counting.backend_blocked import BLOCK
from monai_auxops.counting.counts import backend

Parts = Callable[..., Iterator[Tensor]]


def sum_in_blocks(
    parts: Parts, tensors: Sequence[Tensor], axes: Sequence[int], whole: Sequence[int] = ()
) -> list[Tensor]:
    """Sum each tensor that ``parts`` yields for ``tensors`` over ``axes``, in blocks on a CPU.

    Args:
        parts: yields tensors of the first one's shape, from all ``tensors`` or from the same block of each.
        tensors: of the same shape, or expanded to it.
        axes: the axes to sum over, at least one.
        whole: axes that no block may cut.

    Returns:
        The sums; if there are several blocks, those of floating-point numbers as float64.

    Examples:
        >>> [total.tolist() for total in sum_in_blocks(lambda x: iter([x, x > 1]), [torch.tensor([[0.5, 2.0]])], [1])]
        [[2.5], [1]]
    """
    shape, axes = tensors[0].shape, list(axes)
    if tensors[0].device.type != "cpu" or shape.numel() <= BLOCK:
        return [part.sum(axes) for part in parts(*tensors)]
    totals: list[Tensor] = []
    size = [1 if axis in axes else n for axis, n in enumerate(shape)]
    for block in _blocks(shape, whole):
        target = tuple(slice(0, 1) if axis in axes else part for axis, part in enumerate(block))
        sums = [part.sum(axes, keepdim=True) for part in parts(*(tensor[block] for tensor in tensors))]
        totals = totals or [torch.zeros(size, dtype=_sum_dtype(part), device=part.device) for part in sums]
        for total, part in zip(totals, sums, strict=True):
            total[target] += part
    return [total.squeeze(axes) for total in totals]


def _sum_dtype(block: Tensor) -> torch.dtype:
    return torch.float64 if block.is_floating_point() else torch.int64


def _blocks(shape: Sequence[int], whole: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yield slices that together cover ``shape``, of at most ``BLOCK`` elements each if ``whole`` allows that."""
    steps, size = list(shape), math.prod(shape)
    for axis, length in enumerate(shape):  # whole inner axes, because their elements are adjacent
        if size > BLOCK and axis not in whole:
            size //= length
            steps[axis] = min(length, max(1, BLOCK // size))
            size *= steps[axis]
    cuts = [[slice(i, i + step) for i in range(0, n, step)] for n, step in zip(shape, steps, strict=True)]
    return itertools.product(*cuts)


def fused_sums(x: Tensor, y: Tensor | None, threshold: float | None) -> tuple[Tensor, ...] | None:
    """Return sums per sample from one compiled pass; None if there is none for these tensors.

    Args:
        x: predictions ``[B, C, *S]``.
        y: the label, of that shape or expanded to it; None: every element is valid.
        threshold: sum correct elements of ``x > threshold`` against ``y``; None: sum values.

    Returns:
        ``[B]`` each: with a threshold the elements that are right, those whose label is within 0..1, and those whose
        label is above 1, as int64. Without, the sum of finite values whose label is neither NaN nor negative, as
        float64, and their number.
    """
    if x.dim() < 2 or not x.numel() or (x.device.type == "cpu" and x.numel() <= BLOCK):
        return None
    name = backend(x.device)
    if name not in ("numba", "triton"):
        return None
    sums: tuple[Tensor, ...] | None = importlib.import_module(f"monai_auxops.counting.sums_{name}").sums(
        x, y, threshold
    )
    return sums
