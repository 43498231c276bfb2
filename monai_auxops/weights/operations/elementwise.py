"""Operations on each element, and activations."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from monai_auxops.weights.operations.registry import OPERATIONS, Step, operation
from monai_auxops.weights.values import Value, check_integers, host_array, is_host, larger, operand, smaller

Binary = Callable[[Any, Any], Any]


def _floor_divide(a: Any, b: Any) -> Any:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return torch.div(a, b, rounding_mode="floor")
    return a // b


def _divide(a: Any, b: Any) -> Any:
    return a / b


def _whole_divide(a: Any, b: Any) -> Any:
    """Divide as the old ``Div`` does: integers are truncated toward zero."""
    if isinstance(a, Tensor) and not a.is_floating_point():
        return torch.div(a, b, rounding_mode="trunc")
    return int(a / b) if isinstance(a, int) and isinstance(b, int) else a / b


def _maximum(a: Any, b: Any) -> Any:
    return torch.maximum(*_two_tensors(a, b)) if _any_tensor(a, b) else larger(a, b)


def _minimum(a: Any, b: Any) -> Any:
    return torch.minimum(*_two_tensors(a, b)) if _any_tensor(a, b) else smaller(a, b)


def _two_tensors(a: Any, b: Any) -> list[Tensor]:
    like = a if isinstance(a, Tensor) else b
    return [torch.as_tensor(value, dtype=like.dtype, device=like.device) for value in (a, b)]


def _power(a: Any, b: Any) -> Any:
    """Raise to a power; numbers on the host become floating-point, so that they cannot grow without bound."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return torch.pow(a, b)
    result = float(a) ** float(b)
    return int(result) if isinstance(a, int) and isinstance(b, int) else result


def _squared_difference(a: Any, b: Any) -> Any:
    return (a - b) * (a - b)


def _and(a: Any, b: Any) -> Any:
    return torch.logical_and(*_two_tensors(a, b)) if _any_tensor(a, b) else bool(a and b)


def _or(a: Any, b: Any) -> Any:
    return torch.logical_or(*_two_tensors(a, b)) if _any_tensor(a, b) else bool(a or b)


def _any_tensor(*values: Any) -> bool:
    return any(isinstance(value, Tensor) for value in values)


_BINARY: Final[dict[str, Binary]] = {
    "Add": operator.add,
    "AddV2": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "RealDiv": _divide,
    "Div": _whole_divide,
    "FloorDiv": _floor_divide,
    "FloorMod": operator.mod,
    "Maximum": _maximum,
    "Minimum": _minimum,
    "Pow": _power,
    "SquaredDifference": _squared_difference,
    "Greater": operator.gt,
    "GreaterEqual": operator.ge,
    "Less": operator.lt,
    "LessEqual": operator.le,
    "Equal": operator.eq,
    "NotEqual": operator.ne,
    "LogicalAnd": _and,
    "LogicalOr": _or,
}


def _binary(function: Binary) -> Callable[[Step, Value, Value], Value]:
    def run(step: Step, a: Value, b: Value) -> Value:
        if is_host(a) and is_host(b):
            return check_integers(_elementwise(function, a, b))
        return function(operand(a, step.like), operand(b, step.like))

    return run


def _elementwise(function: Binary, a: Value, b: Value) -> Value:
    """Apply a function to pairs of numbers of two arrays, which are broadcast."""
    wide, other = np.broadcast_arrays(a, b)
    results = [function(one, two) for one, two in zip(wide.flat, other.flat, strict=True)]
    return host_array(results).reshape(wide.shape)


OPERATIONS.update({name: _binary(function) for name, function in _BINARY.items()})

_UNARY: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "Square": torch.square,
    "Neg": torch.neg,
    "Sqrt": torch.sqrt,
    "Rsqrt": torch.rsqrt,
    "Reciprocal": torch.reciprocal,
    "Inv": torch.reciprocal,
    "Exp": torch.exp,
    "Log": torch.log,
    "Log1p": torch.log1p,
    "Abs": torch.abs,
    "Sign": torch.sign,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Round": torch.round,
    "Rint": torch.round,
    "LogicalNot": torch.logical_not,
    "Relu": torch.relu,
    "Relu6": functional.relu6,
    "Elu": functional.elu,
    "Selu": functional.selu,
    "Softplus": functional.softplus,
    "Softsign": functional.softsign,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Erf": torch.erf,
}


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[[Step, Value], Value]:
    def run(step: Step, x: Value) -> Value:
        if is_host(x):
            return _on_host(function, x)
        return function(x)

    return run


def _on_host(function: Callable[[Tensor], Tensor], x: Value) -> Value:
    """Compute with numbers on the host in 64 bits."""
    results = [function(torch.as_tensor(value, dtype=_wide(value))) for value in x.flat]
    return host_array([result.item() for result in results]).reshape(x.shape)


def _wide(value: Any) -> torch.dtype | None:
    return torch.float64 if isinstance(value, float) else None


OPERATIONS.update({name: _unary(function) for name, function in _UNARY.items()})


@operation("AddN")
def add_all(step: Step, *values: Value) -> Value:
    """Add values."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


@operation("LeakyRelu")
def leaky_relu(step: Step, x: Tensor) -> Tensor:
    """Return x, or alpha times x below zero."""
    return functional.leaky_relu(x, step.get("alpha", 0.2))


@operation("Softmax")
def softmax(step: Step, x: Tensor) -> Tensor:
    """Return probabilities over the last axis."""
    return x.softmax(-1)


@operation("LogSoftmax")
def log_softmax(step: Step, x: Tensor) -> Tensor:
    """Return logarithms of probabilities over the last axis."""
    return x.log_softmax(-1)
