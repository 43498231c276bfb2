"""Pictures of the worst cases of an epoch, and of the best epoch so far."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from monai_auxops.cases.names import case_names
from monai_auxops.drawing.errors import paint_case, scale_brightness
from monai_auxops.engine.epochs import training_epoch
from monai_auxops.engine.hub import Hub
from monai_auxops.engine.runs import run_id
from monai_auxops.handlers.case_pictures import CasePictures, KeptCases
from monai_auxops.handlers.class_maps import class_maps
from monai_auxops.handlers.class_rule import class_rule_of
from monai_auxops.handlers.confusion import append_rows
from monai_auxops.handlers.slices import panels, size_of_panel
from monai_auxops.handlers.tensors import arrange_tensors, tensors_of
from monai_auxops.handlers.viewer import Interval, IntervalViewer

if TYPE_CHECKING:
    from ignite.engine import Engine

    from monai_auxops.handlers.best import BestSet

COLUMNS = ("epoch", "place", "file", "value", "picture", "run", "slice", "slices")


class AuxWorstCasesHandler(IntervalViewer):
    """A handler that draws image, label, prediction and errors of the worst cases every ``interval`` epochs.

    It writes pictures ``worst/1`` and so on for TensorBoard, the same as PNG files in ``<log_dir>/worst_cases``, and
    their cases in ``<log_dir>/worst_cases.csv``. For a volume it shows the slice with most wrong voxels among those
    with much of the label. During an epoch the worst cases so far stay on the device as a few small slices; nothing
    waits for them. Cases that cannot be drawn (a label that is not an image, different sizes) are left out with a
    warning. In a distributed run these are the first rank's cases, because handlers do not use collectives.

    Args:
        interval: a number of epochs, or a function that tells whether an epoch is due.
        tag: the tag or metric name that tells how bad a case is; default the engine's first. Less is worse, unless the
            aux-op's ``higher_is_better`` is false.
        number: how many cases to draw.
        log_dir: folder for TensorBoard's events and the pictures.
        summary_writer: use this instead of an own writer in ``log_dir``.
        case_key: the key of the batch that names a case; default the image's file, or a running number.
        threshold: threshold of one channel if no aux-op of the engine says so.
        best: the set of the best epoch, which gets the worst, the median and the best case.

    Raises:
        ValueError: an interval below one epoch.
    """

    shows = "pictures of the worst cases"

    def __init__(
        self,
        interval: Interval = 5,
        tag: str | None = None,
        number: int = 3,
        log_dir: str | Path = "./runs",
        summary_writer: Any = None,
        *,
        case_key: str | None = None,
        threshold: float | None = None,
        best: BestSet | None = None,
    ) -> None:
        super().__init__(interval, log_dir, summary_writer, best)
        self.tag, self.number, self.case_key = tag, number, case_key
        self.threshold = threshold
        self.start_epoch()

    def start_epoch(self) -> None:
        """Discard the epoch's cases."""
        self._cases = CasePictures(self.number)
        self._shapes: list[tuple[int, ...]] = []
        self._waiting: tuple[Tensor, Tensor] | None = None
        self._sign = 1.0

    def read_batch(self, engine: Engine) -> None:
        """Cut slices out of the batch, before post-processing."""
        seen, reading = tensors_of(engine), class_rule_of(engine, self.threshold)
        with torch.no_grad():
            predicted, truth = class_maps(*arrange_tensors(seen, reading), reading)
            image = image_of(seen["image"], truth.dim(), reading.channels_last)
            self._waiting = panels(image, truth, predicted)
        self._shapes += [tuple(image.shape[1:])] * len(image)

    def finish_iteration(self, engine: Engine) -> None:
        """Keep the worst cases of those kept and the batch, after all aux-ops have measured it."""
        if self._waiting is None:
            return
        (pictures, slices), self._waiting = self._waiting, None
        values = self._values(engine).to(pictures.device)
        if len(values) != len(pictures):
            raise ValueError(f"expected a value for each of {len(pictures)} cases, got {len(values)}")
        first = self._cases.count
        numbers = torch.arange(first, first + len(values), device=values.device)
        self._cases.files += case_names(engine.state.output, engine.state.batch, self.case_key, len(values), first)
        self._cases.add(KeptCases(self._sign * values.float(), numbers, slices, pictures))

    def _values(self, engine: Engine) -> Tensor:
        hub = Hub.of(engine)
        attachments, values = ([], {}) if hub is None else (hub.attachments, hub.case_values())
        found = [
            (attachment, name)
            for attachment in attachments
            for name, tag in attachment.names.items()
            if name in values and self.tag in (None, name, tag)
        ]
        if not found:
            wanted = "an aux-op that measures single cases" if self.tag is None else repr(self.tag)
            raise ValueError(f"expected {wanted} on this engine to tell which cases are bad, got {list(values)}")
        attachment, name = found[0]
        self._sign = -1.0 if getattr(attachment.op, "higher_is_better", None) is False else 1.0
        return values[name]

    def write_epoch(self, engine: Engine, best: BestSet | None) -> None:
        """Copy the worst cases to the host, once, and write them."""
        if self._cases.worst is None:
            return
        epoch, worst = training_epoch(engine), self._cases.worst.cpu()
        if self.is_due(epoch):
            self._draw_due(engine, epoch, worst)
        if best is not None:
            draw_best(self._cases, worst, self._shapes, epoch, best, self._sign)

    def _draw_due(self, engine: Engine, epoch: int, worst: KeptCases) -> None:
        (self.log_dir / "worst_cases").mkdir(exist_ok=True)
        rows = []
        for place in positions_with_value(worst):
            facts, three = describe_case(self._cases, worst, place, self._shapes, self._sign)
            name, pixels = f"worst_cases/epoch_{epoch:04}_{place + 1}.png", paint_case(three)
            save_png(pixels, self.log_dir / name)
            self.writer.add_image(f"worst/{place + 1}", pixels, epoch, dataformats="HWC")
            value = f"{facts['value']:.6g}"
            rows.append([epoch, place + 1, facts["file"], value, name, run_id(engine), facts["slice"], facts["slices"]])
        append_rows(self.log_dir / "worst_cases.csv", list(COLUMNS), rows)
        self.writer.flush()


