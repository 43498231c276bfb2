"""The numbers of a graph that are not data: shapes, axes, sizes, epsilons.

TensorFlow computes shapes with tensors. Here they are arrays of Python objects on the host, so that arithmetic with
them stays Python arithmetic: ``torch.export`` and ``torch.jit.trace`` then see symbolic sizes and keep them free.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monai_auxops.weights.errors import WeightsError

Host = NDArray[np.object_]
Value = Any  # a Tensor, a Host, or DEAD
_INT64: Final = 2**63


class _Dead:
    """The value on the side of a switch that is not taken."""


DEAD: Final = _Dead()


def host_array(values: Any) -> Host:
    """Return numbers as an array of Python objects.

    Examples:
        >>> host_array([2, 3]) * host_array(4)
        array([8, 12], dtype=object)
    """
    if isinstance(values, np.ndarray):
        return values if values.dtype == object else values.astype(object)
    if isinstance(values, list | tuple):
        rows = [host_array(value) for value in values]
        return np.stack(rows) if rows else np.empty(0, object)
    boxed = np.empty((), object)
    boxed[()] = values
    return boxed


def is_host(value: Value) -> bool:
    """Tell whether a value is an array of numbers on the host."""
    return isinstance(value, np.ndarray)


def check_integers(values: Host) -> Host:
    """Return numbers after checking that every integer fits TensorFlow's 64 bits."""
    if any(type(value) is int and abs(value) >= _INT64 for value in values.flat):
        raise WeightsError("an integer is larger than 64 bits")
    return values


def numbers(value: Value) -> list[Any]:
    """Return a value as a flat list of numbers, which may be symbolic."""
    if isinstance(value, Tensor):
        return list(value.reshape(-1).tolist())
    return list(value.flat)


def number(value: Value) -> Any:
    """Return the only number of a value."""
    found = numbers(value)
    if len(found) != 1:
        raise WeightsError(f"expected one number, got {len(found)}")
    return found[0]


def tensor(value: Value, like: Tensor) -> Tensor:
    """Return a value as a tensor; floating-point numbers get the type and device of the network's input."""
    if isinstance(value, Tensor):
        return value
    if all(type(item) in (int, float, bool) for item in value.flat):
        found = torch.tensor(value.tolist(), device=like.device)
        return found.to(like.dtype) if found.is_floating_point() else found
    items = [torch.as_tensor(item, device=like.device) for item in value.flat]
    found = torch.stack(items).reshape(value.shape)
    return found.to(like.dtype) if found.is_floating_point() else found


def operand(value: Value, like: Tensor) -> Any:
    """Return a value for arithmetic with tensors; a number stays a number, so that the tensor keeps its type."""
    if isinstance(value, Tensor):
        return value
    return value.flat[0] if value.size == 1 else tensor(value, like)


def larger(a: Any, b: Any) -> Any:
    """Return the larger of two sizes, either of which may be symbolic or, in a trace, a tensor."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return torch.maximum(torch.as_tensor(a), torch.as_tensor(b))
    return torch.sym_max(a, b)


def smaller(a: Any, b: Any) -> Any:
    """Return the smaller of two sizes."""
    return -larger(-a, -b)


def fixed_sizes(sizes: Any) -> list[int]:
    """Return sizes of weights, which never depend on the image, as integers."""
    return [int(size) for size in sizes]
