"""Operations that reduce axes: sums, means, extremes, and products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from monai_auxops.weights.operations.registry import OPERATIONS, Step, operation
from monai_auxops.weights.values import Value, check_integers, host_array, is_host, number, numbers, tensor


def _mean_of_numbers(x: Any, **over: Any) -> Any:
    """Average numbers; TensorFlow's average of integers is an integer."""
    whole = all(isinstance(value, int) for value in x.flat)
    total, count = np.sum(x, **over), np.sum(np.ones(x.shape, int), **over)
    return total // count if whole else total / count


_REDUCTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "Mean": (torch.mean, _mean_of_numbers),
    "Sum": (torch.sum, np.sum),
    "Max": (torch.amax, np.max),
    "Min": (torch.amin, np.min),
    "Prod": (None, np.prod),
    "All": (torch.all, np.all),
    "Any": (torch.any, np.any),
}


def _reduction(function: Any, on_host: Any) -> Callable[[Step, Value, Value], Value]:
    def run(step: Step, x: Value, axis: Value) -> Value:
        axes, keep = tuple(int(value) for value in numbers(axis)), bool(step.get("keep_dims", False))
        if is_host(x):
            return check_integers(host_array(on_host(x, axis=axes, keepdims=keep))) if axes else x
        if not axes:
            return x
        return function(x, axes, keepdim=keep) if function is not None else _product(x, axes, keep)

    return run


def _product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """Multiply over several axes, one at a time as torch requires."""
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


OPERATIONS.update({name: _reduction(*functions) for name, functions in _REDUCTIONS.items()})


@operation("ArgMax")
def argmax(step: Step, x: Tensor, axis: Value) -> Tensor:
    """Return the index of the largest element along an axis."""
    return tensor(x, step.like).argmax(int(number(axis)))


@operation("ArgMin")
def argmin(step: Step, x: Tensor, axis: Value) -> Tensor:
    """Return the index of the smallest element along an axis."""
    return tensor(x, step.like).argmin(int(number(axis)))


@operation("MatMul")
def matmul(step: Step, a: Value, b: Value) -> Tensor:
    """Multiply two matrices."""
    left, right = tensor(a, step.like), tensor(b, step.like)
    left = left.T if step.get("transpose_a", False) else left
    right = right.T if step.get("transpose_b", False) else right
    return left @ right


@operation("BatchMatMul", "BatchMatMulV2")
def batch_matmul(step: Step, a: Value, b: Value) -> Tensor:
    """Multiply matrices pairwise."""
    left, right = tensor(a, step.like), tensor(b, step.like)
    left = left.mT if step.get("adj_x", False) else left
    right = right.mT if step.get("adj_y", False) else right
    return left @ right
