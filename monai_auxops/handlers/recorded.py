"""What a plain loop records besides numbers: a table of cases, and the pictures of an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.cases.table import Case, CaseFile, EpochCases
from monai_auxops.handlers.case_pictures import CasePictures, KeptCases
from monai_auxops.handlers.class_maps import class_maps_of_any
from monai_auxops.handlers.slices import panels
from monai_auxops.handlers.values import number_of
from monai_auxops.handlers.worst_cases import draw_best, image_of

if TYPE_CHECKING:
    from monai_auxops.handlers.best import BestSet

Rows = Mapping[str, Mapping[str, float]]
"""The values of each case, by column."""


class RecordedCases:
    """One table of cases; the cases of an epoch may come in parts."""

    def __init__(self, path: Path) -> None:
        self._file, self._epoch = CaseFile(path), 0
        self._columns: tuple[str, ...] = ()
        self._cases: list[Case] = []

    def add(self, epoch: int, rows: Rows) -> None:
        """Add cases; ``ValueError`` if they have other columns than the earlier ones of the epoch."""
        columns = columns_of(rows)
        earlier = self._cases if epoch == self._epoch else []
        if earlier and columns != self._columns:
            raise ValueError(
                f"Recorder.cases: expected the columns {list(self._columns)} as before, got {list(columns)}"
            )
        new = [Case(case, "", tuple(number_of(v.get(c, math.nan)) for c in columns)) for case, v in rows.items()]
        self._epoch, self._columns, self._cases = epoch, columns, earlier + new

    def write(self, run: str, prefix: str) -> None:
        """Write the cases of the epoch so far, with ``prefix`` before each column."""
        columns = tuple(prefix + column for column in self._columns)
        self._file.finish(EpochCases(self._epoch, run, columns, tuple(self._cases)))


def columns_of(rows: Rows) -> tuple[str, ...]:
    """Return the columns that any case has, in order."""
    return tuple(dict.fromkeys(column for values in rows.values() for column in values))


class RecordedPictures:
    """Pictures of the worst, the median and the best case of an epoch. They stay on the device until they are drawn."""

    def __init__(self, epoch: int) -> None:
        self.epoch, self._kept = epoch, CasePictures(3)
        self._shapes: list[tuple[int, ...]] = []

    def add(
        self,
        image: Tensor,
        label: Tensor,
        prediction: Tensor,
        values: Sequence[float] | Tensor,
        names: Sequence[str] | None,
    ) -> None:
        """Add the cases of a batch; the arguments are those of ``Recorder.pictures``."""
        kept = self._kept
        predicted, truth = class_maps_of_any(prediction.detach(), label.detach(), image.dim() - 2)
        gray = image_of(image.detach(), truth.dim(), channels_last=False)
        pictures, slices = panels(gray, truth, predicted)
        good = torch.as_tensor(values, dtype=torch.float32, device=pictures.device).reshape(-1)
        numbers = torch.arange(kept.count, kept.count + len(good), device=pictures.device)
        self._shapes.extend([tuple(gray.shape[1:])] * len(gray))
        kept.files.extend(names or map(str, numbers.tolist()))
        kept.add(KeptCases(good, numbers, slices, pictures))

    def draw(self, best: BestSet) -> None:
        """Write the pictures to the folder of the best epoch."""
        if self._kept.worst is not None:
            draw_best(self._kept, self._kept.worst.cpu(), self._shapes, self.epoch, best)
