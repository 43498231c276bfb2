"""Which class is taken for which: the confusion matrix of an epoch, as numbers and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from torch import Tensor

from monai_auxops.counting.counts import confusion, count
from monai_auxops.drawing.plots import draw_matrix
from monai_auxops.engine.epochs import training_epoch
from monai_auxops.engine.runs import run_id
from monai_auxops.handlers.best import BestSet
from monai_auxops.handlers.reading import Reading, are_exclusive, arranged, index_of, is_onehot, reading_of, seen_by
from monai_auxops.handlers.viewer import Interval, IntervalViewer


class AuxConfusionHandler(IntervalViewer):
    """Count voxels (or samples) by labeled and predicted class in every ``interval``-th epoch of an engine.

    Writes the picture ``confusion`` for TensorBoard and appends to ``<log_dir>/confusion_matrix.csv``, a row per
    epoch and labeled class. For classes that exclude each other; one channel is a class and its absence. Labels are
    read, and scores are cut, as the engine's first aux-op that decides on classes does it. What cannot be counted is
    left out with a warning. In a distributed run these are the first rank's cases: a handler holds no collective.

    Args:
        interval: a number of epochs, or a function that says whether an epoch's number is due.
        class_names: of all classes, or of all but the background; default those of the aux-op, else their indices.
        log_dir: where TensorBoard's events and the table go.
        summary_writer: use this instead of an own writer in ``log_dir``.
        threshold: where one channel becomes positive, if no aux-op of the engine says so; on the scale of the
            predictions.
        best: the set of the best epoch that shows the matrix as well.

    Raises:
        ValueError: an interval below one epoch.

    >>> handler = AuxConfusionHandler(interval=10, class_names=["background", "gray", "white"])
    >>> [epoch for epoch in range(1, 31) if handler.is_due(epoch)]
    [10, 20, 30]
    """

    shows = "the confusion matrix"

    def __init__(
        self,
        interval: Interval = 5,
        class_names: Sequence[str] | None = None,
        log_dir: str | Path = "./runs",
        summary_writer: Any = None,
        *,
        threshold: float | None = None,
        best: BestSet | None = None,
    ) -> None:
        super().__init__(interval, log_dir, summary_writer)
        self.class_names = None if class_names is None else tuple(class_names)
        self.threshold, self.best = threshold, best
        self.begin()

    def _begin(self, engine: Engine) -> None:
        super()._begin(engine)
        self._skips = self._skips and self.best is None

    def begin(self) -> None:
        """Count from zero."""
        self._table: Tensor | None = None
        self._reading = Reading()

    def look(self, engine: Engine) -> None:
        """Add the batch's counts, on its device."""
        self._reading = reading_of(engine, self.threshold)
        with torch.no_grad():
            predictions, label = arranged(seen_by(engine), self._reading)
            table = confusion_of(predictions, label, self._reading)
        self._table = table if self._table is None else self._table + table

    def draw(self, engine: Engine) -> None:
        """Write the table and its picture."""
        epoch = training_epoch(engine)
        is_best = self.best is not None and self.best.is_best(engine)
        if self._table is None or not (is_best or self.is_due(epoch)):
            return
        rows: list[list[int]] = self._table.tolist()
        names = names_of_classes(len(rows), self.class_names, self._reading)
        if is_best and self.best is not None:
            self.best.update(matrix=rows, classes=names)
        if self.is_due(epoch):
            self._append([[epoch, name, run_id(engine), *row] for name, row in zip(names, rows, strict=True)], names)
            self.writer.add_figure("confusion", draw_matrix(rows, names).figure, epoch)
            self.writer.flush()

    def _append(self, rows: list[list[Any]], names: list[str]) -> None:
        path = self.log_dir / "confusion_matrix.csv"
        append_rows(path, ["epoch", "label", "run", *names], rows)


def confusion_of(predictions: Tensor, label: Tensor, reading: Reading) -> Tensor:
    """Count by labeled (row) and predicted class (column) over the batch, ``[C, C]``.

    >>> scores, label = torch.tensor([[0.9], [0.2], [0.7]]), torch.tensor([[1], [1], [0]])
    >>> confusion_of(scores, label, Reading(cut=0.5))
    tensor([[0, 1],
            [1, 1]])
    """
    if are_exclusive(predictions, label, reading):
        if is_onehot(predictions, label, reading):
            label = label.max(1, keepdim=True).indices
        return confusion(predictions.float(), index_of(label, predictions.shape[1])).sum(0)
    if predictions.shape[1] > 1:
        raise ValueError("classes that may overlap have no confusion matrix (matrix=False says so)")
    if reading.cut is None:
        raise ValueError("no aux-op of this engine says where scores become positive; give the handler threshold=")
    truth = (label > 0.5).long() if reading.onehot else index_of(label, 2)
    tp, fp, fn, tn = (x.sum() for x in count(predictions, truth, threshold=reading.cut))
    return torch.stack([torch.stack([tn, fp]), torch.stack([fn, tp])])


def names_of_classes(number: int, given: Sequence[str] | None, reading: Reading) -> list[str]:
    """A name for each of ``number`` classes: those given, with the background in front where it was left out.

    >>> names_of_classes(3, ["gray", "white"], Reading())
    ['background', 'gray', 'white']
    """
    names = list(given or reading.class_names or map(str, range(number)))
    if len(names) == number - 1:
        names = ["background", *names]
    if len(names) == number:
        return names
    if given is None:  # an aux-op may look at a part of the classes
        return list(map(str, range(number)))
    raise ValueError(f"expected a name for each of {number} classes, got {len(names)} class_names {tuple(names)}")


def append_rows(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    """Add rows to a table; one with other columns is set aside first, under a name that is free."""
    if path.is_file():
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            there = next(csv.reader(file), None)
        if there != header:
            set_aside(path)
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8", errors="backslashreplace") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows] if new else rows)


def set_aside(path: Path) -> None:
    """Rename ``x.csv`` to ``x.old.csv``, or ``x.old2.csv`` and so on where that exists."""
    names = (path.with_suffix(f".old{number}{path.suffix}") for number in ("", *range(2, 10_000)))
    path.rename(next(name for name in names if not name.exists()))
