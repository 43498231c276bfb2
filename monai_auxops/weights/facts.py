"""The properties that a graph states: epsilon, padding, upsampling, groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from monai_auxops.weights.graphdef import Node
    from monai_auxops.weights.network import GraphNetwork
    from monai_auxops.weights.slicing import Slice

_READS = ("Identity", "Switch", "Cast")


def epsilon(found: Slice) -> float | None:
    """Return the epsilon of most normalizations in the graph, or None without normalization."""
    counts = Counter(_epsilons(found))
    return counts.most_common(1)[0][0] if counts else None


def _epsilons(found: Slice) -> Iterator[float]:
    nodes = found.by_name
    for node in found.nodes:
        if node.op.startswith("FusedBatchNorm"):
            yield float(node.attributes.get("epsilon", 1e-4))
        elif node.op == "Rsqrt":
            total = nodes[node.sources[0][0]]
            numbers = [_number(nodes, name) for name, _ in total.sources if total.op in ("Add", "AddV2")]
            yield from (number for number in numbers if number is not None)


def _number(nodes: dict[str, Node], name: str) -> float | None:
    node = nodes[name]
    while node.op in _READS:
        node = nodes[node.sources[0][0]]
    value = node.attributes.get("value")
    return float(value.item()) if isinstance(value, np.ndarray) and value.size == 1 else None


def padding(found: Slice) -> str:
    """Return the padding of strided convolutions: TensorFlow's ``same``, or ``symmetric`` padding before them."""
    convolutions = [node for node in found.nodes if node.op in ("Conv2D", "Conv3D")]
    strided = [node for node in convolutions if max(node.attributes.get("strides", [1])) > 1]
    return "symmetric" if strided and strided[0].attributes.get("padding") != "SAME" else "same"


def upsampling(found: Slice) -> str | None:
    """Return the name of the graph's upsampling, or None if it uses none of these operations."""
    for node in found.nodes:
        if node.op == "ResizeNearestNeighbor":
            return "nearest"
        if node.op == "ResizeBilinear":
            if node.attributes.get("align_corners"):
                return "align_corners"
            return "half_pixel" if node.attributes.get("half_pixel_centers") else "repeat"
    return None


def groups(found: Slice, network: GraphNetwork, image: Tensor) -> int | None:
    """Return the number of groups of group norm, found in a run at the reshape that adds an axis."""
    reshapes = [node for node in found.nodes[: found.needed] if node.op == "Reshape"]
    names = {name for node in reshapes for name in (node.name, node.sources[0][0])}
    with torch.no_grad():
        values = network.values(image, names)
    for node in reshapes:
        before, after = values.get(node.sources[0][0]), values.get(node.name)
        if isinstance(before, Tensor) and isinstance(after, Tensor) and after.dim() == before.dim() + 1 > 4:
            count = _cut_axis(list(before.shape), list(after.shape), network)
            if count:
                return count
    return None


def _cut_axis(before: list[int], after: list[int], network: GraphNetwork) -> int | None:
    axis = len(before) - 1 if network.channels_last else 1
    is_cut = before[axis] == after[axis] * after[axis + 1] and before[:axis] == after[:axis]
    return after[axis] if is_cut else None
