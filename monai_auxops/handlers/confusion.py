"""The confusion matrix of an epoch, as numbers and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from monai_auxops.counting.counts import confusion, count
from monai_auxops.drawing.plots import draw_matrix
from monai_auxops.engine.epochs import training_epoch
from monai_auxops.engine.runs import run_id
from monai_auxops.handlers.class_maps import are_exclusive, index_of, is_onehot
from monai_auxops.handlers.class_rule import ClassRule, class_rule_of
from monai_auxops.handlers.tensors import arrange_tensors, tensors_of
from monai_auxops.handlers.viewer import Interval, IntervalViewer

if TYPE_CHECKING:
    from ignite.engine import Engine

    from monai_auxops.handlers.best import BestSet


class AuxConfusionHandler(IntervalViewer):
    """A handler that counts voxels (or samples) by labeled and predicted class every ``interval`` epochs.

    It writes the picture ``confusion`` for TensorBoard and appends to ``<log_dir>/confusion_matrix.csv``, with a row
    per epoch and labeled class. Classes must be exclusive; one channel is a class and the background. Labels are read,
    and scores are thresholded, as by the engine's first aux-op that decides on classes. If a batch cannot be counted,
    the epoch is left out with a warning. In a distributed run the matrix shows the first rank's cases, because handlers
    do not use collectives.

    Args:
        interval: a number of epochs, or a function that tells whether an epoch is due.
        class_names: names of all classes, or of all but the background; default those of the aux-op, or their
            indices.
        log_dir: folder for TensorBoard's events and the table.
        summary_writer: use this instead of an own writer in ``log_dir``.
        threshold: threshold of one channel if no aux-op of the engine says so, on the scale of the predictions.
        best: the set of the best epoch that should also contain the matrix.

    Raises:
        ValueError: an interval below one epoch.

    Examples:
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
        super().__init__(interval, log_dir, summary_writer, best)
        self.class_names = None if class_names is None else tuple(class_names)
        self.threshold = threshold
        self.start_epoch()

    def start_epoch(self) -> None:
        """Count from zero."""
        self._table: Tensor | None = None
        self._reading = ClassRule()

    def read_batch(self, engine: Engine) -> None:
        """Add the batch's counts, on its device."""
        self._reading = class_rule_of(engine, self.threshold)
        with torch.no_grad():
            predictions, label = arrange_tensors(tensors_of(engine), self._reading)
            table = confusion_of(predictions, label, self._reading)
        self._table = table if self._table is None else self._table + table

    def write_epoch(self, engine: Engine, best: BestSet | None) -> None:
        """Write the table and the picture."""
        if self._table is None:
            return
        epoch = training_epoch(engine)
        rows: list[list[int]] = self._table.tolist()
        names = names_of_classes(len(rows), self.class_names, self._reading)
        if best is not None:
            best.update(matrix=rows, classes=names)
        if self.is_due(epoch):
            self._append([[epoch, name, run_id(engine), *row] for name, row in zip(names, rows, strict=True)], names)
            self.writer.add_figure("confusion", draw_matrix(rows, names).figure, epoch)
            self.writer.flush()

    def _append(self, rows: list[list[Any]], names: list[str]) -> None:
        path = self.log_dir / "confusion_matrix.csv"
        append_rows(path, ["epoch", "label", "run", *names], rows)


def confusion_of(predictions: Tensor, label: Tensor, reading: ClassRule) -> Tensor:
    """Count by labeled (row) and predicted class (column) over the batch, ``[C, C]``.

    Examples:
        >>> scores, label = torch.tensor([[0.9], [0.2], [0.7]]), torch.tensor([[1], [1], [0]])
        >>> confusion_of(scores, label, ClassRule(cut=0.5))
        tensor([[0, 1],
                [1, 1]])
    """
    if are_exclusive(predictions, label, reading):
        if is_onehot(predictions, label, reading):
            label = label.max(1, keepdim=True).indices
        return confusion(predictions.float(), index_of(label, predictions.shape[1])).sum(0)
    if predictions.shape[1] > 1:
        raise ValueError("classes that may overlap have no confusion matrix; pass matrix=False to AuxReportHandler")
    if reading.cut is None:
        raise ValueError(
            "no aux-op of this engine says at which threshold scores become positive; pass threshold= to the handler"
        )
    truth = (label > 0.5).long() if reading.onehot else index_of(label, 2)
    tp, fp, fn, tn = (x.sum() for x in count(predictions, truth, threshold=reading.cut))
    return torch.stack([torch.stack([tn, fp]), torch.stack([fn, tp])])


def names_of_classes(number: int, given: Sequence[str] | None, reading: ClassRule) -> list[str]:
    """Return a name for each of ``number`` classes: the given ones, preceded by the background if it is missing.

    Examples:
        >>> names_of_classes(3, ["gray", "white"], ClassRule())
        ['background', 'gray', 'white']
    """
    names = list(given or reading.class_names or map(str, range(number)))
    if len(names) == number - 1:
        names = ["background", *names]
    if len(names) == number:
        return names
    if given is None:  # an aux-op may measure only some of the classes
        return list(map(str, range(number)))
    raise ValueError(f"expected a name for each of {number} classes, got {len(names)} class_names {tuple(names)}")


def append_rows(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    """Append rows to a table; a table with other columns is renamed first."""
    if path.is_file():
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            there = next(csv.reader(file), None)
        if there != header:
            move_aside(path)
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8", errors="backslashreplace") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows] if new else rows)


def move_aside(path: Path) -> None:
    """Rename ``x.csv`` to ``x.old.csv``, or ``x.old2.csv`` and so on if that exists."""
    names = (path.with_suffix(f".old{number}{path.suffix}") for number in ("", *range(2, 10_000)))
    path.rename(next(name for name in names if not name.exists()))
