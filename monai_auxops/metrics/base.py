"""The base of Clara's validation metrics, which read an aux-op's output, or the prediction after post-processing."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from monai_auxops.core.accumulator import is_per_sample
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from ignite.engine import Engine

    from monai_auxops.core.context import BuildContext
    from monai_auxops.engine.attachment import OutputTransform


class ValidationMetric(AuxiliaryOperation):
    """Base class of Clara's validation metrics: one epoch value called ``name``, larger is better.

    All aux-ops of the engine run before any metric reads, whatever the order of attaching.
    """

    higher_is_better = True
    _made_key = False  # whether attach() made it the key metric

    def __init__(
        self,
        name: str,
        field: str,
        report_path: str | Path | None = None,
        do_summary: bool = True,
        do_print: bool = True,
        is_key_metric: bool = False,
        *,
        case_key: str | None = None,
    ) -> None:
        self.name, self.field = check_tag(name, self), field
        self.is_key_metric = is_key_metric
        super().__init__(do_summary, do_print, report_path=report_path, case_key=case_key)
        self.stage = "read"
        self.accumulated = (name,)

    def read(self, field: str, build_ctx: BuildContext) -> Tensor:
        """Return the value of ``field``: an aux-op's tag, a post-processed key, or ``"model"`` for the prediction."""
        reserved = {"model": "_model_output", "label": "_label_input"}
        try:
            value = build_ctx.must_get(reserved.get(field, field))
        except KeyError as error:
            raise ValueError(f"expected a tensor named {field!r}: {error.args[0]}") from error
        if not isinstance(value, Tensor):
            raise ValueError(f"expected a tensor named {field!r}, got {type(value).__name__}")
        return value

    def read_values(self, field: str, build_ctx: BuildContext) -> Tensor:
        """Return a value per sample ``[B]`` from ``field``; a scalar is repeated for each sample."""
        value, size = self.read(field, build_ctx), build_ctx.batch_size
        flat = value.reshape(-1) if value.numel() in (1, size) else value
        if not is_per_sample(flat, size):
            raise ValueError(f"expected {field!r} to hold one value per sample [{size}], got {list(value.shape)}")
        return flat.expand(size)

    def attach(
        self,
        engine: Engine,
        name: str | None = None,
        *,
        output_transform: OutputTransform | None = None,
        group: Any = None,
    ) -> None:
        """Attach like any aux-op; ``is_key_metric`` makes it the key metric unless a slot says which one is."""
        name = self.name if name is None else name
        key = getattr(engine.state, "key_metric_name", None)
        super().attach(engine, name, output_transform=output_transform, group=group)
        self._made_key = self.is_key_metric and key is None
        if self._made_key:
            engine.state.key_metric_name = name
        elif self.is_key_metric and key != name:
            warnings.warn(
                f"{self!r} has is_key_metric=True in the slot {name!r}, but the engine's key metric is {key!r}",
                stacklevel=2,
            )

    def detach(self) -> None:
        """Undo ``attach``."""
        if self._attachment is not None and self._made_key:
            self._attachment.engine.state.key_metric_name = None
        super().detach()


class CaseMetric(ValidationMetric):
    """Base class of metrics that have a value per case, and as epoch value the mean over valid cases."""

    @abstractmethod
    def values(self, build_ctx: BuildContext) -> Tensor:
        """Return the value of each sample ``[B]``, NaN where there is none."""

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """``{name: [B]}``."""
        return {self.name: self.values(build_ctx)}
