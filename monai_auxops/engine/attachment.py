"""An aux-op on an engine: the name of its values there, and where it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ignite.engine import Engine

from monai_auxops.core.agreement import signature

if TYPE_CHECKING:
    from monai_auxops.ops.base import AuxiliaryOperation

OutputTransform = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Attachment:
    """An attached op, the slot's name, and where its predictions and label come from.

    Args:
        op: the aux-op or metric.
        engine: where it is attached.
        name: the metric name of its first accumulated tag; None: the tags' own names.
        output_transform: from ``engine.state.output`` to a dict or a tuple with predictions and label, or a key or
            index into the network's output.
    """

    op: AuxiliaryOperation
    engine: Engine
    name: str | None = None
    output_transform: OutputTransform | str | int | None = None

    def metric_name(self, tag: str) -> str:
        """Return the key of ``tag`` in ``state.metrics``: the slot's name, for further tags with its prefix."""
        first = (self.op.epoch_tags or (tag,))[0]
        if self.name is None or tag == first:
            return self.name or tag
        prefix = self.name.removesuffix(first) if self.name.endswith(first) else f"{self.name}_"
        return prefix + tag

    @property
    def names(self) -> dict[str, str]:
        """``{metric name: tag}`` of what the op accumulates, as far as it is known."""
        return {self.metric_name(tag): tag for tag in self.op.epoch_tags or ()}

    @property
    def signature(self) -> str:
        """What every rank must have attached alike."""
        return f"{self.name}={signature(self.op)}"
