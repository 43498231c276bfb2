"""Cut the network out of a training graph: the nodes between its input and its output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from monai_auxops.weights.dtypes import BOOL
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.graphdef import Node, source

INPUT: Final = "NV_MODEL_INPUT"
OUTPUT: Final = "NV_MODEL_OUTPUT"
VARIABLES: Final = frozenset({"Variable", "VariableV2", "VarHandleOp"})
_PASSES: Final = frozenset({"Identity", "StopGradient", "CheckNumerics", "Cast", "Snapshot", "PlaceholderWithDefault"})
_MOVES: Final = frozenset({"Transpose", "Reshape", "Squeeze", "ExpandDims", "Pack"})
_ACTIVATIONS: Final = {"Sigmoid": "sigmoid", "Softmax": "softmax"}
_SPATIAL: Final = frozenset(
    {
        "Conv2D",
        "Conv3D",
        "Conv2DBackpropInput",
        "Conv3DBackpropInputV2",
        "DepthwiseConv2dNative",
        "MaxPool",
        "MaxPool3D",
        "AvgPool",
        "AvgPool3D",
    }
)
_SWITCHES: Final = frozenset({"Switch", "RefSwitch"})
_UPDATES: Final = frozenset({"AssignSub", "AssignSubVariableOp"})


@dataclass(frozen=True, slots=True)
class Slice:
    """A network within a graph.

    Attributes:
        nodes: in an order in which each node follows all that it reads.
        input: the node that receives the image.
        output: the node whose value is the network's output.
        activation: the activation at the graph's end, which ``nodes`` leave out: ``sigmoid``, ``softmax`` or None.
        updates: moving statistics and the node whose value is subtracted from each in training.
        needed: how many of the nodes the output needs; the others serve the updates.
    """

    nodes: tuple[Node, ...]
    input: str
    output: str
    activation: str | None = None
    updates: Mapping[str, str] = field(default_factory=dict)
    needed: int = 0

    @property
    def by_name(self) -> dict[str, Node]:
        """The nodes by name."""
        return {node.name: node for node in self.nodes}

    def readers(self) -> dict[str, list[Node]]:
        """Return the nodes that read each node."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name, _ in node.sources:
                found[name].append(node)
        return found


def cut(graph: Mapping[str, Node], start: str = INPUT, end: str = OUTPUT, keep_activation: bool = False) -> Slice:
    """Return the network between two nodes, without the activation that it ends in unless that is to be kept.

    Raises:
        WeightsError: one of the nodes is not there, or no path leads from one to the other.
    """
    for name in (start, end):
        if name not in graph:
            raise WeightsError(f"the graph has no node {name}, so the start of Clara's network is unknown")
    nodes = {node.name: node for node in _ordered(graph, [end], start)}
    if start not in nodes:
        raise WeightsError(f"no path leads from {start} to {end} in the graph")
    last, activation = _activation(nodes, end)
    if last is not None and not keep_activation:
        nodes[last.name] = replace(last, op="Identity", attributes={})
    needed = len(nodes)
    updates = _updates(graph, nodes)
    extra = _ordered({**graph, **nodes}, list(updates.values()), start)
    nodes |= {node.name: node for node in extra if node.name not in nodes}
    return Slice(tuple(nodes.values()), start, end, activation, updates, needed)


def _ordered(graph: Mapping[str, Node], ends: Iterable[str], start: str) -> list[Node]:
    """Return the nodes that some nodes need, each after those that it reads."""
    done: dict[str, Node] = {}
    open_: set[str] = set()
    stack = [(source(name)[0], False) for name in ends]
    while stack:
        name, complete = stack.pop()
        if complete:
            open_.discard(name)
            done[name] = _with_pivots(graph, graph[name].decoded())
        elif name in open_:
            raise WeightsError(f"the graph has a loop at {name}; loops of TensorFlow cannot be run")
        elif name not in done:
            open_.add(name)
            stack.append((name, True))
            stack += [(needed, False) for needed in _nodes_read_by(graph, name, start) if needed not in done]
    return list(done.values())


