"""Operations that move values or compute with shapes."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from monai_auxops.weights.dtypes import BOOL, is_float
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.operations.registry import Step, operation
from monai_auxops.weights.values import DEAD, Host, Value, host_array, is_host, number, numbers, operand, tensor

_INTEGERS: Final = {3: torch.int32, 4: torch.uint8, 5: torch.int16, 6: torch.int8, 9: torch.int64}


@operation(
    "Identity",
    "StopGradient",
    "ReadVariableOp",
    "CheckNumerics",
    "PlaceholderWithDefault",
    "Snapshot",
    "PreventGradient",
)
def identity(step: Step, x: Value) -> Value:
    """Return the value."""
    return x


@operation("Switch", "RefSwitch")
def switch(step: Step, x: Value, condition: Value) -> list[Value]:
    """Send the value to one of two outputs; the other output is dead."""
    return [DEAD, x] if number(condition) else [x, DEAD]


@operation("Merge", "RefMerge")
def merge(step: Step, *values: Value) -> list[Value]:
    """Return the value that is alive, and its index."""
    alive = [index for index, value in enumerate(values) if value is not DEAD]
    return [values[alive[0]], host_array(alive[0])] if alive else [DEAD, DEAD]


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


@operation("Range")
def range_(step: Step, start: Value, limit: Value, delta: Value) -> Host:
    """Return numbers from a start to a limit."""
    found = range(int(number(start)), int(number(limit)), int(number(delta)))
    step.sizes([len(found)])
    return host_array(list(found))


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


@operation("Pad", "PadV2")
def pad(step: Step, x: Value, pads: Value, value: Value | None = None) -> Value:
    """Pad a tensor with a constant."""
    filling = 0.0 if value is None else number(value)
    return functional.pad(x, _torch_pads(step, x, pads), value=filling)


@operation("MirrorPad")
def mirror_pad(step: Step, x: Tensor, pads: Value) -> Tensor:
    """Pad a tensor with its mirror image, with (``SYMMETRIC``) or without (``REFLECT``) its border."""
    again = int(step.get("mode", "REFLECT") == "SYMMETRIC")
    for axis, (before, after) in enumerate(_pairs(pads)):
        size_ = x.shape[axis]
        left = torch.arange(before, 0, -1, device=x.device) - again
        right = torch.arange(size_ - 2, size_ - 2 - after, -1, device=x.device) + again
        middle = torch.arange(size_, device=x.device)
        x = x.index_select(axis, torch.cat([left, middle, right]))
    return x


def _torch_pads(step: Step, x: Tensor, pads: Value) -> list[Any]:
    """Return padding in torch's order: the last axis first."""
    pairs = _pairs(pads)
    step.sizes(size + before + after for size, (before, after) in zip(x.shape, pairs, strict=True))
    return [value for pair in reversed(pairs) for value in pair]


def _pairs(pads: Value) -> list[tuple[Any, Any]]:
    flat = numbers(pads)
    return list(zip(flat[0::2], flat[1::2], strict=True))


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


@operation("SpaceToBatchND")
def space_to_batch(step: Step, x: Tensor, block: Value, pads: Value) -> Tensor:
    """Move blocks of space into the batch, which is how TensorFlow 1 writes a dilated convolution."""
    blocks, count = numbers(block), len(numbers(block))
    rest = x.dim() - 1 - count
    flat = [value for pair in reversed(_pairs(pads)) for value in pair]
    x = functional.pad(x, [0, 0] * rest + flat)
    batch, *sizes = x.shape
    inner = [size // by for size, by in zip(sizes, blocks, strict=False)]
    split_ = [value for pair in zip(inner, blocks, strict=True) for value in pair]
    x = x.reshape([batch, *split_, *sizes[count:]])
    order = [*range(2, 2 * count + 1, 2), 0, *range(1, 2 * count, 2), *range(2 * count + 1, x.dim())]
    return x.permute(order).reshape([batch * math.prod(blocks), *inner, *sizes[count:]])


@operation("BatchToSpaceND")
def batch_to_space(step: Step, x: Tensor, block: Value, crops: Value) -> Tensor:
    """Move blocks back from the batch into space, and crop the borders."""
    blocks, count = numbers(block), len(numbers(block))
    total, *sizes = x.shape
    batch = total // math.prod(blocks)
    x = x.reshape([*blocks, batch, *sizes])
    inner = [axis for index in range(count) for axis in (count + 1 + index, index)]
    x = x.permute([count, *inner, *range(2 * count + 1, x.dim())])
    outer = [size * by for size, by in zip(sizes, blocks, strict=False)]
    x = x.reshape([batch, *outer, *sizes[count:]])
    for axis, (before, after) in enumerate(_pairs(crops), start=1):
        x = x.narrow(axis, before, x.shape[axis] - before - after)
    return x


@operation("RandomUniform")
def random_uniform(step: Step, sizes: Value) -> Tensor:
    """Draw numbers between 0 and 1, which dropout compares with its rate."""
    return torch.rand(step.sizes(numbers(sizes)), dtype=step.like.dtype, device=step.like.device)


@operation("RandomStandardNormal")
def random_normal(step: Step, sizes: Value) -> Tensor:
    """Draw normally distributed numbers."""
    return torch.randn(step.sizes(numbers(sizes)), dtype=step.like.dtype, device=step.like.device)


@operation("Select", "SelectV2")
def select(step: Step, condition: Value, a: Value, b: Value) -> Value:
    """Take elements of one value or the other; ``Select`` may choose whole rows."""
    if is_host(condition) and is_host(a) and is_host(b):
        return host_array(np.where(condition.astype(bool), a, b))
    if is_host(condition) and condition.size == 1:
        return a if number(condition) else b
    mask = tensor(condition, step.like)
    if step.node.op == "Select" and mask.dim() == 1 and a.ndim > 1:
        mask = mask.reshape([-1] + [1] * (a.ndim - 1))
    return torch.where(mask, operand(a, step.like), operand(b, step.like))
