"""The table of operations, and the step that each of them receives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.weights.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from monai_auxops.weights.graphdef import Node

Function = Callable[..., Any]
OPERATIONS: Final[dict[str, Function]] = {}


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a run.

    Attributes:
        node: its name and attributes.
        like: the network's input, whose floating-point type and device new tensors get.
        limit: the most elements that a new tensor may have.
    """

    node: Node
    like: Tensor
    limit: int

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the node."""
        value = self.node.attributes.get(name)
        return default if value is None else value

    def sizes(self, sizes: Iterable[Any]) -> list[Any]:
        """Return the sizes of a new tensor after checking that it is not absurdly large."""
        found = list(sizes)
        known = [size for size in found if type(size) is int]
        if math.prod(known) > self.limit or any(size < -1 for size in known):
            raise WeightsError(f"a tensor of the shape {found} is too large")
        return found


def operation(*names: str) -> Callable[[Function], Function]:
    """Register a function under the names of TensorFlow's operations."""

    def register(function: Function) -> Function:
        OPERATIONS.update(dict.fromkeys(names, function))
        return function

    return register