def _nodes_read_by(graph: Mapping[str, Node], name: str, start: str) -> list[str]:
    """Return the nodes that a node reads, last one first, so that the first one is visited first."""
    if name == start:
        return []
    needed = _with_pivots(graph, graph[name]).needs
    missing = next((other for other in needed if other not in graph), None)
    if missing is not None:
        raise WeightsError(f"{name} reads {missing}, which the graph lacks: is the file complete?")
    return needed[::-1]


def _with_pivots(graph: Mapping[str, Node], node: Node) -> Node:
    """Return a node with the control inputs that decide whether it runs: the branches of a condition."""
    kept = [name for name in node.inputs if not name.startswith("^") or _is_pivot(graph, name[1:])]
    return replace(node, inputs=tuple(kept))


def _is_pivot(graph: Mapping[str, Node], name: str) -> bool:
    """Tell whether a node is a branch of a condition, which TensorFlow writes as a switch and an identity."""
    node = graph.get(name)
    if node is not None and node.op == "Identity" and node.sources:
        node = graph.get(node.sources[0][0])
    return node is not None and node.op in _SWITCHES


def _activation(nodes: Mapping[str, Node], end: str) -> tuple[Node | None, str | None]:
    """Find the activation before the output; only operations that move values may follow it."""
    node = nodes[end]
    while node.op in _PASSES | _MOVES and node.sources:
        node = nodes[node.sources[0][0]]
    return (node, _ACTIVATIONS[node.op]) if node.op in _ACTIVATIONS else (None, None)


def _updates(graph: Mapping[str, Node], nodes: Mapping[str, Node]) -> dict[str, str]:
    """Find how training moves the statistics of batch norm: ``AssignMovingAvg`` subtracts a share of the difference."""
    variables = {name for name, node in nodes.items() if node.op in VARIABLES}
    found: dict[str, str] = {}
    for node in graph.values():
        if node.op not in _UPDATES or len(node.sources) != 2:
            continue
        variable, _ = node.sources[0]
        if variable in variables and "AssignMovingAvg" in node.name:
            found[variable] = node.inputs[1]
    return found


def input_is_channels_last(found: Slice) -> bool:
    """Tell whether the image's channels are last, by the first spatial layer and the transposes before it."""
    readers, reached, seen = found.readers(), [(found.input, False)], {found.input}
    while reached:
        name, moved = reached.pop(0)
        for node in readers[name]:
            if node.op in _SPATIAL:
                return _layout_is_last(node) != moved
            if node.name not in seen:
                seen.add(node.name)
                reached.append((node.name, moved != (node.op == "Transpose")))
    return False


def output_is_channels_last(found: Slice) -> bool:
    """Tell whether the output's channels are last, by the last spatial layer and the transposes after it."""
    nodes = found.by_name
    reached, seen = [(found.output, False)], {found.output}
    while reached:
        name, moved = reached.pop(0)
        node = nodes[name]
        if node.op in _SPATIAL:
            return _layout_is_last(node) != moved
        for other, _ in node.sources:
            if other not in seen:
                seen.add(other)
                reached.append((other, moved != (node.op == "Transpose")))
    return False


def input_shape(found: Slice) -> list[int]:
    """Return the input sizes that the graph fixes, in the graph's own layout; -1 for a free size."""
    shape: Any = found.by_name[found.input].attributes.get("shape")
    return list(shape) if isinstance(shape, list) else []


def input_channels(found: Slice, last: bool) -> int | None:
    """Return the number of channels that the graph fixes, in front or last; None if it is free."""
    shape = input_shape(found)
    known = shape[-1 if last else 1] if len(shape) > 2 else -1
    return known if known > 0 else None


def _layout_is_last(node: Node) -> bool:
    layout = str(node.attributes.get("data_format") or "NHWC")
    return not layout.startswith("NC")


def is_training_flag(node: Node) -> bool:
    """Tell whether a node is the switch between training and inference (``NV_IS_TRAINING``)."""
    return node.op in ("Placeholder", "PlaceholderWithDefault") and node.attributes.get("dtype") == BOOL
