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
        for attachment, outputs, size in self._measured:
            for tag, value in attachment.op.case_values(outputs, size).items():
                found.setdefault(column_of(attachment, tag), []).append(value)
        return {name: torch.cat(values) for name, values in found.items()}

    def case_columns(self, op: object) -> list[str]:
        """Return the metric names of the values that ``op`` measured per case, the main one first."""
        for attachment, outputs, size in self._measured:
            if attachment.op is op:
                return [column_of(attachment, tag) for tag in attachment.op.case_values(outputs, size)]
        return []

    def run_together(self, engine: Engine, attachments: Sequence[Attachment], plan: Plan | None) -> Plan | None:
        """Measure the raw output with all ops, sharing counts by one plan; return the plan for the next batch."""
        context = self._shared_context(engine, attachments)
        if context is None:
            for attachment in attachments:
                self.run(engine, attachment)
            return None
        results, plan = measure_together([attachment.op for attachment in attachments], context, plan)
        size = context.batch_size
        self._measured += [
            (attachment, outputs, size) for attachment, outputs in zip(attachments, results, strict=True)
        ]
        if isinstance(engine.state.output, dict):
            self._publish_together(attachments, engine.state.output, results, size)
        return plan

    def _shared_context(self, engine: Engine, attachments: Sequence[Attachment]) -> BuildContext | None:
        """Return the context of ops that read the batch the same way; None if they differ, or for a list of samples."""
        output = engine.state.output
        if is_decollated(output) or len({attachment.output_transform for attachment in attachments}) != 1:
            return None
        first = attachments[0]
        if lacks_predictions(output) and any(is_loss_alone(output, attachment.op) for attachment in attachments):
            return None
        parts, batches = parts_and_batches(first, output)
        if len(batches) > 1:
            return None
        return self._context(engine, first, output, engine.state.batch, self._values, parts=parts)

    def run(self, engine: Engine, attachment: Attachment) -> None:
        """Measure with one op, and write its outputs into the engine's output."""
        output = engine.state.output
        if is_decollated(output):
            self._run_samples(engine, attachment, output)
            return
        parts, batches = parts_and_batches(attachment, output)
        if len(batches) > 1:
            self._run_unequal(engine, attachment, parts, batches)
            return
        context = self._context(engine, attachment, output, engine.state.batch, self._values, parts=parts)
        outputs = self._measure(attachment, context)
        if isinstance(output, dict) and attachment.op.stage != "read":
            self._publish(attachment, output, self._with_batch_axis(attachment, outputs, context.batch_size))

    def _run_unequal(
        self, engine: Engine, attachment: Attachment, parts: dict[str, Any], batches: list[tuple[Any, Any]]
    ) -> None:
        """Measure a list of samples of different sizes like ``run``."""
        size, output, batch = len(batches), engine.state.output, engine.state.batch
        if not self._samples:
            self._samples = [outputs_of_sample(self._values, i, size) for i in range(size)]
        found: list[dict[str, Tensor]] = []
        for i, (predictions, label) in enumerate(batches):
            own = {**outputs_of_sample(parts, i, size), "pred": predictions, "label": label}
            given = outputs_of_sample(batch, i, size) if isinstance(batch, dict) else batch
            context = make_context(engine, attachment, own, given, self._samples[i])
            found.append(self._with_batch_axis(attachment, self._measure(attachment, context), 1))
        if isinstance(output, dict) and attachment.op.stage != "read":
            fit = [tag for tag in found[0] if len({each[tag].shape for each in found}) == 1]
            self._publish(attachment, output, {tag: torch.cat([each[tag] for each in found]) for tag in fit})

    @staticmethod
    def _with_batch_axis(attachment: Attachment, outputs: dict[str, Tensor], size: int) -> dict[str, Tensor]:
        batched = {tag: value for tag, value in outputs.items() if tag not in attachment.op.without_batch_axis}
        return as_batch(batched, size)

    def _run_samples(self, engine: Engine, attachment: Attachment, output: list[dict[str, Any]]) -> None:
        """Measure a decollated batch like ``run``: samples may differ in size, so each is a batch of one."""
        batch = engine.state.batch if isinstance(engine.state.batch, list) else [{}] * len(output)
        if not self._samples:
            self._samples = [outputs_of_sample(self._values, i, len(output)) for i in range(len(output))]
        for i, (item, given) in enumerate(zip(output, batch, strict=False)):
            context = self._context(
                engine, attachment, as_batch_of_one(item), as_batch_of_one(given), self._samples[i], i
            )
            outputs = self._measure(attachment, context)
            if attachment.op.stage != "read":
                found = self._with_batch_axis(attachment, outputs, 1)
                self._publish(attachment, item, {tag: value[0] for tag, value in found.items()}, i)

    def _measure(self, attachment: Attachment, context: BuildContext) -> dict[str, Tensor]:
        outputs = attachment.op.measure(context)
        self._measured.append((attachment, outputs, context.batch_size))
        return outputs

    def _publish_together(
        self, attachments: Sequence[Attachment], output: dict[str, Any], results: Sequence[dict[str, Tensor]], size: int
    ) -> None:
        """Write the outputs of several ops into the engine's output."""
        batched: dict[str, Tensor] = {}
        for attachment, outputs in zip(attachments, results, strict=True):
            batched |= (
                outputs if not attachment.op.without_batch_axis else self._with_batch_axis(attachment, outputs, size)
            )
        fresh = as_batch(batched, size)
        if fresh.keys() & output.keys() <= self._published:
            output.update(fresh)
            self._published.update(fresh)
            return
        for attachment, outputs in zip(attachments, results, strict=True):  # names the op whose tag is taken
            self._publish(attachment, output, self._with_batch_axis(attachment, outputs, size))

    def _publish(
        self, attachment: Attachment, output: dict[str, Any], outputs: dict[str, Tensor], sample: int = 0
    ) -> None:
        taken = sorted(set(outputs) & set(output) - self._published)
        if taken and sample == 0:
            raise ValueError(f"{attachment.op!r}: the engine's output already has a key {taken[0]!r}; rename the tag")
        output.update(outputs)
        self._published.update(outputs)

    def read_early(self, readers: Iterable[Attachment]) -> None:
        """Let metrics read the outputs of aux-ops for this micro-batch before the next one replaces it."""
        if not self._contexts:
            return
        context = next(iter(self._contexts.values()))
        for attachment in readers:
            if self._has_inputs_of(attachment.op):
                attachment.op.measure(context)
            else:
                attachment.op.warn_once(
                    "the trainer runs several micro-batches in an iteration; this metric reads post-processed output, "
                    "which exists only for the last one"
                )

    def _has_inputs_of(self, op: object) -> bool:
        """Tell whether aux-ops wrote everything that a metric reads before post-processing."""
        fields = {getattr(op, "field", None), getattr(op, "label_field", "label")} - {"label"}
        return fields <= set(self._values)

    def _context(
        self,
        engine: Engine,
        attachment: Attachment,
        output: Any,
        batch: Any,
        values: dict[str, Any],
        i: int | None = None,
        parts: dict[str, Any] | None = None,
    ) -> BuildContext:
        key = (attachment.op.stage, attachment.output_transform, i, is_loss_alone(output, attachment.op))
        if key not in self._contexts:
            if parts is None:
                parts = split_output(output, attachment.output_transform, attachment.op)
            if attachment.op.stage == "read" and isinstance(output, dict):
                values = {**values, **output}
            self._contexts[key] = make_context(engine, attachment, parts, batch, values)
        return self._contexts[key]


def column_of(attachment: Attachment, tag: str) -> str:
    """Return the name of a table column: the metric's, or the tag of an output without an epoch value."""
    return attachment.metric_name(tag) if tag in (attachment.op.epoch_tags or ()) else tag
