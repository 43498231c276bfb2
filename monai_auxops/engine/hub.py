"""One hub per engine: runs the aux-ops once per batch and reduces all their states with one collective per epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import torch
from ignite.engine import Engine, Events
from monai.engines import Workflow
from torch import Tensor

from monai_auxops.core import ranks
from monai_auxops.core.context import BuildContext
from monai_auxops.core.running import RunningMean, Totals
from monai_auxops.engine.events import is_key, is_training, raw_predictions_event
from monai_auxops.engine.outputs import as_batch, filenames, is_decollated, of_one, pick
from monai_auxops.engine.resume import begins_anew
from monai_auxops.engine.runs import note_start

OutputTransform = Callable[[Any], Any]


class Op(Protocol):
    """What the hub asks of an aux-op or metric; :class:`monai_auxops.AuxiliaryOperation` is the one implementation."""

    accumulated: tuple[str, ...] | None
    unsettled: bool
    stage: str
    do_print: bool
    do_summary: bool

    @property
    def resumed(self) -> bool: ...
    @property
    def epoch_tags(self) -> tuple[str, ...] | None: ...
    @property
    def states(self) -> list[RunningMean]: ...
    def measure(self, build_ctx: BuildContext) -> dict[str, Tensor]: ...
    def case_values(self, outputs: Mapping[str, Tensor], size: int) -> dict[str, Tensor]: ...
    def epoch_started(self, anew: bool) -> None: ...
    def values_of(self, totals: Totals) -> dict[str, float]: ...
    def epoch_values(self, totals: Totals, gather: ranks.Gather) -> dict[str, float]: ...
    def epoch_completed(self) -> None: ...


@dataclass(frozen=True)
class Entry:
    """An attached op, the slot's name, and where its predictions and label come from."""

    op: Op
    name: str | None
    output_transform: OutputTransform | None

    def metric_name(self, tag: str) -> str:
        """The key of ``tag`` in ``state.metrics``: the slot's name for the first tag, its prefix for the others."""
        first = (self.op.epoch_tags or (tag,))[0]
        if self.name is None or tag == first:
            return self.name or tag
        prefix = self.name.removesuffix(first) if self.name.endswith(first) else f"{self.name}_"
        return prefix + tag


