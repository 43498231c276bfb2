"""Record a plain loop as the handlers record an engine: console, curves, cases, pictures, report."""

from __future__ import annotations

import contextlib
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from monai_auxops.core import ranks
from monai_auxops.drawing.names import file_name
from monai_auxops.drawing.results import save_results
from monai_auxops.handlers.best import BestSet
from monai_auxops.handlers.class_writers import ClassWriters
from monai_auxops.handlers.console import NO_TERMINAL
from monai_auxops.handlers.console_lines import BEST, LineLayout
from monai_auxops.handlers.recorded import RecordedCases, RecordedPictures, columns_of
from monai_auxops.handlers.recorded_run import RecordedRun
from monai_auxops.handlers.run_file import current_time, write_run
from monai_auxops.ops.base import AuxiliaryOperation

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Self

Values = AuxiliaryOperation | Mapping[str, Any]
__all__ = ["Recorder"]


class Recorder:
    """A recorder of a plain loop, for a folder that ``monai-auxops report`` and TensorBoard show.

    Use it with Lightning, Accelerate, or your own loop. ``log`` prints the line of an epoch and writes the curves;
    ``cases`` writes the table of cases; ``pictures`` keeps pictures of the best epoch. Only the first rank
    writes, and no method waits for other ranks: pass values over all ranks (such as those of ``aggregate()``). What
    cannot be written causes one warning and never stops the training. ``docs/formats.md`` describes the files.

    Args:
        folder: the folder of the run.
        key: the metric that decides on the best epoch, such as ``"val_dice"``. Default: the first value of the first
            aux-op logged with ``split="val"``; plain numbers have no direction, and therefore no best epoch.
        higher_is_better: whether a larger ``key`` is better; default as the aux-op says.
        epochs: the planned number of epochs, for the console.
        class_names: names of all classes.
        config: a JSON-compatible description of the run.
        stream: where to print; default standard output.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Recorder(folder, "val_dice", higher_is_better=True) as run:
        ...     for epoch, dice in enumerate([0.5, 0.75, 0.625], 1):
        ...         run.log(epoch, {"loss": 1 / epoch})
        ...         run.log(epoch, {"dice": dice}, split="val")
        ...     sorted(path.name for path in Path(folder).glob("r*"))
                        ─val──
        epoch    loss    dice
            1  1.0000  0.5000  best
            2  0.5000  0.7500  best
            3  0.3333  0.6250
        ['results.png', 'run.json']
    """

    def __init__(
        self,
        folder: str | Path = "run",
        key: str | None = None,
        higher_is_better: bool | None = None,
        *,
        epochs: int | None = None,
        class_names: Sequence[str] | None = None,
        config: Any = None,
        stream: TextIO | None = None,
    ) -> None:
        self.folder, self._stream = Path(folder), stream
        self._run = RecordedRun(key, higher_is_better, epochs=epochs, class_names=class_names, config=config)
        self._best = BestSet(self.folder)
        self._printed = True
        self._layout = LineLayout()
        self._tables: dict[str, RecordedCases] = {}
        self._pictures: RecordedPictures | None = None
        self._writer: Any = None
        self._classes = ClassWriters()
        self._failed: set[str] = set()

    @property
    def run(self) -> str:
        """The identity of this run in its files."""
        return self._run.id

    @property
    def key(self) -> str | None:
        """The metric that decides on the best epoch; None until it is known."""
        return self._run.key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close(finished=error[0] is None)

    def log(self, epoch: int, values: Values, split: str = "") -> None:
        """Record the values of an epoch.

        The line of the epoch is printed with its ``split="val"``; without validation when the next epoch starts.

        Args:
            epoch: the epoch from 1; it must not decrease.
            values: an aux-op, whose ``aggregate`` is called (so every rank must call ``log``), or numbers by name,
                also nested.
            split: ``"train"``, ``"val"``, ``"test"`` or nothing, as prefix of each name.

        Raises:
            ValueError: an unknown split, an epoch that decreases, a value that is not a number.
        """
        run, named = self._run, self._run.numbers_by_name(values, split)
        if epoch < run.epoch or epoch < 0:
            raise ValueError(f"Recorder.log: expected epoch {run.epoch} or a later one, got {epoch}")
        if not ranks.is_first():
            return
        if epoch > run.epoch:
            self._end_epoch()
            run.epoch, self._printed = epoch, False
        run.add(named)
        self._safely("curves", lambda: self._write_curves(named))
        if split == "val":
            self._print_line()

    def cases(self, epoch: int, rows: Mapping[str, Mapping[str, float]], split: str = "val", name: str = "") -> None:
        """Record values of single cases; further cases of the same epoch are added.

        Args:
            epoch: as in ``log``.
            rows: the values of each case by column; the first column decides which case is worst.
            split: prefix of each column.
            name: name of the table ``<name>_cases.csv``; default the first column's.
        """
        if not rows or not ranks.is_first():
            return
        prefix = f"{split}_" if split else ""
        name = name or columns_of(rows)[0]
        if name not in self._tables:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._tables[name] = RecordedCases(self.folder / f"{file_name(name)}_cases.csv")
        table = self._tables[name]
        table.add(epoch, rows)
        self._safely("table of cases", lambda: table.write(self.run, prefix))

    def pictures(
        self,
        epoch: int,
        image: Tensor,
        label: Tensor,
        prediction: Tensor,
        values: Sequence[float] | Tensor,
        names: Sequence[str] | None = None,
    ) -> None:
        """Record pictures of a batch; the worst, the median and the best case of the epoch are kept.

        They are written to ``<folder>/best`` when the epoch's ``log(split="val")`` makes it the best so far, so call
        this first. Nothing is copied to the host until then.

        Args:
            epoch: as in ``log``.
            image: ``[B, C, *S]`` with two or three spatial dimensions.
            label: class indices ``[B, 1, *S]`` or ``[B, *S]``, or one-hot ``[B, C, *S]``.
            prediction: scores ``[B, C, *S]``, or class indices like the label.
            values: the value of each case, less is worse.
            names: the name of each case; default a running number.
        """
        if not ranks.is_first():
            return
        if self._pictures is None or self._pictures.epoch != epoch:
            self._pictures = RecordedPictures(epoch)
        pictures = self._pictures
        self._safely("pictures", lambda: pictures.add(image, label, prediction, values, names))

    def _end_epoch(self) -> None:
        """Print the line of an epoch without validation, and write the files of its end."""
        if self._run.epoch and not self._printed:
            self._print_line()

    def _print_line(self) -> None:
        run = self._run
        if not self._printed:
            run.stop_clock()
        self._printed = True
        values, is_best = run.values, run.judge(self._best)
        for line in self._layout.header(values, self._room(), run.key):
            print(line, file=self.stream)
        of = f"/{run.epochs}" if run.epochs else ""
        line = self._layout.row(f"{run.epoch}{of}", values)
        print(line + BEST if is_best else line, file=self.stream, flush=True)
        self._safely("files", lambda: self._write_files(is_best))

    @property
    def stream(self) -> TextIO:
        """The stream to print to; looked up late, because standard output may be replaced."""
        return self._stream or sys.stdout

    def _room(self) -> int:
        return shutil.get_terminal_size().columns if self.stream.isatty() else NO_TERMINAL

    def _write_curves(self, values: Mapping[str, float]) -> None:
        if self._writer is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise OSError("no curves without TensorBoard: pip install tensorboard") from error
            self._writer = SummaryWriter(str(self.folder))
        self._classes.write(self._writer, values, self._run.epoch)

    def _write_files(self, is_best: bool) -> None:
        self._write_facts(finished=None)
        if is_best and self._pictures is not None and self._pictures.epoch == self._run.epoch:
            self._pictures.draw(self._best)
        if len(self._run.seconds) > 1:
            with contextlib.suppress(ImportError):
                save_results(self._run.curves, self.folder / "results.png")

    def _write_facts(self, finished: str | None) -> None:
        write_run(self.folder / "run.json", self._run.facts(finished))

    def close(self, finished: bool = True) -> None:
        """Print the last line, mark the run as ended in ``run.json``, and close the writers."""
        if not ranks.is_first():
            return
        self._end_epoch()
        if self._run.epoch:
            self._safely("run.json", lambda: self._write_facts(current_time() if finished else None))
        if self._writer is not None:
            self._writer.close()
        self._classes.close()

    def _safely(self, part: str, write: Callable[[], None]) -> None:
        """Write, and turn any error into one warning."""
        try:
            write()
        except Exception as error:  # any error of a disk, a picture or a plot
            if part not in self._failed:
                self._failed.add(part)
                warnings.warn(f"Recorder({str(self.folder)!r}): {part} left out: {error}", stacklevel=4)
