"""Operations that pad space, or move blocks of it into the batch and back."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from monai_auxops.weights.operations.registry import Step, operation
from monai_auxops.weights.values import Value, number, numbers


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
