"""The proof: run a candidate and Clara's graph in float64 on two random inputs of different size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.slicing import input_channels, input_shape
from monai_auxops.weights.values import is_host

if TYPE_CHECKING:
    from monai_auxops.weights.candidates import Candidate, Question
    from monai_auxops.weights.graphdef import Node
    from monai_auxops.weights.network import GraphNetwork

BOUND: Final = 1e-10
"""A correct conversion differs by 1e-13, a wrong epsilon by 6e-9 or more, wrong padding by 0.1 or more."""
VISIBLE: Final = 1e-6
"""By how much the outputs of two random images differ at least; those of trained networks differ by 1e-2 or more."""
LIMIT: Final = 2**27
"""The most elements of a tensor in a proof: the inputs are small, so larger tensors mean a hostile file."""
_SIZES: Final = {
    "SegResNet": ((2, 1, 3), (1, 3, 2)),
    "DenseNet121": ((40, 33, 48), (35, 64, 41)),
    "": ((32, 64, 32), (64, 32, 32)),
}


def sizes(question: Question, name: str) -> list[list[int]]:
    """Return two spatial sizes for the inputs; a graph with a fixed size gets that size twice."""
    dims = spatial_dims(question)
    unit = _unit(question) if name == "SegResNet" else 1
    found = [[unit * side for side in shape[:dims]] for shape in _SIZES[name]]
    fixed = input_shape(question.found)
    space = fixed[1:-1] if question.graph.channels_last else fixed[2:]
    if len(space) != dims:
        return found
    pairs = [zip(size, space, strict=True) for size in found]
    return [[known if known > 0 else side for side, known in pair] for pair in pairs]


def _unit(question: Question) -> int:
    """Return the divisor of every size: two for each strided convolution, at least four."""
    strided = [node for node in question.found.nodes if node.op.startswith("Conv") and _strides(node)]
    return int(max(4, 2 ** min(len(strided), 7)))


def _strides(node: Node) -> bool:
    return max(node.attributes.get("strides", [1])) > 1 and "Backprop" not in node.op


def spatial_dims(question: Question) -> int:
    """Return the number of spatial axes, told by the first spatial layer."""
    for node in question.found.nodes:
        strides = node.attributes.get("strides")
        if strides:
            return len(strides) - 2
    raise WeightsError("the graph has no convolution and no pooling, so the size of its image is unknown")


def in_channels(question: Question) -> int:
    """Return the number of channels of the image."""
    known = input_channels(question.found, question.graph.channels_last)
    if known is not None:
        return known
    given = question.network_def.get("in_channels")
    if isinstance(given, int):
        return given
    kernels = [value.shape[-2] for value in question.tensors.values() if value.ndim > 3]
    return int(kernels[0]) if kernels else 1


def inputs(question: Question, name: str) -> list[Tensor]:
    """Return two inputs: normally distributed numbers from a fixed seed, in batches of two and one."""
    generator = torch.Generator().manual_seed(0)
    channels = in_channels(question)
    shapes = [(batch, channels, *size) for batch, size in zip((2, 1), sizes(question, name), strict=True)]
    return [torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes]


@torch.no_grad()
def difference(graph: nn.Module, candidate: nn.Module, images: Sequence[Tensor]) -> float:
    """Return the largest difference of the outputs, relative to the largest output if that exceeds 1."""
    worst = 0.0
    for image in images:
        expected, got = graph(image), candidate(image)
        if expected.shape != got.shape:
            raise WeightsError(f"Clara's graph gives {list(expected.shape)}, the candidate {list(got.shape)}")
        largest = max(1.0, expected.abs().max().item())
        worst = max(worst, (expected - got).abs().max().item() / largest)
        if not math.isfinite(worst) or not math.isfinite(largest):
            return math.inf
    return worst


@torch.no_grad()
def depends_on_image(graph: nn.Module, images: Tensor) -> bool:
    """Tell whether two images give outputs that differ clearly; otherwise any candidate would be within the bound."""
    one, other = graph(images)[:2]
    return bool((one - other).abs().max() > VISIBLE * one.abs().max().clamp(min=1.0))


@torch.no_grad()
def first_difference(question: Question, candidate: Candidate, image: Tensor) -> str:
    """Name the first convolution whose result differs, so that the user knows where to look."""
    layers = _layers(question, candidate)
    results: dict[str, Tensor] = {}
    modules = dict(candidate.network.named_modules())
    hooks = [
        modules[key].register_forward_hook(lambda _, __, output, key=key: results.update({key: output.clone()}))
        for key in layers.values()  # a copy, because MONAI's blocks add to it in place
    ]
    candidate.network(image)
    for hook in hooks:
        hook.remove()
    expected = question.graph.values(image, [node.name for node in layers])
    for node, key in layers.items():
        value = _channels_second(node, expected[node.name])
        if key in results and not _same(value, results[key]):
            return f"; the first layer that differs is {node.name} ({key})"
    return "; all convolutions agree, so the difference comes after the last one"


def _layers(question: Question, candidate: Candidate) -> dict[Any, str]:
    """Return the convolutions of the graph with their modules, in the order of use."""
    readers = question.found.readers()
    found: dict[Any, str] = {}
    for name, key in candidate.keys.items():
        for node in _convolutions(name, readers):
            found[_Named(node)] = key.rpartition(".")[0]
    order = {node.name: index for index, node in enumerate(question.found.nodes)}
    return dict(sorted(found.items(), key=lambda item: order[item[0].name]))


class _Named:
    """A node as a dictionary key, because nodes hold lists and cannot be hashed."""

    def __init__(self, node: Node) -> None:
        self.name, self.attributes = node.name, node.attributes


def _convolutions(name: str, readers: Mapping[str, list[Node]]) -> list[Node]:
    reached, found = [name], []
    while reached:
        for node in readers[reached.pop()]:
            if node.op in ("Identity", "ReadVariableOp"):
                reached.append(node.name)
            elif node.op in ("Conv2D", "Conv3D"):
                found.append(node)
    return found


def _channels_second(node: Any, value: Tensor) -> Tensor:
    return value if str(node.attributes.get("data_format") or "NHWC").startswith("NC") else value.movedim(-1, 1)


def _same(a: Any, b: Any) -> bool:
    if is_host(a) or a.shape != b.shape:
        return False
    return bool((a - b).abs().max() <= 1e-8 * max(1.0, a.abs().max().item()))


@torch.no_grad()
def check_activation(logits: GraphNetwork, whole: GraphNetwork, images: Sequence[Tensor]) -> None:
    """Refuse a graph whose last activation is not over the channels, as a bundle applies it."""
    for image in images:
        raw, expected = logits(image), whole(image)
        got = raw.sigmoid() if logits.activation == "sigmoid" else raw.softmax(1)
        if got.shape != expected.shape or not (got - expected).abs().max() <= BOUND:
            raise WeightsError(f"the graph's {logits.activation} is not over the channels, so no bundle can apply it")
