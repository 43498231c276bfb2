"""Operations that tell or change the shape of a value."""

from __future__ import annotations

import math

import numpy as np

from monai_auxops.weights.operations.registry import Step, operation
from monai_auxops.weights.values import Host, Value, host_array, is_host, number, numbers, tensor


@operation("Shape")
def shape(step: Step, x: Value) -> Host:
    """Return the sizes."""
    return host_array(list(x.shape))


@operation("ShapeN")
def shapes(step: Step, *values: Value) -> list[Host]:
    """Return the sizes of each value."""
    return [host_array(list(x.shape)) for x in values]


@operation("Size")
def size(step: Step, x: Value) -> Host:
    """Return the number of elements."""
    return host_array(math.prod(x.shape))


@operation("Rank")
def rank(step: Step, x: Value) -> Host:
    """Return the number of dimensions."""
    return host_array(x.ndim)


@operation("Reshape")
def reshape(step: Step, x: Value, sizes: Value) -> Value:
    """Change the shape of a value."""
    return x.reshape(step.sizes(numbers(sizes)))


@operation("ExpandDims")
def expand_dims(step: Step, x: Value, axis: Value) -> Value:
    """Add an axis of size 1."""
    where = int(number(axis))
    return np.expand_dims(x, where) if is_host(x) else x.unsqueeze(where)


@operation("Squeeze")
def squeeze(step: Step, x: Value) -> Value:
    """Remove axes of size 1."""
    axes = tuple(step.get("squeeze_dims", ()))
    if is_host(x):
        return np.squeeze(x, axes or None)
    return x.squeeze(axes) if axes else x.squeeze()


@operation("Transpose")
def transpose(step: Step, x: Value, order: Value) -> Value:
    """Reorder the axes."""
    axes = [int(axis) for axis in numbers(order)]
    return np.transpose(x, axes) if is_host(x) else x.permute(axes)


@operation("Tile")
def tile(step: Step, x: Value, multiples: Value) -> Value:
    """Repeat a value along each axis."""
    times = numbers(multiples)
    step.sizes(size * count for size, count in zip(x.shape, times, strict=True))
    return np.tile(x, times) if is_host(x) else x.repeat(times)


@operation("BroadcastTo")
def broadcast_to(step: Step, x: Value, sizes: Value) -> Value:
    """Repeat axes of size 1."""
    return tensor(x, step.like).expand(step.sizes(numbers(sizes)))
