"""One hub per engine: runs the aux-ops once per batch and reduces all their states with one collective per epoch."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from ignite.engine import Engine, Events
from monai.engines import Workflow

from monai_auxops.core.agreement import note_tags, same_everywhere, settle_tags
from monai_auxops.core.ranks import Ranks
from monai_auxops.core.running import Totals
from monai_auxops.engine.attachment import Attachment
from monai_auxops.engine.batch import Batch
from monai_auxops.engine.choosing import Guard, warn_of_direction
from monai_auxops.engine.epochs import enclosing_engines
from monai_auxops.engine.events import (
    data_on_every_rank,
    is_key,
    raw_predictions_event,
    refuse_empty_loader,
    warn_of_empty_epoch,
)
from monai_auxops.engine.resume import LoadedLength, plan_resume
from monai_auxops.engine.runs import note_start

if TYPE_CHECKING:
    from torch import Tensor

    from monai_auxops.core.plan import Plan
    from monai_auxops.ops.base import AuxiliaryOperation


class Hub:
    """The connection between the aux-ops of one engine and its events; the first ``attach`` creates it."""

    _made: ClassVar[Counter[str]] = Counter()

    def __init__(self, engine: Engine) -> None:
        self.attachments: list[Attachment] = []
        self._engine = engine
        self._published: set[str] = set()
        self._batch = Batch(-1, self._published)
        self._running = self._checked = False
        self._iterations_before = 0
        self._identity, self._agreed_on = "", ""
        self._plan: Plan | None = None
        self._guard, self._length = Guard(), LoadedLength(engine)
        self._handlers = [
            (Events.STARTED, self._started),
            (Events.EPOCH_STARTED, self._epoch_started),
            (Events.ITERATION_COMPLETED, self._iteration_completed),
            (Events.EPOCH_COMPLETED, self._epoch_completed),
        ]
        if isinstance(engine, Workflow):
            self._handlers.append((raw_predictions_event(engine), self._forward_done))
        for event, handler in self._handlers:
            engine.add_event_handler(event, handler)
        # Epoch values are written before any handler reads them, including handlers that were added earlier.
        completed = engine._event_handlers[Events.EPOCH_COMPLETED]
        completed.insert(0, completed.pop())

    @classmethod
    def of(cls, engine: Engine) -> Hub | None:
        """Return the hub of ``engine``; None if no aux-op was attached to it."""
        return getattr(engine, "_auxops_hub", None)

    def add(self, attachment: Attachment) -> None:
        """Add one op; ``ValueError`` if another op already uses one of its metric names."""
        twice = self._names_twice(attachment)
        if twice:  # then statistics are prefixed with the op's tag: "dice/recall" and "iou/recall"
            for other in [each for each in (*self.attachments, attachment) if twice & set(each.names)]:
                other.op.qualify()
            twice = self._names_twice(attachment)
        if twice:
            raise ValueError(
                f"{attachment.op!r}: the metric name {min(twice)!r} is already taken on this engine by another "
                "aux-op; rename the slot or the tag"
            )
        if self.attachments and self.attachments[0].op.group is not attachment.op.group:
            raise ValueError(f"{attachment.op!r}: expected the same group= as the other aux-ops of this engine")
        self.attachments.append(attachment)
        self._checked = False
        if not self._identity:  # the n-th engine of this kind with this slot: the same on every rank
            kind = f"{type(self._engine).__name__} with {attachment.name or same_everywhere(repr(attachment.op))}"
            Hub._made[kind] += 1
            self._identity = f"{kind} ({Hub._made[kind]})"

    def _names_twice(self, attachment: Attachment) -> set[str]:
        return {name for other in self.attachments for name in other.names} & set(attachment.names)

    def remove(self, attachment: Attachment) -> None:
        """Remove one op; removing the last one restores the engine."""
        self.attachments.remove(attachment)
        if not self.attachments:
            for event, handler in self._handlers:
                self._engine.remove_event_handler(handler, event)
            self._guard.release()
            self._length.release()
            del self._engine._auxops_hub

    def running_means(self, flag: str | None = None) -> dict[str, float]:
        """Return the running means of this process, by metric name.

        It copies to the host, so call it when a value is shown, not in every iteration.

        Args:
            flag: ``"do_print"`` or ``"do_summary"`` selects the ops for which it is true.
        """
        values: dict[str, float] = {}
        for attachment in self.attachments:
            if flag is None or getattr(attachment.op, flag):
                so_far = attachment.op.values_of(Totals.of(attachment.op.states))
                values |= {attachment.metric_name(tag): value for tag, value in so_far.items()}
        return values

    def hidden_names(self, flag: str) -> set[str]:
        """Return the metric names whose op has ``flag`` (do_print or do_summary) set to False."""
        return {
            name for attachment in self.attachments if not getattr(attachment.op, flag) for name in attachment.names
        }

    def case_values(self) -> dict[str, Tensor]:
        """Return the values per case of the latest batch, ``[B]`` by metric name, without values of the whole batch."""
        return self._batch.case_values()

    def equal_names(self) -> dict[str, str]:
        """Return the metric names whose value equals another one by definition: ``{name: the other name}``."""
        by_tag = {tag: name for attachment in self.attachments for name, tag in attachment.names.items()}
        fields = {
            name: getattr(attachment.op, "same_as", None)
            for attachment in self.attachments
            for name in attachment.names
        }
        equal = {name: by_tag[field] for name, field in fields.items() if field in by_tag and by_tag[field] != name}
        for attachment in self.attachments:
            tags = getattr(attachment.op, "equal_tags", {})
            equal |= {attachment.metric_name(tag): attachment.metric_name(other) for tag, other in tags.items()}
        return equal

    def columns_of(self, op: object) -> list[str]:
        """Return the metric names of the values per case that ``op`` measured, the main one first."""
        return self._batch.case_columns(op)

    # --- a run ---

    def _started(self, engine: Engine) -> None:
        note_start(engine)
        self._watch(engine)
        for attachment in self.attachments:
            if getattr(engine.state, "key_metric_name", None) in attachment.names:
                warn_of_direction(engine, attachment.op)
        self._batch, self._running = Batch(-1, self._published), False
        layout = self._layout()
        if layout != self._agreed_on:
            purpose = f"{self._identity}, start of a run{data_on_every_rank(engine)}, with {layout}"
            with self._ranks().meeting(purpose):
                self._agreed_on = layout
        for attachment in self.attachments:
            attachment.op.warn_without_writer(self._ranks())

    def _watch(self, engine: Engine) -> None:
        """Guard the handlers that choose by our values: on this engine, and on the trainer that runs this evaluator."""
        for each in (engine, *enclosing_engines()):
            self._guard.watch(each)

    def _ranks(self) -> Ranks:
        return Ranks.of(self.attachments[0].op.group)

    def _layout(self) -> str:
        return "; ".join(attachment.signature for attachment in self.attachments)

    def _epoch_started(self, engine: Engine) -> None:
        anew = self._running or self._resumes_anew(engine)
        self._running, self._iterations_before = True, engine.state.iteration
        for attachment in self.attachments:
            attachment.op.epoch_started(anew)

    def _resumes_anew(self, engine: Engine) -> bool:
        """Rewind a resumed engine if necessary; tell whether the run's first epoch starts with its first sample."""
        state = engine.state
        carried = all(attachment.op.resumed for attachment in self.attachments if attachment.op.epoch_tags != ())
        can_continue = carried and hasattr(state.dataloader, "load_state_dict")
        resume = plan_resume(state.epoch, state.iteration, state.epoch_length, self._length.expected, can_continue)
        self._length.forget()
        if resume.rewind_to is not None:
            state.epoch_length = resume.epoch_length or state.epoch_length
            state.iteration = resume.rewind_to
            text = f"restarting epoch {state.epoch} so that its values cover every sample once"
            warnings.warn(f"{resume.why}: {text}", stacklevel=2)
        return resume.anew

    # --- a batch ---

    def _forward_done(self, engine: Engine) -> None:
        if isinstance(engine.state.output, dict) and "pred" in engine.state.output:  # an ensemble does not have it yet
            self._measure(engine)

    def _measure(self, engine: Engine) -> None:
        if self._batch.iteration == engine.state.iteration:  # the trainer fires the event per micro-batch
            self._batch.read_early([attachment for attachment in self.attachments if attachment.op.stage != "raw"])
        self._batch = Batch(engine.state.iteration, self._published)
        raw = [attachment for attachment in self.attachments if attachment.op.stage == "raw"]
        self._plan = self._batch.run_together(engine, raw, self._plan)

    def _iteration_completed(self, engine: Engine) -> None:
        if self._batch.iteration != engine.state.iteration:
            self._measure(engine)
        self._batch.after_postprocessing()
        for stage in ("post", "read"):
            for attachment in self.attachments:
                if attachment.op.stage == stage:
                    self._batch.run(engine, attachment)
        self._batch.release()
        if not self._checked:
            self._check_key_metric(engine)

    def _check_key_metric(self, engine: Engine) -> None:
        """Check that the key metric has an epoch value. After the first batch every op knows its tags."""
        self._checked = True
        for attachment in self.attachments:
            if is_key(engine, attachment.name) and attachment.op.epoch_tags == ():
                raise ValueError(
                    f"{attachment.op!r} has no epoch value and cannot be the key metric {attachment.name!r}"
                )

    # --- the end of an epoch ---

    def _epoch_completed(self, engine: Engine) -> None:
        """Reduce all aux-ops with one collective and one copy to the host, then write the epoch values."""
        self._watch(engine)
        ranks, ops = self._ranks(), [attachment.op for attachment in self.attachments]
        purpose = f"{self._identity}, end of epoch {engine.state.epoch}, with {self._layout()}"
        with ranks.meeting(purpose, note_tags(ops)) as notes:
            settle_tags(ops, notes)
            states = [state.packed() for op in ops for state in op.states]
            flat = iter(ranks.total(states, purpose))
            for attachment in self.attachments:
                values = attachment.op.epoch_values(Totals.of(attachment.op.states, flat), ranks.gather)
                engine.state.metrics |= {attachment.metric_name(tag): value for tag, value in values.items()}
                attachment.op.epoch_completed()
        if engine.state.iteration == self._iterations_before:
            warn_of_empty_epoch(engine.state.epoch, ops)


def attach(op: AuxiliaryOperation, engine: Engine, name: str | None = None, output_transform: Any = None) -> Attachment:
    """Connect ``op`` to ``engine`` through its hub, which the first op creates; ``ValueError`` if a name is taken."""
    refuse_empty_loader(engine, op)
    hub = Hub.of(engine)
    if hub is None:
        hub = engine._auxops_hub = Hub(engine)
    attachment = Attachment(op, engine, name, output_transform)
    hub.add(attachment)
    return attachment


def detach(attachment: Attachment) -> None:
    """Undo ``attach``."""
    hub = Hub.of(attachment.engine)
    if hub is not None:
        hub.remove(attachment)
