"""What the handlers that show something share: a folder, a writer, an interval, and that they never end a training."""

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

Interval = int | Callable[[int], bool]


class Careful:
    """Run what only shows something so that its trouble never ends the training it shows."""

    _said: frozenset[str] = frozenset()

    def careful(self, part: str, function: Callable[[Engine], Any]) -> Callable[[Engine], None]:
        """``function`` as an event handler whose exceptions become one warning that names ``part``."""

        def handler(engine: Engine) -> None:
            try:
                function(engine)
            except Exception as error:  # whatever it is: a training is worth more than a picture of it
                self.leave_out(part, error)

        return handler

    def leave_out(self, part: str, reason: object) -> None:
        """Warn once that ``part`` is not shown, and why."""
        text = str(reason)
        if isinstance(reason, Exception) and not isinstance(reason, ValueError):
            text = f"{type(reason).__name__}: {reason}"
        if part not in self._said:
            self._said |= {part}
            warnings.warn(f"{type(self).__name__}: {part} left out, the run goes on: {text}", stacklevel=2)


class Viewer(Careful):
    """Base: acts on the first rank only, without a collective.

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
        """The summary writer, made when something is written first."""
        if self._shares is not None:
            return self._shares.writer
        if self._writer is None:
            self._writer = self._make_writer(str(self.log_dir))
        return self._writer

    def sharing(self, other: Viewer) -> Self:
        """Write with the writer of ``other``, which also closes it."""
        self._shares = other
        return self

    def attach(self, engine: Engine) -> None:
        """Show ``engine``. Nothing is written before it starts."""
        if ranks.is_first():
            engine.add_event_handler(Events.STARTED, self.careful("the run", self._prepare))

    def _prepare(self, engine: Engine) -> None:
        note_start(engine)
        if engine not in self._engines:  # at the start, so that its handlers come after those of every aux-op
            self._engines.add(engine)
            self.log_dir.mkdir(parents=True, exist_ok=True)
            self.register(engine)
        trainer = training_of(engine)
        if trainer not in self._closes:
            self._closes.add(trainer)
            for end in (Events.COMPLETED, Events.TERMINATE):
                trainer.add_event_handler(end, self.careful("the end", lambda _: self.close()))

    def register(self, engine: Engine) -> None:
        """Add the event handlers; called on the first rank only, when the engine starts first."""
        raise NotImplementedError

    def close(self) -> None:
        """Close an own writer and its thread; the next value opens another event file."""
        if self._shares is not None:
            self._shares.close()
        elif self._own and self._writer is not None:
            self._writer.close()


class IntervalViewer(Viewer):
    """Base: looks at the batches of every ``interval``-th epoch and draws when it ends; does nothing in others.

    Args:
        interval: a number of epochs, or a function that says whether an epoch's number is due.
        log_dir: where TensorBoard's events and our files go.
        summary_writer: use this instead of an own writer in ``log_dir``.
    """

    def __init__(self, interval: Interval = 5, log_dir: str | Path = "./runs", summary_writer: Any = None) -> None:
        if isinstance(interval, int) and interval < 1:
            raise ValueError(f"{type(self).__name__}: expected interval to be at least 1 epoch, got {interval}")
        super().__init__(log_dir, summary_writer)
        self.interval = interval
        self._skips = False

    def is_due(self, epoch: int) -> bool:
        """Whether ``epoch`` is shown."""
        return self.interval(epoch) if callable(self.interval) else epoch % self.interval == 0

    def register(self, engine: Engine) -> None:
        """Look at raw predictions: where the aux-ops measure them."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.careful("the epoch", self._begin))
        engine.add_event_handler(raw_predictions_event(engine), self._look)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._after)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.careful("the epoch", self._draw))

    def _begin(self, engine: Engine) -> None:
        self._skips = not self.is_due(training_epoch(engine))
        self.begin()

    def _look(self, engine: Engine) -> None:
        self._try(engine, self.look)

    def _after(self, engine: Engine) -> None:
        self._try(engine, self.after)

    def _try(self, engine: Engine, function: Callable[[Engine], None]) -> None:
        """A batch that cannot be read ends the epoch for this handler, not for the training."""
        if self._skips:
            return
        try:
            function(engine)
        except Exception as error:  # as in careful()
            self._skips = True
            self.begin()
            self.leave_out(self.shows, error)

    def _draw(self, engine: Engine) -> None:
        if not self._skips:
            self.draw(engine)

    shows = "the epoch"

    def begin(self) -> None:
        """An epoch starts."""

    def look(self, engine: Engine) -> None:
        """Take what is needed of a batch, before post-processing and without a copy to the host."""
        raise NotImplementedError

    def after(self, engine: Engine) -> None:
        """The iteration is complete: all aux-ops have measured it."""

    def draw(self, engine: Engine) -> None:
        """The epoch has ended: copy to the host and write."""
        raise NotImplementedError