class Hub:
    """What connects the aux-ops of one engine with its events. Made by the first ``attach``; ``Hub.of(engine)``."""

    def __init__(self, engine: Engine) -> None:
        self.entries: list[Entry] = []
        self._measured = -1
        self._agreed = self._running = False
        self._epoch_length: int | None = getattr(engine.state, "epoch_length", None)  # before a checkpoint replaces it
        self._contexts: dict[tuple[str, OutputTransform | None], BuildContext] = {}
        self._values: dict[str, Any] = {}
        self._case_values: dict[str, list[Tensor]] = {}
        self._case_columns: dict[int, list[str]] = {}
        engine.add_event_handler(Events.STARTED, self._started)
        engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
        if isinstance(engine, Workflow):
            engine.add_event_handler(raw_predictions_event(engine), self._forward_done)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._iteration_completed)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    @classmethod
    def of(cls, engine: Engine) -> Hub | None:
        """The hub of ``engine``, if an aux-op was attached to it."""
        return getattr(engine, "_auxops_hub", None)

    @classmethod
    def attach(cls, engine: Engine, entry: Entry) -> None:
        """Add one op to the engine's hub, made if need be."""
        ranks.refuse_empty_loader(engine)
        hub = cls.of(engine)
        if hub is None:
            hub = engine._auxops_hub = cls(engine)
        taken = {name for other in hub.entries for name in hub.names(other)}
        twice = taken & set(hub.names(entry))
        if twice:
            raise ValueError(
                f"{entry.op!r}: the metric name {sorted(twice)[0]!r} is already taken on this engine by another "
                "aux-op; give the slot or the tag another name"
            )
        hub.entries.append(entry)

    @staticmethod
    def names(entry: Entry) -> dict[str, str]:
        """``{metric name: tag}`` of what the entry accumulates, as far as it is known."""
        return {entry.metric_name(tag): tag for tag in entry.op.epoch_tags or ()}

    def running(self, flag: str | None = None) -> dict[str, float]:
        """The means so far of this process, by metric name; ``flag`` keeps the ops with do_print or do_summary.

        Copies to the host: call it when somebody looks, not in every iteration.
        """
        values: dict[str, float] = {}
        for entry in self.entries:
            if flag is None or getattr(entry.op, flag):
                so_far = entry.op.values_of(Totals.of(entry.op.states))
                values |= {entry.metric_name(tag): value for tag, value in so_far.items()}
        return values

    def hidden(self, flag: str) -> set[str]:
        """The metric names whose op has ``flag`` (do_print or do_summary) off."""
        return {name for entry in self.entries if not getattr(entry.op, flag) for name in self.names(entry)}

    def case_values(self) -> dict[str, Tensor]:
        """What the latest batch's cases have, ``[B]`` by metric name; not what is one value for the whole batch."""
        return {name: torch.cat(values) for name, values in self._case_values.items()}

    def same(self) -> dict[str, str]:
        """The metric names whose value is, by definition, that of another: ``{name: the other's}``."""
        by_tag = {tag: name for entry in self.entries for name, tag in self.names(entry).items()}
        fields = {name: getattr(entry.op, "same_as", None) for entry in self.entries for name in self.names(entry)}
        return {name: by_tag[field] for name, field in fields.items() if field in by_tag and by_tag[field] != name}

    def columns_of(self, op: object) -> list[str]:
        """The metric names of what ``op`` measured of the latest batch's cases, its first one first."""
        return self._case_columns.get(id(op), [])

    def _note(self, entry: Entry, outputs: dict[str, Tensor], size: int) -> None:
        known = entry.op.epoch_tags or ()
        values = entry.op.case_values(outputs, size)
        names = {tag: entry.metric_name(tag) if tag in known else tag for tag in values}
        self._case_columns[id(entry.op)] = [*names.values()]
        for tag, value in values.items():
            self._case_values.setdefault(names[tag], []).append(value)

    def _started(self, engine: Engine) -> None:
        note_start(engine)
        self._measured, self._running = -1, False
        if not self._agreed:
            ranks.agree([(entry.name, type(entry.op).__name__, entry.op.accumulated) for entry in self.entries])
            self._agreed = True

    def _epoch_started(self, engine: Engine) -> None:
        carried = all(entry.op.resumed for entry in self.entries if entry.op.epoch_tags != ())
        anew = self._running or begins_anew(engine, self._epoch_length, carried)
        self._running = True
        for entry in self.entries:
            entry.op.epoch_started(anew)

    def _forward_done(self, engine: Engine) -> None:
        if isinstance(engine.state.output, dict) and "pred" in engine.state.output:  # an ensemble has none yet
            self._measure(engine)

    def _measure(self, engine: Engine) -> None:
        self._measured, self._contexts, self._values = engine.state.iteration, {}, {}
        self._case_values, self._case_columns = {}, {}
        for entry in (e for e in self.entries if e.op.stage == "raw"):
            self._run(engine, entry)

    def _iteration_completed(self, engine: Engine) -> None:
        if self._measured != engine.state.iteration:
            self._measure(engine)
        self._contexts = {}  # post-processing may have changed predictions and label
        for stage in ("post", "read"):
            for entry in (e for e in self.entries if e.op.stage == stage):
                self._run(engine, entry)
        self._contexts, self._values = {}, {}

    def _run(self, engine: Engine, entry: Entry) -> None:
        output, batch = engine.state.output, engine.state.batch
        if is_decollated(output):
            self._run_each(engine, entry, output, batch if isinstance(batch, list) else repeat({}))
            return
        key = (entry.op.stage, entry.output_transform)
        if key not in self._contexts:
            self._contexts[key] = self._context(engine, entry, output, batch, self._values)
        ctx = self._contexts[key]
        outputs = entry.op.measure(ctx)
        self._note(entry, outputs, ctx.batch_size)
        if is_key(engine, entry.name) and entry.op.epoch_tags == ():
            raise ValueError(f"{entry.op!r} has no epoch value and cannot be the key metric {entry.name!r}")
        if isinstance(output, dict) and entry.op.stage != "read":
            output.update(as_batch(outputs, ctx.batch_size))

    def _run_each(self, engine: Engine, entry: Entry, items: list[dict[str, Any]], batch: Iterable[Any]) -> None:
        """The same for a decollated batch: samples may differ in size, so each is a batch of one."""
        for item, given in zip(items, batch, strict=False):
            ctx = self._context(engine, entry, of_one(item), of_one(given), dict(self._values))
            outputs = entry.op.measure(ctx)
            self._note(entry, outputs, ctx.batch_size)
            if entry.op.stage != "read":
                item.update({tag: value[0] for tag, value in as_batch(outputs, 1).items()})

    @staticmethod
    def _context(engine: Engine, entry: Entry, output: Any, batch: Any, values: dict[str, Any]) -> BuildContext:
        parts = pick(output, entry.output_transform, entry.op)
        optimizer = getattr(engine, "optimizer", None)
        if entry.op.stage == "read" and isinstance(output, dict):
            values = {**values, **output}
        return BuildContext(
            parts["pred"],
            parts.get("label"),
            loss=parts.get("loss"),
            image=parts.get("image"),
            is_train=is_training(engine),
            learning_rate=None if optimizer is None else optimizer.param_groups[0]["lr"],
            data_property=getattr(engine.state, "data_property", None),
            filenames=filenames(parts.get("image")),
            batch=batch if isinstance(batch, dict) else None,
            values=values,
        )

    def _epoch_completed(self, engine: Engine) -> None:
        """One collective and one copy to the host for all aux-ops of the engine; then every name is written."""
        ranks.settle([entry.op for entry in self.entries])
        flat = iter(ranks.total([state.packed() for entry in self.entries for state in entry.op.states]))
        for entry in self.entries:
            values = entry.op.epoch_values(Totals.of(entry.op.states, flat), ranks.gather)
            self._publish(engine, {entry.metric_name(tag): value for tag, value in values.items()})
            entry.op.epoch_completed()

    @staticmethod
    def _publish(engine: Engine, values: dict[str, float]) -> None:
        state = engine.state
        if not hasattr(state, "aux_metrics"):
            state.aux_metrics = {}
        for name, value in values.items():
            state.aux_metrics[name] = value
            never_best = is_key(engine, name) and value != value  # nothing compares above NaN: it would stay the best
            state.metrics[name] = float("-inf") if never_best else value
