"""One hub per engine: runs the aux-ops once per batch and reduces all their states with one collective per epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

from ignite.engine import Engine, Events
from monai.engines import Evaluator, Trainer, Workflow
from monai.engines.utils import IterationEvents
from torch import Tensor

from monai_auxops import ranks
from monai_auxops.context import BuildContext
from monai_auxops.running import RunningMean, Totals

OutputTransform = Callable[[Any], Any]


class Op(Protocol):
    """What the hub asks of an aux-op or metric; :class:`monai_auxops.AuxiliaryOperation` is the one implementation."""

    accumulated: tuple[str, ...] | None
    unsettled: bool
    stage: str
    do_print: bool
    do_summary: bool
    resumed: bool

    @property
    def epoch_tags(self) -> tuple[str, ...] | None: ...
    @property
    def states(self) -> list[RunningMean]: ...
    def measure(self, build_ctx: BuildContext) -> dict[str, Tensor]: ...
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
        engine.add_event_handler(Events.STARTED, self._started)
        engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
        if isinstance(engine, Workflow):  # activations are freed and autocast is closed after the backward pass
            trains = isinstance(engine, Trainer)
            event = IterationEvents.BACKWARD_COMPLETED if trains else IterationEvents.FORWARD_COMPLETED
            engine.add_event_handler(event, self._forward_done)
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

    def _started(self, engine: Engine) -> None:
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
        if isinstance(output, dict) and entry.op.stage != "read":
            output.update(as_batch(outputs, ctx.batch_size))

    def _run_each(self, engine: Engine, entry: Entry, items: list[dict[str, Any]], batch: Iterable[Any]) -> None:
        """The same for a decollated batch: samples may differ in size, so each is a batch of one."""
        for item, given in zip(items, batch, strict=False):
            ctx = self._context(engine, entry, of_one(item), of_one(given), dict(self._values))
            outputs = entry.op.measure(ctx)
            if entry.op.stage != "read":
                item.update({tag: value[0] for tag, value in as_batch(outputs, 1).items()})

    @staticmethod
    def _context(engine: Engine, entry: Entry, output: Any, batch: Any, values: dict[str, Any]) -> BuildContext:
        parts = pick(output, entry)
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
        key = getattr(state, "key_metric_name", None)
        for name, value in values.items():
            state.aux_metrics[name] = value
            never_best = name == key and value != value  # a NaN would be "best" for ever: nothing compares above it
            state.metrics[name] = float("-inf") if never_best else value


def begins_anew(engine: Engine, epoch_length: int | None, carried: bool) -> bool:
    """Whether the first epoch of a run begins with its first sample; a resumed engine is set back so that it does.

    Ignite goes on in mid-epoch with the loader's *first* items, and keeps the checkpoint's number of iterations even if
    the loader's batches have another size: both would be an epoch of some samples twice and others never. It is safe to
    go on only where all aux-ops were restored with the engine and the loader can continue: where it has
    ``load_state_dict``.

    Args:
        engine: at the start of the first epoch of its run, checkpoints loaded.
        epoch_length: the iterations of an epoch as this run was set up, where that is known.
        carried: whether all aux-ops hold the epoch's samples so far.
    """
    state = engine.state
    done, length = state.epoch - 1, state.epoch_length
    if state.iteration == done == 0:
        return False  # a new engine: an aux-op that was restored goes on with the rest of the data
    if not length or done != state.iteration // length:
        return True  # not resumed: the epoch before was given up by terminate(), or an evaluator runs again
    problem, into = "", state.iteration % length
    if epoch_length and epoch_length != length:
        problem = f"the checkpoint's epochs have {length} iterations, this run's {epoch_length}"
    elif into and not (carried and hasattr(state.dataloader, "load_state_dict")):
        problem = f"the checkpoint was saved after {into} of {length} iterations, and the loader begins anew"
    if problem:
        state.epoch_length = epoch_length or length
        state.iteration = done * state.epoch_length
        warnings.warn(f"{problem}: epoch {state.epoch} is run from its beginning, for its values' sake", stacklevel=2)
    return bool(problem) or not into


def is_decollated(output: Any) -> bool:
    """Whether ``output`` is what MONAI's decollation leaves: a list with a dict per sample."""
    return isinstance(output, list) and all(isinstance(item, dict) for item in output)


def of_one(item: dict[str, Any]) -> dict[str, Any]:
    """A sample as a batch of one."""
    return {key: value[None] if isinstance(value, Tensor) else value for key, value in item.items()}


def is_training(engine: Engine) -> bool | None:
    """Whether the engine trains; None where it cannot be told."""
    if isinstance(engine, Trainer | Evaluator):
        return isinstance(engine, Trainer)
    network = getattr(engine, "network", None)
    return None if network is None else bool(network.training)


def filenames(image: Any) -> list[str] | None:
    """The file each sample of a MetaTensor batch came from."""
    names = getattr(image, "meta", {}).get("filename_or_obj")
    if names is None:
        return None
    return [str(name) for name in ([names] if isinstance(names, str) else names)]


def pick(output: Any, entry: Entry) -> dict[str, Any]:
    """Predictions, label and loss of an engine's output: a dict, or ``(y_pred, y[, loss])``."""
    if entry.output_transform is not None:
        output = entry.output_transform(output)
    if isinstance(output, tuple) and 2 <= len(output) <= 3:
        output = dict(zip(("pred", "label", "loss"), output, strict=False))
    if not isinstance(output, dict) or "pred" not in output:
        came = sorted(output) if isinstance(output, dict) else type(output).__name__
        raise ValueError(
            f"{entry.op!r}: expected the engine's output to be a dict with 'pred' and 'label' (and 'loss') or a tuple "
            f"(y_pred, y[, loss]), got {came}; attach with output_transform= to say where they are"
        )
    return output


def as_batch(outputs: dict[str, Tensor], batch_size: int) -> dict[str, Tensor]:
    """Outputs with a batch axis: scalars and per-sample values as ``[B, 1]``, which decollates without a host sync."""
    batch: dict[str, Tensor] = {}
    for tag, value in outputs.items():
        if value.dim() == 0 or value.shape == (1,):
            batch[tag] = value.reshape(1, 1).expand(batch_size, 1)
        elif value.shape[0] == batch_size:
            batch[tag] = value[:, None] if value.dim() == 1 else value
    return batch
