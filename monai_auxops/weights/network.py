"""A torch module that runs a TensorFlow graph, operation by operation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from monai_auxops.weights.description import FORMAT
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.graphdef import Node
from monai_auxops.weights.operations import OPERATIONS, Step
from monai_auxops.weights.roles import Role
from monai_auxops.weights.values import DEAD, Host, Value, host_array, tensor

UNLIMITED: Final = 2**48
_OUTPUTS: Final = 8  # more than any operation that a condition can skip has
_MERGES: Final = ("Merge", "RefMerge")


class GraphNetwork(torch.nn.Module):
    """Clara's network as its TensorFlow graph: it predicts, trains and exports like any other module.

    Batches and images may have any size that the graph allows. The learned tensors are parameters under TensorFlow's
    names, and the moving statistics of batch norm are buffers, which training moves as TensorFlow did. Dropout works in
    training only. The output omits the graph's last activation, as in MONAI's networks; ``activation`` names it.

    Args:
        graph: the ``graph.json`` that ``monai-auxops weights`` wrote, or its content.

    Shape:
        ``(batch, channels, *space)`` to ``(batch, classes, *space)``, or ``(batch, classes)`` of a classifier, whatever
        the layout of the graph.

    Raises:
        WeightsError: an operation is not known, or fails; the message names the node.

    Examples:
        >>> graph = {"format": 1, "input": "image", "output": "y", "channels_last": [False, False],
        ...          "activation": "sigmoid", "needed": 3, "parameters": {"scale": [[1], "scale"]},
        ...          "buffers": {}, "updates": {}, "nodes": [
        ...          ["image", "Input", [], {}], ["scale", "Tensor", [], {}], ["y", "Mul", ["image", "scale"], {}]]}
        >>> network = GraphNetwork(graph)
        >>> _ = network.load_state_dict({"scale": torch.tensor([3.0])})
        >>> network(torch.ones(1, 1, 2)).tolist()
        [[[3.0, 3.0]]]
    """

    def __init__(self, graph: str | PathLike[str] | Mapping[str, Any]) -> None:
        super().__init__()
        content = graph if isinstance(graph, Mapping) else json.loads(Path(graph).read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise WeightsError(f"the graph has format {content.get('format')}, but this version reads format {FORMAT}")
        self.activation: str | None = content["activation"]
        self.limit = UNLIMITED
        self._input, self._output = str(content["input"]), str(content["output"])
        self._last_in, self._last_out = content["channels_last"]
        self._channels: int | None = content.get("channels")
        self._needed = int(content["needed"])
        self._updates: dict[str, str] = dict(content["updates"])
        self._nodes = [Node(name, op, tuple(inputs), attributes) for name, op, inputs, attributes in content["nodes"]]
        self._constants = {node.name: _constant(node) for node in self._nodes if node.op == "Const"}
        for name, (shape, role) in content["parameters"].items():
            self.register_parameter(name, torch.nn.Parameter(_initial(shape, role)))
        for name, (shape, dtype) in content["buffers"].items():
            start = torch.ones if name.endswith("variance") else torch.zeros
            self.register_buffer(name, start(shape, dtype=torch.from_numpy(np.empty(0, dtype)).dtype))
        self._plans = {False: self._plan(self._nodes[: self._needed]), True: self._plan(self._nodes)}
        unknown = next((node for node in self._nodes[: self._needed] if not _is_known(node)), None)
        if unknown is not None:
            raise WeightsError(unknown_operation(unknown))

    @property
    def channels_last(self) -> bool:
        """Whether the graph has its channels last; the module always has them second."""
        return bool(self._last_in)

    def _plan(self, nodes: Iterable[Node]) -> list[tuple[Node, list[str]]]:
        """Return the nodes, each with the values that are no longer needed after it."""
        kept = {self._output, *(name.partition(":")[0] for name in self._updates.values())}
        listed, seen, plan = list(nodes), set(kept), []
        for node in reversed(listed):
            last = set(node.needs) - seen
            seen |= last
            plan.append((node, sorted(last)))
        return plan[::-1]

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of a batch."""
        return self.values(image, [])[self._output]

    def values(self, image: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
        """Return the output and the values of other nodes by name; the output has its channels second."""
        channels = image.shape[1]  # no int in a trace or an export
        if isinstance(channels, int) and channels != (self._channels or channels):  # TensorFlow would make groups of it
            shape = list(image.shape)
            raise WeightsError(f"expected an image of {self._channels} channels, got one of shape {shape}")
        x = image.movedim(1, -1) if self._last_in else image
        kept = set(names)
        found: dict[str, list[Value]] = {}
        plan = self._plans[self.training and bool(self._updates)]
        self._run(plan[: self._needed], found, x, kept)
        if self.training and self._updates:
            with torch.no_grad():
                self._run(plan[self._needed :], found, x, kept)
                self._move_statistics(found)
        result = {name: found[name][0] for name in kept if name in found}
        logits = tensor(found[self._output][0], image)
        result[self._output] = logits.movedim(-1, 1) if self._last_out and logits.dim() > 2 else logits
        return result

    def _run(
        self, plan: list[tuple[Node, list[str]]], found: dict[str, list[Value]], x: Tensor, kept: set[str]
    ) -> None:
        """Compute nodes in order, and release values that are no longer needed."""
        for node, done in plan:
            found[node.name] = self._value(node, found, x)
            for name in done:
                if name not in kept:
                    del found[name]

    def _value(self, node: Node, found: Mapping[str, list[Value]], x: Tensor) -> list[Value]:
        if node.op == "Input":
            return [x]
        if any(found[name][0] is DEAD for name in node.controls):
            return [DEAD] * _OUTPUTS
        if node.op == "Tensor":
            return [getattr(self, node.name)]
        if node.op == "Const":
            return [self._constants[node.name]]
        if node.op == "IsTraining":
            return [host_array(self.training)]
        inputs = [found[name][output] for name, output in node.sources]
        if node.op not in _MERGES and any(value is DEAD for value in inputs):
            return [DEAD] * _OUTPUTS
        return self._compute(node, inputs, x)

    def _compute(self, node: Node, inputs: list[Value], x: Tensor) -> list[Value]:
        if node.op not in OPERATIONS:
            raise WeightsError(unknown_operation(node))
        try:
            result = OPERATIONS[node.op](Step(node, x, self.limit), *inputs)
        except Exception as error:
            raise WeightsError(f"{node.name} ({node.op}) fails: {_first_line(error)}") from error
        return result if isinstance(result, list) else [result]

    def _move_statistics(self, found: Mapping[str, list[Value]]) -> None:
        for name, change in self._updates.items():
            node, _, output = change.partition(":")
            value = found[node][int(output or 0)]
            if value is not DEAD:
                statistic = getattr(self, name)
                statistic -= tensor(value, statistic)


def unknown_operation(node: Node) -> str:
    """Return the message for an operation that is not in the table."""
    return (
        f"{node.name} uses TensorFlow's operation {node.op}, which this version does not know: "
        "report both names, or add the operation to monai_auxops.weights.operations"
    )


def _initial(shape: list[int], role: str) -> Tensor:
    """Return initial values without weights: random kernels, scales of one, zeros for the rest."""
    if role == Role.KERNEL.value:
        return torch.randn(shape) * math.sqrt(2 / max(math.prod(shape[:-1]), 1))
    return torch.ones(shape) if role == Role.SCALE.value else torch.zeros(shape)


def _is_known(node: Node) -> bool:
    return node.op in OPERATIONS or node.op in ("Input", "Tensor", "Const", "IsTraining")


def _constant(node: Node) -> Host:
    values: Host = host_array(list(node.attributes["values"])).reshape(node.attributes["shape"])
    return values


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
