"""What went wrong: pictures of the worst cases of an epoch."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from torch import Tensor

from monai_auxops.core.context import plain
from monai_auxops.drawing.paint import paint
from monai_auxops.engine.hub import Hub
from monai_auxops.engine.outputs import filenames
from monai_auxops.handlers.recorder import Interval, IntervalRecorder, threshold_of
from monai_auxops.handlers.slices import classes_of, fitted, panels

COLUMNS = ("epoch", "place", "file", "value", "picture")


class AuxWorstCasesHandler(IntervalRecorder):
    """Draws image, label and prediction of the worst cases in every ``interval``-th epoch of a segmenting engine.

    Writes pictures ``worst/1`` and so on for TensorBoard, the same as PNG files in ``<log_dir>/worst_cases``, and which
    is which in ``<log_dir>/worst_cases.csv``. Of a volume it shows the slice with most wrong voxels, of those that hold
    much of the label. While an epoch runs the worst so far stay on the device, a few small slices; nothing waits for
    it. In a distributed run these are the first rank's cases: a handler holds no collective.

    Args:
        interval: a number of epochs, or a function that says whether an epoch's number is due.
        tag: the aux-op's output that tells how bad a case is, smaller is worse; default the engine's first.
        number: how many cases.
        log_dir: where TensorBoard's events and the pictures go.
        summary_writer: use this instead of an own writer in ``log_dir``.

    Raises:
        ValueError: no such tag.
    """

    def __init__(
        self,
        interval: Interval = 5,
        tag: str | None = None,
        number: int = 3,
        log_dir: str | Path = "./runs",
        summary_writer: Any = None,
    ) -> None:
        super().__init__(interval, log_dir, summary_writer)
        self.tag, self.number = tag, number
        self.begin()

    def begin(self) -> None:
        """Forget the epoch's cases."""
        self._files: list[str] = []
        self._shapes: list[tuple[int, int]] = []
        self._worst: tuple[Tensor, Tensor, Tensor] | None = None  # values [n], numbers of the cases [n], panels

    def look(self, engine: Engine, output: dict[str, Any]) -> None:
        """Keep the worst of what was kept and the batch."""
        image, label, prediction = (plain(output.get(key)) for key in ("image", "label", "pred"))
        if not isinstance(image, Tensor) or not isinstance(label, Tensor) or image.dim() not in (4, 5):
            return
        with torch.no_grad():
            values = self._values(engine, output).nan_to_num(math.inf)
            shown = classes_of(prediction, threshold_of(engine))
            truth = classes_of(label, 0.5) if label.shape[1] > 1 else label[:, 0]
            first = len(self._files)
            numbers = torch.arange(first, first + len(values), device=values.device)
            self._keep(values, numbers, panels(image[:, 0], truth, shown))
        self._shapes += [fitted(image.shape[2:])] * len(values)
        self._files += filenames(output["image"]) or [str(i) for i in range(first, first + len(values))]

    def _values(self, engine: Engine, output: dict[str, Any]) -> Tensor:
        hub = Hub.of(engine)
        there = [tag for entry in (hub.entries if hub else []) for tag in entry.op.accumulated or () if tag in output]
        tag = self.tag or next(iter(there), None)
        if tag not in there:
            raise ValueError(f"AuxWorstCasesHandler: expected an aux-op's tag, one of {there}, got {tag!r}")
        return plain(output[tag]).reshape(-1).float()  # type: ignore[no-any-return]

    def _keep(self, values: Tensor, numbers: Tensor, pictures: Tensor) -> None:
        if self._worst is not None:
            values, numbers, pictures = (
                torch.cat(pair) for pair in zip(self._worst, (values, numbers, pictures), strict=True)
            )
        lowest, at = values.topk(min(self.number, len(values)), largest=False)
        self._worst = lowest, numbers[at], pictures[at]

    def draw(self, epoch: int) -> None:
        """Copy the worst to the host, once, and write them."""
        if self._worst is None:
            return
        values, numbers, pictures = (x.cpu() for x in self._worst)
        (self.log_dir / "worst_cases").mkdir(exist_ok=True)
        rows = []
        for place, (value, number, three) in enumerate(zip(values.tolist(), numbers, pictures.numpy(), strict=True), 1):
            if value < math.inf:
                height, width = self._shapes[int(number)]
                picture = self._picture(epoch, place, three[:, :height, :width])
                rows.append([epoch, place, self._files[int(number)], f"{value:.6g}", picture])
        self._append(rows)
        self.writer.flush()

    def _picture(self, epoch: int, place: int, three: Any) -> str:
        from PIL import Image  # comes with TensorBoard

        pixels, name = paint(np.asarray(three)), f"worst_cases/epoch_{epoch:04}_{place}.png"
        Image.fromarray(pixels).save(self.log_dir / name)
        self.writer.add_image(f"worst/{place}", pixels, epoch, dataformats="HWC")
        return name

    def _append(self, rows: list[list[Any]]) -> None:
        path = self.log_dir / "worst_cases.csv"
        new = not path.is_file()
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows] if new else rows)
