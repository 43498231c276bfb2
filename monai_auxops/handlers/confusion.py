"""Which class is taken for which: the confusion matrix of an epoch, as numbers and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from torch import Tensor

from monai_auxops.core.context import plain
from monai_auxops.counting.counts import confusion, count
from monai_auxops.drawing.plots import draw_matrix
from monai_auxops.handlers.recorder import Interval, IntervalRecorder, threshold_of


class AuxConfusionHandler(IntervalRecorder):
    """Counts voxels (or samples) by labelled and predicted class in every ``interval``-th epoch of an engine.

    Writes the picture ``confusion`` for TensorBoard and appends to ``<log_dir>/confusion_matrix.csv``, a row per
    epoch and labelled class. For classes that exclude each other with index labels; one channel is a class and its
    absence. In a distributed run these are the first rank's cases: a handler holds no collective.

    Args:
        interval: a number of epochs, or a function that says whether an epoch's number is due.
        class_names: of all classes, the background too; default their indices.
        log_dir: where TensorBoard's events and the table go.
        summary_writer: use this instead of an own writer in ``log_dir``.

    Raises:
        ValueError: names that do not match the classes, classes that do not exclude each other.

    >>> handler = AuxConfusionHandler(interval=10, class_names=["background", "grey", "white"])
    >>> [epoch for epoch in range(1, 31) if handler.is_due(epoch)]
    [10, 20, 30]
    """

    def __init__(
        self,
        interval: Interval = 5,
        class_names: Sequence[str] | None = None,
        log_dir: str | Path = "./runs",
        summary_writer: Any = None,
    ) -> None:
        super().__init__(interval, log_dir, summary_writer)
        self.class_names = None if class_names is None else tuple(class_names)
        self.begin()

    def begin(self) -> None:
        """Count from zero."""
        self._table: Tensor | None = None

    def look(self, engine: Engine, output: dict[str, Any]) -> None:
        """Add the batch's counts, on its device."""
        with torch.no_grad():
            table = crossed(plain(output["pred"]), plain(output["label"]), threshold_of(engine))
        if self.class_names is not None and len(self.class_names) != len(table):
            names = f"{len(self.class_names)} class_names {self.class_names}"
            raise ValueError(f"AuxConfusionHandler: expected a name for each of {len(table)} classes, got {names}")
        self._table = table if self._table is None else self._table + table

    def draw(self, epoch: int) -> None:
        """Write the table and its picture."""
        if self._table is None:
            return
        rows: list[list[int]] = self._table.tolist()
        names = list(self.class_names or map(str, range(len(rows))))
        self._append(epoch, names, rows)
        self.writer.add_figure("confusion", draw_matrix(rows, names).figure, epoch)
        self.writer.flush()

    def _append(self, epoch: int, names: list[str], rows: list[list[int]]) -> None:
        path = self.log_dir / "confusion_matrix.csv"
        new = not path.is_file()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(["epoch", "label", *names])
            writer.writerows([epoch, name, *row] for name, row in zip(names, rows, strict=True))


def crossed(predictions: Tensor, label: Tensor, threshold: float = 0.5) -> Tensor:
    """Count by labelled (row) and predicted class (column) over the batch, ``[C, C]``.

    >>> crossed(torch.tensor([[0.9], [0.2], [0.7]]), torch.tensor([[1], [1], [0]]))
    tensor([[0, 1],
            [1, 1]])
    """
    if predictions.dim() == 1:
        predictions, label = predictions[:, None], label.reshape(-1, 1)
    if predictions.shape[1] > 1:
        return confusion(predictions, label).sum(0)
    tp, fp, fn, tn = (x.sum() for x in count(predictions, label, threshold=threshold))
    return torch.stack([torch.stack([tn, fp]), torch.stack([fn, tp])])
