"""A network of a graph as plain data: the content of ``graph.json``, and the tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.roles import Role, is_array, reads_a_constant, roles
from monai_auxops.weights.slicing import (
    VARIABLES,
    Slice,
    input_channels,
    input_is_channels_last,
    is_training_flag,
    output_is_channels_last,
)

if TYPE_CHECKING:
    from monai_auxops.weights.graphdef import Node

FORMAT: Final = 1
_MAX_NUMBERS: Final = 1024
_KEPT: Final = frozenset(
    {
        "adj_x",
        "adj_y",
        "align_corners",
        "alpha",
        "axis",
        "begin_mask",
        "beta",
        "bias",
        "block_size",
        "data_format",
        "depth_radius",
        "dilations",
        "ellipsis_mask",
        "end_mask",
        "epsilon",
        "explicit_paddings",
        "half_pixel_centers",
        "is_training",
        "keep_dims",
        "ksize",
        "mode",
        "new_axis_mask",
        "num_split",
        "padding",
        "shrink_axis_mask",
        "squeeze_dims",
        "strides",
        "transpose_a",
        "transpose_b",
        "DstT",
    }
)
"""The attributes that an operation reads; the others control how TensorFlow runs it."""

Array = NDArray[Any]
Read = Callable[[str], Array]


@dataclass(frozen=True, slots=True)
class Description:
    """A network: its graph as plain data, and its tensors by name, the learned ones and the statistics."""

    graph: dict[str, Any]
    tensors: Mapping[str, Array]


def describe(found: Slice, read: Read) -> Description:
    """Return the network of a slice.

    Args:
        found: the nodes between the image and the output.
        read: returns the value of a variable by its name.
    """
    tensors = _tensors(found, read)
    learned = _learned(found, tensors)
    graph = {
        "format": FORMAT,
        "input": found.input,
        "output": found.output,
        "channels_last": [input_is_channels_last(found), output_is_channels_last(found)],
        "channels": input_channels(found, input_is_channels_last(found)),
        "activation": found.activation,
        "needed": found.needed,
        "parameters": {name: [list(tensors[name].shape), role.value] for name, role in learned.items()},
        "buffers": {
            name: [list(value.shape), value.dtype.name] for name, value in tensors.items() if name not in learned
        },
        "updates": dict(found.updates),
        "nodes": [_node(node, node.name in tensors, found.input) for node in found.nodes],
    }
    return Description(graph, tensors)


def _tensors(found: Slice, read: Read) -> dict[str, Array]:
    """Return the values of variables, and of constants that were variables before the graph was frozen."""
    tensors: dict[str, Array] = {}
    nodes, readers, known = found.by_name, found.readers(), roles(found)
    plain = {name for name, role in known.items() if role is Role.OTHER and not reads_a_constant(nodes[name], readers)}
    for node in found.nodes:
        value = node.attributes.get("value")
        if node.op in VARIABLES:
            tensors[node.name] = read(node.name)
        elif isinstance(value, np.ndarray) and (
            (is_array(node) and node.name not in plain) or value.size > _MAX_NUMBERS
        ):
            tensors[node.name] = value
    dotted = next((name for name in tensors if "." in name or not name), None)
    if dotted is not None:
        raise WeightsError(f"a weight is named {dotted!r}; torch allows no dot in the name of a parameter")
    return tensors


def _learned(found: Slice, tensors: Mapping[str, Array]) -> dict[str, Role]:
    """Return the tensors that training updates by gradient, with their roles."""
    return {
        name: role
        for name, role in roles(found).items()
        if name in tensors
        if name not in found.updates and not role.is_statistic and tensors[name].dtype.kind == "f"
    }


def _node(node: Node, is_tensor: bool, start: str) -> list[Any]:
    """Return a node as a list of its name, its operation, its inputs and its attributes."""
    if node.name == start:
        return [node.name, "Input", [], {}]
    if is_training_flag(node):
        return [node.name, "IsTraining", [], {}]
    if is_tensor:
        return [node.name, "Tensor", list(node.inputs), {}]
    if node.op == "Const":
        return [node.name, "Const", list(node.inputs), _constant(node)]
    kept = {name: value for name, value in node.attributes.items() if name in _KEPT and value is not None}
    return [node.name, node.op, list(node.inputs), kept]


def _constant(node: Node) -> dict[str, Any]:
    value = node.attributes.get("value")
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "values": value.reshape(-1).tolist()}
    return {"shape": [], "values": [""]}  # text, with which no network computes
