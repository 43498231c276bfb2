"""Operations that join values, split them, or take parts of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.operations.registry import Step, operation
from monai_auxops.weights.values import Value, host_array, is_host, number, numbers, tensor


@operation("Pack")
def pack(step: Step, *values: Value) -> Value:
    """Stack values along a new axis."""
    axis = step.get("axis", 0)
    if all(is_host(value) for value in values):
        return np.stack(values, axis)
    return torch.stack([tensor(value, step.like) for value in values], axis)


@operation("Unpack")
def unpack(step: Step, x: Value) -> list[Value]:
    """Split a value into its parts along an axis."""
    axis = step.get("axis", 0)
    if is_host(x):
        return [host_array(part) for part in np.moveaxis(x, axis, 0)]
    return list(x.unbind(axis))


@operation("ConcatV2")
def concat(step: Step, *values: Value) -> Value:
    """Join values along an axis, which comes last."""
    *parts, axis = values
    if all(is_host(part) for part in parts):
        return np.concatenate(parts, int(number(axis)))
    return torch.cat([tensor(part, step.like) for part in parts], int(number(axis)))


@operation("Concat")
def concat_old(step: Step, axis: Value, *parts: Value) -> Value:
    """Join values along an axis, which comes first."""
    return concat(step, *parts, axis)


@operation("Split")
def split(step: Step, axis: Value, x: Value) -> list[Value]:
    """Split a value into equal parts."""
    count, where = step.get("num_split", 1), int(number(axis))
    if is_host(x):
        return list(np.split(x, count, where))
    return list(x.split(x.shape[where] // count, where))


@operation("SplitV")
def split_sizes(step: Step, x: Value, sizes: Value, axis: Value) -> list[Value]:
    """Split a value into parts of given sizes, one of which may be -1."""
    parts, where = numbers(sizes), int(number(axis))
    rest = x.shape[where] - sum(part for part in parts if part != -1)
    parts = [rest if part == -1 else part for part in parts]
    if is_host(x):
        return list(np.split(x, np.cumsum(parts[:-1]), where))
    return list(x.split(parts, where))


@operation("GatherV2")
def gather(step: Step, x: Value, indices: Value, axis: Value) -> Value:
    """Pick elements along an axis."""
    where = int(number(axis))
    if is_host(x):
        return host_array(np.take(x, np.array(numbers(indices), int).reshape(indices.shape), where))
    index = tensor(indices, step.like).long().reshape(-1)
    return x.index_select(where, index).reshape([*x.shape[:where], *indices.shape, *x.shape[where + 1 :]])


@operation("Gather")
def gather_first(step: Step, x: Value, indices: Value) -> Value:
    """Pick elements along the first axis."""
    return gather(step, x, indices, host_array(0))


@operation("StridedSlice")
def strided_slice(step: Step, x: Value, begin: Value, end: Value, strides: Value) -> Value:
    """Slice a value, as ``x[a:b:c, ..., None]`` does."""
    begins, ends, steps = numbers(begin), numbers(end), numbers(strides)
    index = tuple(_index(step, axis, begins[axis], ends[axis], steps[axis]) for axis in range(len(begins)))
    if not is_host(x) and any(by < 0 for by in steps):
        return _flipped_slice(x, index)
    found = x[index]
    return host_array(found) if is_host(x) else found


def _index(step: Step, axis: int, begin: Any, end: Any, by: Any) -> Any:
    def is_set(mask: str) -> bool:
        return bool(step.get(mask, 0) >> axis & 1)

    if is_set("ellipsis_mask"):
        return ...
    if is_set("new_axis_mask"):
        return None
    if is_set("shrink_axis_mask"):
        return begin
    first = None if is_set("begin_mask") else begin
    last = None if is_set("end_mask") else end
    return slice(first, last, by)


def _flipped_slice(x: Tensor, index: tuple[Any, ...]) -> Tensor:
    """Slice with negative steps, which torch lacks, by NumPy's indices of each axis."""
    if any(not isinstance(part, slice) for part in index):
        raise WeightsError("a slice with a negative step beside another kind of index is not known")
    for axis, part in enumerate(index):
        taken = list(range(x.shape[axis])[part])
        x = x.index_select(axis, torch.tensor(taken, device=x.device, dtype=torch.long))
    return x


@operation("Slice")
def slice_(step: Step, x: Value, begin: Value, sizes: Value) -> Value:
    """Slice a part of a given size; -1 means up to the end."""
    pairs = zip(numbers(begin), numbers(sizes), strict=True)
    return x[tuple(slice(first, None if size == -1 else first + size) for first, size in pairs)]
