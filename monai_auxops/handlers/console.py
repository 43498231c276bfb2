"""A training on the console: one aligned line per epoch, and a progress bar on a terminal."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import torch
from ignite.engine import Engine, Events

from monai_auxops.core.running import RunningMean
from monai_auxops.drawing.names import families
from monai_auxops.engine.hub import Hub
from monai_auxops.handlers.best import BestValue
from monai_auxops.handlers.epoch_viewer import EpochViewer
from monai_auxops.handlers.stats import is_number, loss_of, metrics_of, number_of, scalars_of

WIDTH = 7  # characters of a number such as -0.1234
BEST = "  best"
GROUPS = ("train", "val")
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
        self._known: list[str] = []
        self._best = BestValue()
        self._columns: list[str] = []
        self._bar: Any = None
        self._shown = 0.0

    @property
    def stream(self) -> TextIO:
        """The stream to print to; looked up late, because standard output may be replaced."""
        return self._stream or sys.stdout

    def _started(self, engine: Engine) -> None:
        self._known, self._columns, self._best = [], [], BestValue()
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
        new = [name for name in dict.fromkeys([*values, *self._later(judge)]) if name not in self._known]
        if new:
            self._known += new
            self._print_header(getattr(judge.state, "key_metric_name", None))
        line = row_text(f"{engine.state.epoch}/{engine.state.max_epochs}", self._columns, values)
        self._print(line + BEST if is_best else line, bold=is_best)

    def _print_header(self, key: str | None) -> None:
        self._known = in_group_order(self._known)
        self._columns = fitting_columns(self._known, self._room(), key=key)
        for line in header_lines(self._columns, left_out=len(self._known) - len(self._columns)):
            self._print(line)

    def _values(self, engine: Engine) -> dict[str, float]:
        values = self._loss_means()
        for source in self.sources(engine):
            values |= epoch_values(source)
        return values

    def _later(self, judge: Engine) -> list[str]:
        """Return the columns of evaluators that have not run yet."""
        hubs = [hub for hub in map(Hub.of, self.evaluators) if hub is not None]
        key = getattr(judge.state, "key_metric_name", None)
        names = [name for hub in hubs for name in hub.running_means("do_print")]
        return [*([key] if key is not None and names else []), *names]

    def _room(self) -> int:
        fallback = 80 if self.stream.isatty() else NO_TERMINAL
        return shutil.get_terminal_size((fallback, 24)).columns if self.stream.isatty() else fallback

    def _print(self, line: str, bold: bool = False) -> None:
        color = bold and self.stream.isatty() and "NO_COLOR" not in os.environ
        print(f"\x1b[1;32m{line}\x1b[0m" if color else line, file=self.stream, flush=True)


def epoch_values(engine: Engine) -> dict[str, float]:
    """Return an engine's epoch values that are numbers and to be printed."""
    return {name: number_of(value) for name, value in metrics_of(engine, "do_print").items() if is_number(value)}


def in_group_order(names: Sequence[str]) -> list[str]:
    """Sort losses first, then training, validation and other names, keeping their order within each."""
    order = {"": 2, "train": 0, "val": 1}
    return sorted(names, key=lambda name: -1 if name.partition("/")[0] == "loss" else order[group_of(name)])


def running_text(means: Mapping[str, float], room: int) -> str:
    """Format as many running means as fit into ``room`` characters, those of single classes last.

    Examples:
        >>> running_text({"loss": 0.5, "train_dice/gray": 0.25, "train_dice": 0.75}, 30)
        'loss 0.500  train_dice 0.750'
    """
    ranked = sorted(means, key=lambda name: "/" in name)
    texts = [f"{name} {means[name]:.3f}" for name in ranked]
    ends = itertools.accumulate(len(text) + 2 for text in texts)
    return "  ".join(text for text, end in zip(texts, ends, strict=True) if end <= room + 2)


def name_in_group(name: str) -> str:
    """Return a column's name without its group: ``dice`` for ``train_dice``, which is shown below ``train``."""
    group, _, rest = name.partition("_")
    return rest if rest and group in GROUPS else name


def column_width(name: str) -> int:
    """Return the width of a column, with the space before it."""
    return 2 + max(len(name_in_group(name)), WIDTH - 1)


def fitting_columns(columns: Sequence[str], room: int, key: str | None = None) -> list[str]:
    """Return the columns that fit into ``room`` characters, besides the epoch and the mark of the best.

    The loss and the ``key`` metric come first, then values that are not of a single class.

    Examples:
        >>> fitting_columns(["loss", "train_dice", "train_dice/gray", "val_dice"], 40, key="val_dice")
        ['loss', 'train_dice', 'val_dice']
    """
    whole = {member for split in GROUPS for member in mean_columns(columns, split)} | {
        n for n in columns if not group_of(n)
    }
    ranked = sorted(columns, key=lambda name: (name != "loss", name != key, name not in whole))
    used = list(itertools.accumulate(map(column_width, ranked), initial=5 + len(BEST)))[1:]
    fits = {name for name, end in zip(ranked, used, strict=True) if end <= room}
    return [name for name in columns if name in fits]


def mean_columns(columns: Sequence[str], group: str) -> list[str]:
    """Return the columns of a group that are not of a single class."""
    rests = {name_in_group(name): name for name in columns if group_of(name) == group}
    return [rests[members[""]] for members in families(rests).values() if "" in members]


def header_lines(columns: Sequence[str], left_out: int = 0) -> list[str]:
    """Return the lines above the numbers: the groups, if there are any, and the names.

    Examples:
        >>> print(*header_lines(["loss", "train_dice", "train_dice_gray", "val_dice"], left_out=2), sep="\\n")
                       ──────train──────  ─val──
        epoch    loss    dice  dice_gray    dice  +2
    """
    more = f"  +{left_out}" if left_out else ""
    names = "epoch" + "".join(f"{name_in_group(name):>{column_width(name)}}" for name in columns) + more
    groups = [(group, sum(map(column_width, members))) for group, members in itertools.groupby(columns, group_of)]
    over = "".join(f"  {group:─^{size - 2}}" if group else " " * size for group, size in groups)
    return [f"     {over}", names] if over.strip() else [names]


def group_of(name: str) -> str:
    """Return ``train`` or ``val`` if the name starts with it."""
    return name.partition("_")[0] if name_in_group(name) != name else ""


def row_text(epoch: str, columns: Sequence[str], values: Mapping[str, float]) -> str:
    """Format the numbers of one epoch, with blanks for missing ones."""
    texts = {name: number_text(value) for name, value in values.items()}
    return f"{epoch:>5}" + "".join(f"{texts.get(name, ''):>{column_width(name)}}" for name in columns)


def number_text(value: float) -> str:
    """Format a number in at most seven characters.

    Examples:
        >>> number_text(0.5), number_text(-0.12345), number_text(12.0), number_text(123456.789), number_text(math.nan)
        ('0.5000', '-0.1235', '12', '1.2e+05', 'nan')
    """
    if math.isfinite(value) and value.is_integer() and 1 < abs(value) < 10**WIDTH:
        return f"{value:.0f}"
    text = f"{value:.4f}"
    if len(text) <= WIDTH:
        return text
    return f"{value:.5g}" if abs(value) < 10_000 else f"{value:.2g}"
