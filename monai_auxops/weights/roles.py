"""The role of each weight of a graph: kernel of a convolution, scale of a normalization, moving statistic."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np

from monai_auxops.weights.slicing import VARIABLES, Slice

if TYPE_CHECKING:
    from monai_auxops.weights.graphdef import Node


class Role(Enum):
    """What a weight does."""

    KERNEL = "kernel"
    BIAS = "bias"
    SCALE = "scale"
    SHIFT = "shift"
    MEAN = "moving mean"
    VARIANCE = "moving variance"
    OTHER = "other"

    @property
    def is_statistic(self) -> bool:
        """Tell whether training does not learn the weight."""
        return self in (Role.MEAN, Role.VARIANCE)


_LEAVES: Final = {
    "gamma": Role.SCALE,
    "beta": Role.SHIFT,
    "moving_mean": Role.MEAN,
    "moving_variance": Role.VARIANCE,
}
_KERNELS: Final = (
    "Conv2D",
    "Conv3D",
    "Conv2DBackpropInput",
    "Conv3DBackpropInputV2",
    "DepthwiseConv2dNative",
    "MatMul",
)
_FUSED: Final = {1: Role.SCALE, 2: Role.SHIFT, 3: Role.MEAN, 4: Role.VARIANCE}
_READS: Final = frozenset({"Identity", "ReadVariableOp", "StopGradient", "Snapshot"})
_PASSES: Final = _READS | {"Cast", "Reshape", "ExpandDims", "Squeeze", "Switch", "RefSwitch"}


def is_weight(node: Node) -> bool:
    """Tell whether a node may hold a weight: a variable, or in a frozen graph a constant with an axis."""
    return node.op in VARIABLES or is_array(node)


def is_array(node: Node) -> bool:
    """Tell whether a node is a constant of floating-point numbers with an axis."""
    value = node.attributes.get("value")
    return (
        node.op == "Const" and isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim * value.size > 0
    )


def roles(found: Slice) -> dict[str, Role]:
    """Return the role of every weight, in the order in which the graph uses them."""
    nodes, readers = found.by_name, found.readers()
    order = {node.name: index for index, node in enumerate(found.nodes)}
    uses = {}
    for node in found.nodes:
        if is_weight(node):
            all_uses = sorted(_uses(node, readers), key=lambda use: order[use[0].name])
            uses[node.name] = (order[all_uses[0][0].name] if all_uses else 0, _role(node, all_uses, nodes))
    return {name: role for name, (_, role) in sorted(uses.items(), key=lambda item: item[1][0])}


def reads_a_constant(node: Node, readers: dict[str, list[Node]]) -> bool:
    """Tell whether a constant was a variable before the graph was frozen, because something reads it as one."""
    return any(reader.op == "ReadVariableOp" or reader.name == f"{node.name}/read" for reader in readers[node.name])


def _uses(node: Node, readers: dict[str, list[Node]]) -> Iterator[tuple[Node, int]]:
    """Yield the nodes that compute with a weight, with the input position; nodes that only pass it on are skipped."""
    reached, seen = [node.name], {node.name}
    while reached:
        name = reached.pop(0)
        for reader in readers[name]:
            slots = [slot for slot, (source, _) in enumerate(reader.sources) if source == name]
            if reader.op not in _PASSES:
                yield from ((reader, slot) for slot in slots)
            elif reader.name not in seen and slots[0] == 0:
                seen.add(reader.name)
                reached.append(reader.name)


def _role(node: Node, uses: list[tuple[Node, int]], nodes: dict[str, Node]) -> Role:
    leaf = node.name.rpartition("/")[2]
    if leaf in _LEAVES:
        return _LEAVES[leaf]
    found = [_role_of_use(reader, slot, nodes) for reader, slot in uses]
    return next((role for role in found if role is not Role.OTHER), Role.OTHER)


def _role_of_use(reader: Node, slot: int, nodes: dict[str, Node]) -> Role:
    if reader.op in _KERNELS:
        return Role.KERNEL if slot == 1 else Role.OTHER
    if reader.op == "BiasAdd":
        return Role.BIAS
    if reader.op.startswith("FusedBatchNorm"):
        return _FUSED.get(slot, Role.OTHER)
    if reader.op == "Mul":
        return Role.SCALE
    if reader.op in ("Add", "AddV2", "Sub"):
        return Role.BIAS if _follows_kernel(reader, 1 - slot, nodes) else Role.SHIFT
    return Role.OTHER


def _follows_kernel(reader: Node, slot: int, nodes: dict[str, Node]) -> bool:
    """Tell whether the other operand of a sum comes straight from a convolution or a product of matrices."""
    node = nodes[reader.sources[slot][0]]
    while node.op in _READS:
        node = nodes[node.sources[0][0]]
    return node.op in _KERNELS
