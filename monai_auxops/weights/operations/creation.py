"""Operations that create values or change their type."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from monai_auxops.weights.dtypes import BOOL, is_float
from monai_auxops.weights.operations.registry import Step, operation
from monai_auxops.weights.values import Host, Value, host_array, is_host, number, numbers, tensor

_INTEGERS: Final = {3: torch.int32, 4: torch.uint8, 5: torch.int16, 6: torch.int8, 9: torch.int64}


@operation("Fill")
def fill(step: Step, sizes: Value, value: Value) -> Value:
    """Return a tensor filled with one value; scalars and short lists stay on the host."""
    shape_ = step.sizes(numbers(sizes))
    if len(shape_) < 2 and all(type(size) is int and size <= 16 for size in shape_) and is_host(value):
        return np.full(shape_, value, object)
    return tensor(value, step.like).expand(shape_).clone()


@operation("OnesLike")
def ones_like(step: Step, x: Value) -> Value:
    """Return ones."""
    return host_array(np.ones(x.shape, int)) if is_host(x) else torch.ones_like(x)


@operation("ZerosLike")
def zeros_like(step: Step, x: Value) -> Value:
    """Return zeros."""
    return host_array(np.zeros(x.shape, int)) if is_host(x) else torch.zeros_like(x)


@operation("Cast")
def cast(step: Step, x: Value) -> Value:
    """Change the type; every floating-point type becomes the network's, so that the network runs in any."""
    to = step.get("DstT", 1)
    if is_host(x):
        convert = float_of if is_float(to) else _whole(to)
        return host_array([convert(value) for value in x.flat]).reshape(x.shape)
    if is_float(to):
        return x if x.is_floating_point() else x.to(step.like.dtype)
    return x.bool() if to == BOOL else x.to(_INTEGERS.get(to, torch.int64))


def float_of(value: Any) -> Any:
    """Return a number as floating-point; a symbolic size stays symbolic."""
    return value * 1.0 if not isinstance(value, bool) else float(value)


def _whole(to: int) -> Any:
    return bool if to == BOOL else _integer_of


def _integer_of(value: Any) -> Any:
    return int(value) if isinstance(value, bool | float | np.number) else value


@operation("Range")
def range_(step: Step, start: Value, limit: Value, delta: Value) -> Host:
    """Return numbers from a start to a limit."""
    found = range(int(number(start)), int(number(limit)), int(number(delta)))
    step.sizes([len(found)])
    return host_array(list(found))


@operation("RandomUniform")
def random_uniform(step: Step, sizes: Value) -> Tensor:
    """Draw numbers between 0 and 1, which dropout compares with its rate."""
    return torch.rand(step.sizes(numbers(sizes)), dtype=step.like.dtype, device=step.like.device)


@operation("RandomStandardNormal")
def random_normal(step: Step, sizes: Value) -> Tensor:
    """Draw normally distributed numbers."""
    return torch.randn(step.sizes(numbers(sizes)), dtype=step.like.dtype, device=step.like.device)
