"""Convolutions, pooling and normalization: torch's, with TensorFlow's padding and layouts."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.operations.registry import Step, operation
from monai_auxops.weights.values import Value, fixed_sizes, host_array, larger, numbers, tensor

_CONV: Final = {2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED: Final = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
_MAX: Final = {2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE: Final = {2: functional.avg_pool2d, 3: functional.avg_pool3d}


def same_padding(size: Any, kernel: int, stride: int, dilation: int = 1) -> tuple[Any, Any]:
    """Return TensorFlow's SAME padding before and after an axis: the odd voxel comes after.

    Examples:
        >>> same_padding(8, 3, 2), same_padding(9, 3, 2), same_padding(8, 3, 1)
        ((0, 1), (1, 1), (1, 1))
    """
    reach = (kernel - 1) * dilation + 1
    if stride == 1:
        total: Any = reach - 1
    elif reach == 1:
        total = 0
    else:
        total = (-(-size // stride) - 1) * stride + reach - size
        total = larger(total, 0) if reach < stride else total
    return total // 2, total - total // 2


class _Layout:
    """The position of a layer's channels; torch needs them second."""

    def __init__(self, step: Step, dims: int) -> None:
        layout = str(step.get("data_format", "NDHWC" if dims == 3 else "NHWC"))
        self.first = layout.startswith("NC")

    def to_torch(self, x: Tensor) -> Tensor:
        return x if self.first else x.movedim(-1, 1)

    def back(self, x: Tensor) -> Tensor:
        return x if self.first else x.movedim(1, -1)

    def spatial(self, values: Any) -> list[Any]:
        """Return the values that belong to the spatial axes."""
        found = list(values)
        return found[2:] if self.first else found[1:-1]


