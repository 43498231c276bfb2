"""A training on the console: one aligned line per epoch, and a progress bar on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

import torch
from ignite.engine import Engine, Events

from monai_auxops.core.running import RunningMean
from monai_auxops.engine.hub import Hub
from monai_auxops.handlers.best import BestValue
from monai_auxops.handlers.console_lines import BEST, LineLayout, running_text
from monai_auxops.handlers.epoch_viewer import EpochViewer
from monai_auxops.handlers.values import epoch_numbers, loss_of, repeated_names, scalars_of

NO_TERMINAL = 240  # columns of a file or a pipe, unless COLUMNS is set
BAR = "{desc}: {percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]{postfix}"
BESIDE_BAR = 60  # characters of the line that the bar takes


class AuxConsoleHandler(EpochViewer):
    """A handler that prints a line per epoch with the loss, all values, and a mark at the best epoch.

    On a terminal a progress bar (of ``tqdm``, if installed) shows the running means during the epoch. Elsewhere
    there is no bar and no color; ``NO_COLOR`` is respected. Columns that do not fit the terminal are left out, those
    of single classes first, and the header says how many. A new column causes a new header. Only the first rank prints,
    without a collective, so the loss is that rank's. If the loss is NaN once, it is NaN for the epoch.

    Args:
        evaluator: the engine whose values to add in epochs in which it ran, or several, of which the first decides on
            the best epoch. Any Ignite engine.
        stream: where to print; default standard output.

    Examples:
        >>> from ignite.engine import Engine
        >>> trainer = Engine(lambda engine, batch: {"loss": 1 / engine.state.epoch})
        >>> AuxConsoleHandler().attach(trainer)
        >>> _ = trainer.run([0], max_epochs=2)
        epoch    loss
          1/2  1.0000
          2/2  0.5000
    """

    def __init__(self, evaluator: Engine | Iterable[Engine] | None = None, stream: TextIO | None = None) -> None:
        super().__init__(evaluator)
        self._stream = stream
        self._losses: dict[str, RunningMean] = {}
        self._layout, self._best = LineLayout(), BestValue()
        self._bar: Any = None
        self._shown = 0.0

    @property
    def stream(self) -> TextIO:
        """The stream to print to; looked up late, because standard output may be replaced."""
        return self._stream or sys.stdout

    def _started(self, engine: Engine) -> None:
        self._layout, self._best = LineLayout(), BestValue()
        if not engine.has_event_handler(self._epoch_completed):  # added now, so that it comes after every other handler
            engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._iteration_completed)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def _epoch_started(self, engine: Engine) -> None:
        self._losses = {}
        self.careful("the progress bar", self._start_bar)(engine)

    def _iteration_completed(self, engine: Engine) -> None:
        self.careful("the loss", self._add_loss)(engine)
        if self._bar is not None:
            self.careful("the progress bar", self._move_bar)(engine)

    def _epoch_completed(self, engine: Engine) -> None:
        self.careful("the line of an epoch", self._print_epoch)(engine)

    def _start_bar(self, engine: Engine) -> None:
        if not self.stream.isatty():
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        total, text = engine.state.epoch_length, f"epoch {engine.state.epoch}"
        self._bar = tqdm(total=total, desc=text, leave=False, file=self.stream, bar_format=BAR, dynamic_ncols=True)

    def _add_loss(self, engine: Engine) -> None:
        for name, loss in scalars_of(loss_of(engine.state.output), "loss").items():
            tag = name if name == "loss" else f"loss/{name}"
            mean = self._losses.setdefault(tag, RunningMean([tag], skip_nan=False))
            mean.update(torch.as_tensor(loss).detach().clone().reshape(1, -1))

    def _move_bar(self, engine: Engine) -> None:
        self._bar.update()
        if time.monotonic() - self._shown > 0.5:  # copying the running means waits for the device
            self._shown, hub = time.monotonic(), Hub.of(engine)
            means = self._loss_means() | ({} if hub is None else hub.running_means("do_print"))
            self._bar.set_postfix_str(running_text(means, self._room() - BESIDE_BAR))

    def _loss_means(self) -> dict[str, float]:
        return {name: mean.means()[name] for name, mean in self._losses.items()}

    def _print_epoch(self, engine: Engine) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        values, judge = self._values(engine), (self.evaluators or [engine])[0]
        is_best = judge is not engine or hasattr(judge.state, "best_metric_epoch")  # there is no best epoch by loss
        is_best = is_best and judge in self.sources(engine) and self._best.take(judge)
        key = getattr(judge.state, "key_metric_name", None)
        for line in self._layout.header([*values, *self._later(judge)], self._room(), key):
            self._print(line)
        line = self._layout.row(f"{engine.state.epoch}/{engine.state.max_epochs}", values)
        self._print(line + BEST if is_best else line, bold=is_best)

    def _values(self, engine: Engine) -> dict[str, float]:
        values = self._loss_means()
        for source in self.sources(engine):
            values |= epoch_numbers(source, "do_print")
        return values

    def _later(self, judge: Engine) -> list[str]:
        """Return the columns of evaluators that have not run yet."""
        hubs = [(each, hub) for each in self.evaluators if (hub := Hub.of(each)) is not None]
        key = getattr(judge.state, "key_metric_name", None)
        repeated = {name for each, hub in hubs for name in repeated_names(each, hub, "do_print")}
        names = [name for _, hub in hubs for name in hub.running_means("do_print") if name not in repeated]
        return [*([key] if key is not None and names else []), *names]

    def _room(self) -> int:
        fallback = 80 if self.stream.isatty() else NO_TERMINAL
        return shutil.get_terminal_size((fallback, 24)).columns if self.stream.isatty() else fallback

    def _print(self, line: str, bold: bool = False) -> None:
        color = bold and self.stream.isatty() and "NO_COLOR" not in os.environ
        print(f"\x1b[1;32m{line}\x1b[0m" if color else line, file=self.stream, flush=True)
