"""The base of handlers that show something: folder, writer, interval, and errors that never stop a training."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ignite.engine import Engine, Events

from monai_auxops.core import ranks
from monai_auxops.engine.epochs import training_epoch
from monai_auxops.engine.events import raw_predictions_event
from monai_auxops.engine.runs import note_start, training_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from monai_auxops.handlers.best import BestSet

Interval = int | Callable[[int], bool]


class Careful:
    """A mixin that turns errors of a viewer into warnings, so that they never stop the training."""

    _warned_parts: frozenset[str] = frozenset()

    def careful(self, part: str, function: Callable[[Engine], Any]) -> Callable[[Engine], None]:
        """Return ``function`` as an event handler whose exceptions become one warning that names ``part``."""

        def handler(engine: Engine) -> None:
            try:
                function(engine)
            except Exception as error:  # any error, because the training must go on
                self.leave_out(part, error)

        return handler

    def leave_out(self, part: str, reason: object) -> None:
        """Warn once that ``part`` is not shown, and why."""
        text = str(reason)
        if isinstance(reason, Exception) and not isinstance(reason, ValueError):
            text = f"{type(reason).__name__}: {reason}"
        if part not in self._warned_parts:
            self._warned_parts |= {part}
            warnings.warn(f"{type(self).__name__}: {part} left out; the run continues: {text}", stacklevel=2)


class Viewer(Careful):
    """Base class of handlers that act on the first rank only, without a collective.

    Args:
        log_dir: where TensorBoard's events and our files go.
        summary_writer: use this instead of an own writer in ``log_dir``.
    """

    def __init__(self, log_dir: str | Path = "./runs", summary_writer: Any = None) -> None:
        self.log_dir = Path(log_dir)
        self._writer, self._own = summary_writer, summary_writer is None
        self._shares: Viewer | None = None
        self._engines, self._closes = weakref.WeakSet[Engine](), weakref.WeakSet[Engine]()
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            hint = "pip install tensorboard"
            raise ImportError(f"{type(self).__name__} writes TensorBoard events: {hint}") from error
        self._make_writer: Callable[[str], Any] = SummaryWriter

    @property
    def writer(self) -> Any:
        """The summary writer, created on first use."""
        if self._shares is not None:
            return self._shares.writer
        if self._writer is None:
            self._writer = self._make_writer(str(self.log_dir))
        return self._writer

    def sharing(self, other: Viewer) -> Self:
        """Use the writer of ``other``, which also closes it."""
        self._shares = other
        return self

    def attach(self, engine: Engine) -> None:
        """Show ``engine``. Nothing is written before it starts."""
        if ranks.is_first():
            engine.add_event_handler(Events.STARTED, self.careful("the run", self._prepare))

    def _prepare(self, engine: Engine) -> None:
        note_start(engine)
        if engine not in self._engines:  # when the run starts, so that its handlers come after those of every aux-op
            self._engines.add(engine)
            self.log_dir.mkdir(parents=True, exist_ok=True)
            self.register(engine)
        trainer = training_of(engine)
        if trainer not in self._closes:
            self._closes.add(trainer)
            for end in (Events.COMPLETED, Events.TERMINATE):
                trainer.add_event_handler(end, self.careful("the end", lambda _: self.close()))

    def register(self, engine: Engine) -> None:
        """Add the event handlers; called on the first rank only, when the engine first starts."""
        raise NotImplementedError

    def close(self) -> None:
        """Close an own writer and its thread; the next value opens another event file."""
        if self._shares is not None:
            self._shares.close()
        elif self._own and self._writer is not None:
            self._writer.close()


class IntervalViewer(Viewer):
    """Base class of handlers that read the batches of every ``interval``-th epoch and draw when it ends.

    Args:
        interval: a number of epochs, or a function that says whether an epoch's number is due.
        log_dir: where TensorBoard's events and our files go.
        summary_writer: use this instead of an own writer in ``log_dir``.
        best: the set of the best epoch, which is also to get what is shown; then the batches of every epoch are read.
    """

    def __init__(
        self,
        interval: Interval = 5,
        log_dir: str | Path = "./runs",
        summary_writer: Any = None,
        best: BestSet | None = None,
    ) -> None:
        if isinstance(interval, int) and interval < 1:
            raise ValueError(f"{type(self).__name__}: expected interval to be at least 1 epoch, got {interval}")
        super().__init__(log_dir, summary_writer)
        self.interval, self.best = interval, best
        self._skips = False

    def is_due(self, epoch: int) -> bool:
        """Tell whether ``epoch`` is shown."""
        return self.interval(epoch) if callable(self.interval) else epoch % self.interval == 0

    def register(self, engine: Engine) -> None:
        """Read raw predictions at the event at which the aux-ops measure them."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.careful("the epoch", self._start_epoch_if_due))
        engine.add_event_handler(raw_predictions_event(engine), self._try_to_read)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._try_to_finish)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.careful("the epoch", self._write_epoch_if_due))

    def _start_epoch_if_due(self, engine: Engine) -> None:
        self._skips = self.best is None and not self.is_due(training_epoch(engine))
        self.start_epoch()

    def _try_to_read(self, engine: Engine) -> None:
        self._try(engine, self.read_batch)

    def _try_to_finish(self, engine: Engine) -> None:
        self._try(engine, self.finish_iteration)

    def _try(self, engine: Engine, function: Callable[[Engine], None]) -> None:
        """Run ``function``; an error ends the epoch for this handler, but not the training."""
        if self._skips:
            return
        try:
            function(engine)
        except Exception as error:  # as in careful()
            self._skips = True
            self.start_epoch()
            self.leave_out(self.shows, error)

    def _write_epoch_if_due(self, engine: Engine) -> None:
        if self._skips:
            return
        best = self.best if self.best is not None and self.best.is_best(engine) else None
        if best is not None or self.is_due(training_epoch(engine)):
            self.write_epoch(engine, best)

    shows = "the epoch"

    def start_epoch(self) -> None:
        """Prepare for an epoch that starts."""

    def read_batch(self, engine: Engine) -> None:
        """Read a batch before post-processing, without a copy to the host."""
        raise NotImplementedError

    def finish_iteration(self, engine: Engine) -> None:
        """Finish an iteration after all aux-ops have measured it."""

    def write_epoch(self, engine: Engine, best: BestSet | None) -> None:
        """Copy results to the host at the end of an epoch that is due or the best, and write them.

        Args:
            engine: the engine whose epoch ended.
            best: the set to write to if the epoch is the best so far.
        """
        raise NotImplementedError
