"""An aux-op on an engine: the names of its values there, and where it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monai_auxops.core.agreement import signature

if TYPE_CHECKING:
    from ignite.engine import Engine

    from monai_auxops.ops.base import AuxiliaryOperation

OutputTransform = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Attachment:
    """An attached op, the name of its slot, and where its predictions and label come from.

    Args:
        op: the aux-op or metric.
        engine: the engine that it is attached to.
        name: the metric name of its first accumulated tag; None keeps the tags' own names.
        output_transform: maps ``engine.state.output`` to a dict or a tuple with predictions and label; or a key or
            index into the network's output.
    """

    op: AuxiliaryOperation
    engine: Engine
    name: str | None = None
    output_transform: OutputTransform | str | int | None = None

    def metric_name(self, tag: str) -> str:
        """Return the key of ``tag`` in ``state.metrics``: the slot's name, which is a prefix for further tags."""
        first = (self.op.epoch_tags or (tag,))[0]
        if self.name is None or tag == first:
            return self.name or tag
        prefix = self.name.removesuffix(first) if self.name.endswith(first) else f"{self.name}_"
        return prefix + tag

    @property
    def names(self) -> dict[str, str]:
        """``{metric name: tag}`` of the values the op accumulates, as far as they are known."""
        return {self.metric_name(tag): tag for tag in self.op.epoch_tags or ()}

    @property
    def signature(self) -> str:
        """A description of the attachment that must be equal on every rank."""
        return f"{self.name}={signature(self.op)}"
