"""A training on the console: one aligned line per epoch, and a progress bar where somebody watches."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import torch
from ignite.engine import Engine, Events

from monai_auxops.core import ranks
from monai_auxops.core.running import RunningMean
from monai_auxops.drawing.names import families
from monai_auxops.engine.hub import Hub
from monai_auxops.handlers.stats import loss_of

WIDTH = 7  # of a number such as -0.1234
BEST = "  best"
BAR = 50  # what tqdm writes beside the running values
GROUPS = ("train", "val")


class AuxConsoleHandler:
    """One line per epoch with the loss, what the aux-ops of trainer and evaluator found, and a mark at the best epoch.

    On a terminal a progress bar (of ``tqdm``, if installed) shows the running means while the epoch runs. Elsewhere
    there is no bar and no colour; ``NO_COLOR`` is respected. Columns that do not fit the terminal are left out, those
    of single classes first, and the header says how many. Prints on the first rank only, without a collective: the
    loss is that rank's.

    Args:
        evaluator: whose values belong to the line, too. Its ops show in epochs in which it ran.
        stream: where to print; default standard output.

    >>> from ignite.engine import Engine
    >>> trainer = Engine(lambda engine, batch: {"loss": 1 / engine.state.epoch})
    >>> AuxConsoleHandler().attach(trainer)
    >>> _ = trainer.run([0], max_epochs=2)
    epoch    loss
      1/2  1.0000
      2/2  0.5000
    """

    def __init__(self, evaluator: Engine | None = None, stream: TextIO | None = None) -> None:
        self.evaluator, self._stream = evaluator, stream
        self._loss = RunningMean(["loss"])
        self._columns: list[str] = []
        self._bar: Any = None
        self._shown = 0.0

    @property
    def stream(self) -> TextIO:
        """Where lines go; looked up late, as standard output may be replaced."""
        return self._stream or sys.stdout

    def attach(self, engine: Engine) -> None:
        """Show the epochs of ``engine``, a trainer."""
        if ranks.is_first():
            engine.add_event_handler(Events.STARTED, self._started)

    def _started(self, engine: Engine) -> None:
        self._columns = []
        if not engine.has_event_handler(self._epoch_completed):  # now it comes after every other handler
            engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._iteration_completed)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def _epoch_started(self, engine: Engine) -> None:
        self._loss.reset()
        if not self.stream.isatty():
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        length = engine.state.epoch_length
        self._bar = tqdm(total=length, desc=f"epoch {engine.state.epoch}", leave=False, file=self.stream)

    def _iteration_completed(self, engine: Engine) -> None:
        loss = loss_of(engine.state.output)
        if loss is not None:
            self._loss.update(torch.as_tensor(loss).detach().clone().reshape(1, -1))
        if self._bar is not None:
            self._bar.update()
            if time.monotonic() - self._shown > 0.5:  # copying the running means waits for the device
                self._shown, hub = time.monotonic(), Hub.of(engine)
                means = self._loss.means() | ({} if hub is None else hub.running("do_print"))
                names = fitting([*means], self._room() - BAR)
                self._bar.set_postfix_str("  ".join(f"{name} {means[name]:.3f}" for name in names[:4]))

    def _epoch_completed(self, engine: Engine) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        values, judge = self._values(engine), self.evaluator or engine
        best = getattr(judge.state, "best_metric_epoch", None) == engine.state.epoch and self._validated(engine)
        if not self._columns:
            every = list(dict.fromkeys([*values, *self._later()]))
            self._columns = fitting(every, self._room(), key=getattr(judge.state, "key_metric_name", None))
            for line in header(self._columns, left_out=len(every) - len(self._columns)):
                self._print(line)
        line = row(f"{engine.state.epoch}/{engine.state.max_epochs}", self._columns, values)
        self._print(line + BEST if best else line, bold=best)

    def _values(self, engine: Engine) -> dict[str, float]:
        values = {k: v for k, v in self._loss.means().items() if self._loss.updates}
        for source in [engine, *([self.evaluator] if self.evaluator is not None and self._validated(engine) else [])]:
            hub = Hub.of(source)
            hidden = set() if hub is None else hub.hidden("do_print")
            metrics = source.state.metrics | getattr(source.state, "aux_metrics", {})
            values |= {k: v for k, v in metrics.items() if isinstance(v, float | int) and k not in hidden}
        return values

    def _validated(self, engine: Engine) -> bool:
        return self.evaluator is None or self.evaluator.state.epoch == engine.state.epoch

    def _later(self) -> list[str]:
        """What the evaluator will show, where it has not run yet."""
        hub = None if self.evaluator is None else Hub.of(self.evaluator)
        return [] if hub is None else [*hub.running("do_print")]

    def _room(self) -> int:
        return shutil.get_terminal_size().columns if self.stream.isatty() else 10_000

    def _print(self, line: str, bold: bool = False) -> None:
        colour = bold and self.stream.isatty() and "NO_COLOR" not in os.environ
        print(f"\x1b[1;32m{line}\x1b[0m" if colour else line, file=self.stream, flush=True)


def short(name: str) -> str:
    """A column's name under its group: ``train_dice`` stands as ``dice`` under ``train``."""
    group, _, rest = name.partition("_")
    return rest if rest and group in GROUPS else name


def width(name: str) -> int:
    """Of a column, with the space before it."""
    return 2 + max(len(short(name)), WIDTH - 1)


def fitting(columns: Sequence[str], room: int, key: str | None = None) -> list[str]:
    """The columns that fit into ``room`` characters, beside the epoch and the mark of the best.

    The loss and the ``key`` metric come first, then what is not of a single class.

    >>> fitting(["loss", "train_dice", "train_dice/grey", "val_dice"], 40, key="val_dice")
    ['loss', 'train_dice', 'val_dice']
    """
    whole = {member for split in GROUPS for member in wholes(columns, split)} | {n for n in columns if not group_of(n)}
    ranked = sorted(columns, key=lambda name: (name != "loss", name != key, name not in whole))
    used = list(itertools.accumulate(map(width, ranked), initial=5 + len(BEST)))[1:]
    fits = {name for name, end in zip(ranked, used, strict=True) if end <= room}
    return [name for name in columns if name in fits]


def wholes(columns: Sequence[str], group: str) -> list[str]:
    """The columns of a group that are of all classes."""
    rests = {short(name): name for name in columns if group_of(name) == group}
    return [rests[members[""]] for members in families(rests).values() if "" in members]


def header(columns: Sequence[str], left_out: int = 0) -> list[str]:
    """Two lines over the numbers: the groups, where there are any, and the names.

    >>> print(*header(["loss", "train_dice", "train_dice_grey", "val_dice"], left_out=2), sep="\\n")
                   ──────train──────  ─val──
    epoch    loss    dice  dice_grey    dice  +2
    """
    more = f"  +{left_out}" if left_out else ""
    names = "epoch" + "".join(f"{short(name):>{width(name)}}" for name in columns) + more
    groups = [(group, sum(map(width, members))) for group, members in itertools.groupby(columns, group_of)]
    over = "".join(f"  {group:─^{size - 2}}" if group else " " * size for group, size in groups)
    return [f"     {over}", names] if over.strip() else [names]


def group_of(name: str) -> str:
    """``train`` or ``val``, where the name begins so."""
    return name.partition("_")[0] if short(name) != name else ""


def row(epoch: str, columns: Sequence[str], values: Mapping[str, float]) -> str:
    """The numbers of one epoch; blank where there is none."""
    return f"{epoch:>5}" + "".join(f"{f'{values[n]:.4f}' if n in values else '':>{width(n)}}" for n in columns)