def draw_best(
    cases: CasePictures,
    worst: KeptCases,
    shapes: Sequence[tuple[int, ...]],
    epoch: int,
    best: BestSet,
    sign: float = 1.0,
) -> None:
    """Write the worst cases, the median and the best one as the pictures of the best epoch."""
    best.folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (place, kept, rank) in enumerate(pictured_cases(cases, worst), 1):
        facts, three = describe_case(cases, kept, rank, shapes, sign)
        name = f"epoch_{epoch:04}_{number}"
        save_parts(three, best.folder / name)
        written.append({"place": place, "rank": rank + 1, **facts, "name": name})
    best.update(cases=written)


def pictured_cases(cases: CasePictures, worst: KeptCases) -> list[tuple[str, KeptCases, int]]:
    """Return the worst cases, the median and the best one, each case once, with its place and where it is kept.

    Of few cases, the first of the worst is never called the median, and no better case than the median is called bad.
    """
    highest, median = None if cases.best is None else cases.best.cpu(), cases.median()
    if highest is None or median is None or not positions_with_value(highest):
        return []
    top, middle, numbers = int(highest.numbers[0]), int(median.numbers[0]), worst.numbers.tolist()
    ranks = [rank for rank in positions_with_value(worst) if numbers[rank] != top]
    if not ranks:
        return [("only case", highest, 0)]
    others = itertools.takewhile(lambda rank: numbers[rank] != middle, ranks[1:])
    chosen = [("worst", worst, rank) for rank in (ranks[0], *others)]
    if middle not in (top, numbers[ranks[0]]):
        chosen.append(("median", median, 0))
    return [*chosen, ("best", highest, 0)]


def positions_with_value(kept: KeptCases) -> list[int]:
    """Return the positions of the cases that have a value."""
    return [place for place, value in enumerate(kept.values.tolist()) if not math.isnan(value)]


def describe_case(
    cases: CasePictures, kept: KeptCases, place: int, shapes: Sequence[tuple[int, ...]], sign: float
) -> tuple[dict[str, Any], Any]:
    """Return the description of a case, and its three panels."""
    number = int(kept.numbers[place])
    shape = shapes[number]
    height, width = size_of_panel(shape)
    facts: dict[str, Any] = {"file": cases.files[number], "value": sign * float(kept.values[place])}
    facts |= {"slice": None, "slices": None}
    if len(shape) == 3:  # a volume
        facts |= {"slice": int(kept.slices[place]) + 1, "slices": shape[2]}
    return facts, np.asarray(kept.pictures[place, :, :height, :width].numpy())


def image_of(image: Any, dims: int, channels_last: bool) -> Tensor:
    """Return the first channel of the images, ``[B, *S]`` with ``dims`` axes; ``ValueError`` without an image."""
    from monai_auxops.core.inputs import plain_tensor

    image = plain_tensor(image)
    if not isinstance(image, Tensor):
        raise ValueError(f"expected an image in the output or the batch, got {type(image).__name__}")
    if image.dim() == dims:
        return image
    if image.dim() < dims:
        raise ValueError(f"expected an image [B, C, *S] of {dims + 1} axes, got {list(image.shape)}")
    return image[..., 0] if channels_last else image[:, 0]


def save_png(pixels: Any, path: Path) -> None:
    """Write a PNG file."""
    from PIL import Image  # comes with TensorBoard

    Image.fromarray(pixels).save(path)


def save_parts(three: Any, path: Path) -> None:
    """Write the drawn picture and its three parts, with classes as pixel values."""
    save_png(paint_case(three), path.with_name(f"{path.name}.png"))
    image, label, predicted = (np.ascontiguousarray(np.flipud(panel.T)) for panel in three)
    save_png((255 * scale_brightness(image)).astype(np.uint8), path.with_name(f"{path.name}_image.png"))
    for kind, classes in (("label", label), ("prediction", predicted)):
        save_png(np.clip(classes, 0, 255).astype(np.uint8), path.with_name(f"{path.name}_{kind}.png"))
