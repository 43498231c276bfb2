"""One iteration of an engine: what its aux-ops read and write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from monai_auxops.core.plan import Plan, measure_together
from monai_auxops.engine.contexts import make_context, parts_and_batches
from monai_auxops.engine.outputs import (
    as_batch,
    as_batch_of_one,
    is_decollated,
    is_loss_alone,
    lacks_predictions,
    outputs_of_sample,
    split_output,
)

if TYPE_CHECKING:
    from ignite.engine import Engine

    from monai_auxops.core.context import BuildContext
    from monai_auxops.engine.attachment import Attachment


class Batch:
    """The contexts of one iteration, created once and shared by the aux-ops of a stage.

    Args:
        iteration: its number.
        published: the tags that aux-ops have written into the engine's output so far; it is extended in place.
    """

    def __init__(self, iteration: int, published: set[str]) -> None:
        self.iteration, self._published = iteration, published
        self._contexts: dict[tuple[str, Any, int | None, bool], BuildContext] = {}
        self._values: dict[str, Any] = {}
        self._samples: list[dict[str, Any]] = []
        self._measured: list[tuple[Attachment, dict[str, Tensor], int]] = []

    def after_postprocessing(self) -> None:
        """Discard the contexts, because post-processing may have changed predictions and label."""
        self._contexts = {}

    def release(self) -> None:
        """Release all tensors of the iteration."""
        self._contexts, self._values, self._samples = {}, {}, []

    def case_values(self) -> dict[str, Tensor]:
        """Return the values of each case, ``[B]`` by metric name; computed when called."""
        found: dict[str, list[Tensor]] = {}
        for entry, outputs, size in self._measured:
            for tag, value in entry.op.case_values(outputs, size).items():
                found.setdefault(column_of(entry, tag), []).append(value)
        return {name: torch.cat(values) for name, values in found.items()}

    def case_columns(self, op: object) -> list[str]:
        """Return the metric names of the values that ``op`` measured per case, the main one first."""
        for entry, outputs, size in self._measured:
            if entry.op is op:
                return [column_of(entry, tag) for tag in entry.op.case_values(outputs, size)]
        return []

    def run_together(self, engine: Engine, entries: Sequence[Attachment], plan: Plan | None) -> Plan | None:
        """Measure the raw output with all ops, sharing counts by one plan; return the plan for the next batch."""
        context = self._shared_context(engine, entries)
        if context is None:
            for entry in entries:
                self.run(engine, entry)
            return None
        every, plan = measure_together([entry.op for entry in entries], context, plan)
        size = context.batch_size
        self._measured += [(entry, outputs, size) for entry, outputs in zip(entries, every, strict=True)]
        if isinstance(engine.state.output, dict):
            self._publish_together(entries, engine.state.output, every, size)
        return plan

    def _shared_context(self, engine: Engine, entries: Sequence[Attachment]) -> BuildContext | None:
        """Return the context of ops that read the batch the same way; None if they differ, or for a list of samples."""
        output = engine.state.output
        if is_decollated(output) or len({entry.output_transform for entry in entries}) != 1:
            return None
        first = entries[0]
        if lacks_predictions(output) and any(is_loss_alone(output, entry.op) for entry in entries):
            return None
        parts, batches = parts_and_batches(first, output)
        if len(batches) > 1:
            return None
        return self._context(engine, first, output, engine.state.batch, self._values, parts=parts)

    def run(self, engine: Engine, entry: Attachment) -> None:
        """Measure with one op, and write its outputs into the engine's output."""
        output = engine.state.output
        if is_decollated(output):
            self._run_samples(engine, entry, output)
            return
        parts, batches = parts_and_batches(entry, output)
        if len(batches) > 1:
            self._run_unequal(engine, entry, parts, batches)
            return
        context = self._context(engine, entry, output, engine.state.batch, self._values, parts=parts)
        outputs = self._measure(entry, context)
        if isinstance(output, dict) and entry.op.stage != "read":
            self._publish(entry, output, self._with_batch_axis(entry, outputs, context.batch_size))

    def _run_unequal(
        self, engine: Engine, entry: Attachment, parts: dict[str, Any], batches: list[tuple[Any, Any]]
    ) -> None:
        """Measure a list of samples of different sizes like ``run``."""
        size, output, batch = len(batches), engine.state.output, engine.state.batch
        if not self._samples:
            self._samples = [outputs_of_sample(self._values, i, size) for i in range(size)]
        found: list[dict[str, Tensor]] = []
        for i, (predictions, label) in enumerate(batches):
            own = {**outputs_of_sample(parts, i, size), "pred": predictions, "label": label}
            given = outputs_of_sample(batch, i, size) if isinstance(batch, dict) else batch
            context = make_context(engine, entry, own, given, self._samples[i])
            found.append(self._with_batch_axis(entry, self._measure(entry, context), 1))
        if isinstance(output, dict) and entry.op.stage != "read":
            fit = [tag for tag in found[0] if len({each[tag].shape for each in found}) == 1]
            self._publish(entry, output, {tag: torch.cat([each[tag] for each in found]) for tag in fit})

    @staticmethod
    def _with_batch_axis(entry: Attachment, outputs: dict[str, Tensor], size: int) -> dict[str, Tensor]:
        batched = {tag: value for tag, value in outputs.items() if tag not in entry.op.without_batch_axis}
        return as_batch(batched, size)

    def _run_samples(self, engine: Engine, entry: Attachment, output: list[dict[str, Any]]) -> None:
        """Measure a decollated batch like ``run``: samples may differ in size, so each is a batch of one."""
        batch = engine.state.batch if isinstance(engine.state.batch, list) else [{}] * len(output)
        if not self._samples:
            self._samples = [outputs_of_sample(self._values, i, len(output)) for i in range(len(output))]
        for i, (item, given) in enumerate(zip(output, batch, strict=False)):
            context = self._context(engine, entry, as_batch_of_one(item), as_batch_of_one(given), self._samples[i], i)
            outputs = self._measure(entry, context)
            if entry.op.stage != "read":
                found = self._with_batch_axis(entry, outputs, 1)
                self._publish(entry, item, {tag: value[0] for tag, value in found.items()}, i)

    def _measure(self, entry: Attachment, context: BuildContext) -> dict[str, Tensor]:
        outputs = entry.op.measure(context)
        self._measured.append((entry, outputs, context.batch_size))
        return outputs

    def _publish_together(
        self, entries: Sequence[Attachment], output: dict[str, Any], every: Sequence[dict[str, Tensor]], size: int
    ) -> None:
        """Write the outputs of several ops into the engine's output."""
        batched: dict[str, Tensor] = {}
        for entry, outputs in zip(entries, every, strict=True):
            batched |= outputs if not entry.op.without_batch_axis else self._with_batch_axis(entry, outputs, size)
        fresh = as_batch(batched, size)
        if fresh.keys() & output.keys() <= self._published:
            output.update(fresh)
            self._published.update(fresh)
            return
        for entry, outputs in zip(entries, every, strict=True):  # names the op whose tag is taken
            self._publish(entry, output, self._with_batch_axis(entry, outputs, size))

    def _publish(self, entry: Attachment, output: dict[str, Any], outputs: dict[str, Tensor], sample: int = 0) -> None:
        taken = sorted(set(outputs) & set(output) - self._published)
        if taken and sample == 0:
            raise ValueError(f"{entry.op!r}: the engine's output already has a key {taken[0]!r}; rename the tag")
        output.update(outputs)
        self._published.update(outputs)

    def read_early(self, readers: Iterable[Attachment]) -> None:
        """Let metrics read the outputs of aux-ops for this micro-batch before the next one replaces it."""
        if not self._contexts:
            return
        context = next(iter(self._contexts.values()))
        for entry in readers:
            if self._holds(entry.op):
                entry.op.measure(context)
            else:
                entry.op.warn_once(
                    "the trainer runs several micro-batches in an iteration; this metric reads post-processed output, "
                    "which exists only for the last one"
                )

    def _holds(self, op: object) -> bool:
        """Tell whether aux-ops wrote everything that a metric reads before post-processing."""
        fields = {getattr(op, "field", None), getattr(op, "label_field", "label")} - {"label"}
        return fields <= set(self._values)

    def _context(
        self,
        engine: Engine,
        entry: Attachment,
        output: Any,
        batch: Any,
        values: dict[str, Any],
        i: int | None = None,
        parts: dict[str, Any] | None = None,
    ) -> BuildContext:
        key = (entry.op.stage, entry.output_transform, i, is_loss_alone(output, entry.op))
        if key not in self._contexts:
            if parts is None:
                parts = split_output(output, entry.output_transform, entry.op)
            if entry.op.stage == "read" and isinstance(output, dict):
                values = {**values, **output}
            self._contexts[key] = make_context(engine, entry, parts, batch, values)
        return self._contexts[key]


def column_of(entry: Attachment, tag: str) -> str:
    """Return the name of a table column: the metric's, or the tag of an output without an epoch value."""
    return entry.metric_name(tag) if tag in (entry.op.epoch_tags or ()) else tag