def _pads(
    step: Step, layout: _Layout, x: Tensor, kernel: list[int], stride: list[int], dilation: list[int]
) -> list[Any]:
    """Return the padding of each spatial axis as pairs."""
    padding = step.get("padding", "VALID")
    if padding == "SAME":
        return [same_padding(*axis) for axis in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    if padding == "EXPLICIT":
        flat = step.get("explicit_paddings", [])
        return layout.spatial(zip(flat[0::2], flat[1::2], strict=True))
    return [(0, 0)] * len(kernel)


def _flat(pads: list[Any]) -> list[Any]:
    """Return padding in torch's order: the last axis first."""
    return [value for pair in reversed(pads) for value in pair]


def _symmetric(pads: list[Any]) -> bool:
    return all(type(before) is int and type(after) is int and before == after for before, after in pads)


def _is_zero(value: Any) -> bool:
    """Tell whether a padding is known to be zero; a symbolic size is not tested, because that would fix it."""
    return type(value) is int and value == 0


@operation("Conv2D", "Conv3D")
def convolution(step: Step, x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve; the kernel is stored as space, input channels, output channels."""
    dims = kernel.dim() - 2
    layout = _Layout(step, dims)
    weight, image = kernel.movedim((-1, -2), (0, 1)), layout.to_torch(x)
    groups = int(image.shape[1] // weight.shape[1])
    return layout.back(_convolve(step, layout, image, weight, groups))


@operation("DepthwiseConv2dNative")
def depthwise(step: Step, x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve each channel by itself; the kernel is stored as space, channels, filters per channel."""
    layout = _Layout(step, 2)
    height, width, channels, filters = fixed_sizes(kernel.shape)
    weight = kernel.permute(2, 3, 0, 1).reshape(channels * filters, 1, height, width)
    return layout.back(_convolve(step, layout, layout.to_torch(x), weight, channels))


def _convolve(step: Step, layout: _Layout, x: Tensor, weight: Tensor, groups: int) -> Tensor:
    dims = weight.dim() - 2
    stride = layout.spatial(step.get("strides", [1] * (dims + 2)))
    dilation = layout.spatial(step.get("dilations", [])) or [1] * dims
    pads = _pads(step, layout, x, fixed_sizes(weight.shape[2:]), stride, dilation)
    if _symmetric(pads):  # torch's own padding does not copy the image
        inside = [before for before, _ in pads]
        return _CONV[dims](x, weight, None, stride, inside, dilation, groups)
    return _CONV[dims](functional.pad(x, _flat(pads)), weight, None, stride, 0, dilation, groups)


@operation("Conv2DBackpropInput", "Conv3DBackpropInputV2")
def transposed(step: Step, sizes: Value, kernel: Tensor, y: Tensor) -> Tensor:
    """Apply a transposed convolution, and crop the full result where SAME would pad an image of the output's size."""
    dims = kernel.dim() - 2
    layout = _Layout(step, dims)
    stride = layout.spatial(step.get("strides", [1] * (dims + 2)))
    if any(value != 1 for value in layout.spatial(step.get("dilations", []))):
        raise WeightsError("a transposed convolution with dilation is not known")
    want = layout.spatial(step.sizes(numbers(sizes)))
    weight = kernel.movedim((-1, -2), (0, 1))
    full = _TRANSPOSED[dims](layout.to_torch(y), weight, stride=stride)
    starts = [0] * dims
    if step.get("padding") == "SAME":
        axes = zip(want, fixed_sizes(weight.shape[2:]), stride, strict=True)
        starts = [same_padding(*axis)[0] for axis in axes]
    for axis, (start, size) in enumerate(zip(starts, want, strict=True), start=2):
        full = _cut(full, axis, start, size)
    return layout.back(full)


def _cut(x: Tensor, axis: int, start: Any, size: Any) -> Tensor:
    """Return a range of an axis, padded with zeros where the range exceeds the axis."""
    missing = larger(start + size - x.shape[axis], 0)
    x = functional.pad(x, [0, 0] * (x.dim() - 1 - axis) + [0, missing])
    return x.narrow(axis, start, size)


@operation("MaxPool", "MaxPool3D")
def max_pool(step: Step, x: Tensor) -> Tensor:
    """Take the largest element of each window, ignoring padding."""
    layout, kernel, stride, pads = _windows(step, x)
    image = layout.to_torch(x)
    if not all(_is_zero(value) for pair in pads for value in pair):
        image = functional.pad(image, _flat(pads), value=-math.inf)
    return layout.back(_MAX[len(kernel)](image, kernel, stride))


@operation("AvgPool", "AvgPool3D")
def average_pool(step: Step, x: Tensor) -> Tensor:
    """Average each window, ignoring padding."""
    layout, kernel, stride, pads = _windows(step, x)
    image, average = layout.to_torch(x), _AVERAGE[len(kernel)]
    if step.get("padding") != "SAME":
        return layout.back(average(image, kernel, stride))
    inside = functional.pad(torch.ones_like(image[:1, :1]), _flat(pads))
    found = average(functional.pad(image, _flat(pads)), kernel, stride)
    return layout.back(found / average(inside, kernel, stride))


def _windows(step: Step, x: Tensor) -> tuple[_Layout, list[int], list[int], list[Any]]:
    dims = x.dim() - 2
    layout = _Layout(step, dims)
    kernel, stride = layout.spatial(step.get("ksize", [])), layout.spatial(step.get("strides", []))
    return layout, kernel, stride, _pads(step, layout, layout.to_torch(x), kernel, stride, [1] * dims)


@operation("BiasAdd")
def bias_add(step: Step, x: Tensor, bias: Tensor) -> Tensor:
    """Add a number to each channel."""
    if str(step.get("data_format", "NHWC")).startswith("NC"):
        return x + bias.reshape([-1] + [1] * (x.dim() - 2))
    return x + bias


@operation("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def batch_norm(step: Step, x: Tensor, *parameters: Value) -> list[Any]:
    """Normalize by moving statistics, or in training by batch statistics, which are also returned."""
    layout, epsilon = _Layout(step, x.dim() - 2), step.get("epsilon", 1e-4)
    image = layout.to_torch(x)
    scale, offset, mean, variance = (tensor(value, step.like) for value in parameters)
    if not step.get("is_training", True):
        center, spread = tensor(mean, x), tensor(variance, x)
        found = functional.batch_norm(image, center, spread, scale, offset, False, 0.0, epsilon)
        return [layout.back(found), mean, variance]
    found = functional.batch_norm(image, None, None, scale, offset, True, 0.0, epsilon)
    axes = [axis for axis in range(image.dim()) if axis != 1]
    with torch.no_grad():
        moments = [image.mean(axes), image.var(axes)]
    return [layout.back(found), *moments, host_array(0), host_array(0), host_array(0)]


@operation("LRN")
def local_response(step: Step, x: Tensor) -> Tensor:
    """Divide by the energy of neighboring channels, which are last."""
    radius, bias = int(step.get("depth_radius", 5)), step.get("bias", 1.0)
    squares = functional.pad(x * x, [radius, radius])
    energy = squares.unfold(-1, 2 * radius + 1, 1).sum(-1)
    scale: Tensor = (bias + step.get("alpha", 1.0) * energy) ** step.get("beta", 0.5)
    return x / scale


@operation("L2Loss")
def half_of_squares(step: Step, x: Tensor) -> Tensor:
    """Return half of the sum of squares."""
    return (x * x).sum() / 2
