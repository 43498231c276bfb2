"""TensorFlow graphs (``.meta``, ``.fzn.pb``) as nodes of plain Python values. Nothing of a graph is run here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monai_auxops.weights.dtypes import DTYPES, base
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.protobuf import Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_FILE: Final = 2**31
_MAX_NODES: Final = 500_000
_MAX_REPEATED: Final = 2**24  # one number that fills a tensor: an untrusted file must not allocate all memory


@dataclass(frozen=True, slots=True)
class Node:
    """A graph's operation: its name, its kind, what it reads (``name``, ``name:1``, ``^name``) and its attributes."""

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    raw: memoryview | None = None

    def decoded(self) -> Node:
        """Return the node with its attributes, which are decoded late because a graph has thousands of nodes."""
        if self.raw is None:
            return self
        return replace(self, attributes=_attributes(Message(self.raw)), raw=None)

    @property
    def sources(self) -> list[tuple[str, int]]:
        """The nodes whose values this node reads, with the number of the output."""
        return [source(name) for name in self.inputs if not name.startswith("^")]

    @property
    def controls(self) -> list[str]:
        """The nodes that must run before this one and whose values it does not read."""
        return [name[1:] for name in self.inputs if name.startswith("^")]

    @property
    def needs(self) -> list[str]:
        """The names of all nodes that must run before this node."""
        return [*(name for name, _ in self.sources), *self.controls]


def source(name: str) -> tuple[str, int]:
    """Split the name of an input.

    Examples:
        >>> source("split:1"), source("conv3d/kernel")
        (('split', 1), ('conv3d/kernel', 0))
    """
    node, colon, output = name.partition(":")
    return (node, int(output)) if colon and output.isdigit() else (name, 0)


def read_graph(path: Path) -> dict[str, Node]:
    """Return the nodes of a graph by name.

    Args:
        path: a ``.meta`` file (a graph inside of a ``MetaGraphDef``) or a frozen ``.pb`` file (a ``GraphDef``).
    """
    if path.stat().st_size > _MAX_FILE:
        raise WeightsError(f"{path.name} is larger than 2 GB, which is too large for a graph")
    try:
        message = Message(memoryview(path.read_bytes()))
        if path.suffix == ".meta":
            message = next(iter(message.messages(2)), Message(memoryview(b"")))
        return _nodes(message)
    except WeightsError as error:
        raise WeightsError(f"{path.name}: {error}") from error


def _nodes(graph: Message) -> dict[str, Node]:
    views = graph.views(1)
    if not views:
        raise WeightsError("it holds no node: it is not a TensorFlow graph, or it is damaged")
    if len(views) > _MAX_NODES:
        raise WeightsError(f"{len(views)} nodes, more than any network has")
    nodes = {}
    for view in views:
        message = Message(view)
        node = Node(message.text(1), message.text(2), tuple(message.texts(3)), raw=view)
        nodes[node.name] = node
    return nodes


def _attributes(node: Message) -> dict[str, Any]:
    found = {}
    for item in node.messages(5):
        name, values = item.text(1), item.messages(2)
        if values and not name.startswith("_"):
            found[name] = _attribute(values[-1])
    return found


def _attribute(value: Message) -> Any:
    """Return an attribute as a plain value; its type follows from the field that is set."""
    if 1 in value:
        return _list(value.messages(1)[-1])
    if 2 in value:
        return value.text(2)
    if 3 in value:
        return value.integer(3)
    if 4 in value:
        return value.floats(4)[-1]
    if 5 in value:
        return bool(value.integer(5))
    if 6 in value:
        return base(value.integer(6))
    if 7 in value:
        return _shape(value.messages(7)[-1])
    return _tensor(value.messages(8)[-1]) if 8 in value else None


def _list(values: Message) -> list[Any]:
    if 4 in values:
        return values.floats(4)
    if 2 in values:
        return values.texts(2)
    number = next((number for number in (3, 5, 6) if number in values), None)
    return values.integers(number) if number is not None else []


def _shape(shape: Message) -> list[int] | None:
    """Return the sizes, with -1 for a free size; None if the number of dimensions is free."""
    return None if shape.integer(3) else [dim.integer(1) for dim in shape.messages(2)]


def _tensor(tensor: Message) -> NDArray[Any] | list[str]:
    dtype = base(tensor.integer(1))
    shape = next((_shape(found) for found in tensor.messages(2)), None) or []
    if dtype not in DTYPES:
        return tensor.texts(8)
    if any(size < 0 for size in shape):
        raise WeightsError(f"a constant has the shape {shape}")
    count = math.prod(shape)
    content = next(iter(tensor.views(4)), None)
    if content is not None and len(content):
        if len(content) != count * DTYPES[dtype].itemsize:
            raise WeightsError(f"a constant of the shape {shape} has {len(content)} bytes")
        constant: NDArray[Any] = np.frombuffer(content, DTYPES[dtype])
        return constant.reshape(shape)
    return _repeated(tensor, dtype, count).reshape(shape)


def _repeated(tensor: Message, dtype: int, count: int) -> NDArray[Any]:
    """Return values given one by one; the last one fills the rest, and none means zero."""
    if count > _MAX_REPEATED:
        raise WeightsError(f"a constant of {count} elements comes without its bytes")
    if dtype == 19:
        halves = np.array(tensor.integers(13), np.uint16).view(np.float16)
        values = halves.tolist()
    elif dtype in (1, 2):
        values = tensor.floats(5) or tensor.floats(6, "d")
    else:
        number = next((number for number in (7, 10, 11, 16, 17) if number in tensor), 7)
        values = tensor.integers(number)
    values = (values or [0])[:count]
    filled = values + values[-1:] * (count - len(values))
    try:
        constant: NDArray[Any] = np.array(filled, DTYPES[dtype])
        return constant
    except OverflowError as error:
        raise WeightsError("a constant's value is out of range for its type") from error
