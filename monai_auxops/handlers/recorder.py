"""What the handlers that leave something beside the curves share: a folder, a writer, an interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.engines import Trainer, Workflow
from monai.engines.utils import IterationEvents

from monai_auxops.core import ranks
from monai_auxops.engine.hub import Hub

Interval = int | Callable[[int], bool]


class Recorder:
    """Base: acts on the first rank only, without a collective.

    Args:
        log_dir: where TensorBoard's events and our files go.
        summary_writer: use this instead of an own writer in ``log_dir``.
    """

    def __init__(self, log_dir: str | Path = "./runs", summary_writer: Any = None) -> None:
        self.log_dir = Path(log_dir)
        self._writer = summary_writer
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            hint = 'pip install "monai-auxops[tensorboard]"'
            raise ImportError(f"{type(self).__name__} writes TensorBoard events: {hint}") from error
        self._make_writer: Callable[[str], Any] = SummaryWriter

    @property
    def writer(self) -> Any:
        """The summary writer, made when something is written first."""
        if self._writer is None:
            self._writer = self._make_writer(str(self.log_dir))
        return self._writer

    def attach(self, engine: Engine) -> None:
        """Record on ``engine``."""
        if ranks.is_first():
            self.log_dir.mkdir(parents=True, exist_ok=True)
            self.register(engine)

    def register(self, engine: Engine) -> None:
        """Add the event handlers; called on the first rank only."""
        raise NotImplementedError


class IntervalRecorder(Recorder):
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

    def is_due(self, epoch: int) -> bool:
        """Whether ``epoch`` is recorded."""
        return self.interval(epoch) if callable(self.interval) else epoch % self.interval == 0

    def register(self, engine: Engine) -> None:
        """Look at raw predictions: where the aux-ops measure them."""
        engine.add_event_handler(Events.EPOCH_STARTED, lambda _: self.begin())
        engine.add_event_handler(measured(engine), self._look)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._draw)

    def _look(self, engine: Engine) -> None:
        output = engine.state.output
        if self.is_due(engine.state.epoch) and isinstance(output, dict) and "pred" in output:
            self.look(engine, output)

    def _draw(self, engine: Engine) -> None:
        if self.is_due(engine.state.epoch):
            self.draw(engine.state.epoch)

    def begin(self) -> None:
        """An epoch starts."""

    def look(self, engine: Engine, output: dict[str, Any]) -> None:
        """Take what is needed of a batch, without a copy to the host."""
        raise NotImplementedError

    def draw(self, epoch: int) -> None:
        """The epoch has ended: copy to the host and write."""
        raise NotImplementedError


def measured(engine: Engine) -> Any:
    """The event at which the output holds raw predictions."""
    if not isinstance(engine, Workflow):
        return Events.ITERATION_COMPLETED
    return IterationEvents.BACKWARD_COMPLETED if isinstance(engine, Trainer) else IterationEvents.FORWARD_COMPLETED


def threshold_of(engine: Engine) -> float:
    """Where one channel becomes positive, on the scale of the raw predictions: as the engine's first Dice says."""
    hub = Hub.of(engine)
    for op in () if hub is None else (entry.op for entry in hub.entries if hasattr(entry.op, "final_activation")):
        value = float(getattr(op, "threshold", 0.5))
        return math.log(value / (1 - value)) if op.final_activation == "sigmoid" else value
    return 0.5
