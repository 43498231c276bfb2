"""Sums and numbers of the valid values of a batch, for means over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from monai_auxops.counting.blocks import fused_sums, sum_in_blocks


def valid_sums(
    x: Tensor, label: Tensor | None, axes: Sequence[int], activation: str | None = None
) -> tuple[Tensor, Tensor]:
    """Return the sum of the valid values of ``x`` over ``axes``, and their number.

    A value is valid if it is finite and its label neither NaN nor negative.

    Args:
        x: values ``[B, C, *S]``; half precision is summed in float32.
        label: of the same number of axes, each as long as that of ``x`` or 1; None: every label is valid.
        axes: the axes to sum over, each at least 0; without one, each value is a sum of its own.
        activation: ``"sigmoid"`` or ``"softmax"`` (over axis 1), applied before.

    Examples:
        >>> valid_sums(torch.tensor([[0.5, 2.0, torch.nan]]), torch.tensor([[0, -1, 0]]), [1])
        (tensor([0.5000]), tensor([1]))
    """
    tensors = [x] if label is None else [x, label.expand(x.shape)]
    if activation is None and list(axes) == list(range(1, x.dim())):
        fused = fused_sums(x, None if label is None else tensors[1], None)
        if fused is not None:
            return fused[0], fused[1]

    def parts(values: Tensor, mark: Tensor | None = None) -> Iterator[Tensor]:
        values = _activate(values, activation)
        valid = values.abs() < math.inf  # false for NaN
        if mark is not None:
            valid &= mark >= 0
        yield torch.where(valid, values, 0)
        yield valid

    if not axes:
        total, valid = parts(*tensors)
        return total, valid.long()
    total, number = sum_in_blocks(parts, tensors, axes, whole=[1] if activation == "softmax" else [])
    return total, number


def _activate(x: Tensor, activation: str | None) -> Tensor:
    values = x if x.dtype == torch.float64 else x.float()
    if activation is None:
        return values
    return values.sigmoid() if activation == "sigmoid" else values.softmax(1)
