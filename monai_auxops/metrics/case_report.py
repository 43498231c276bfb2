"""A metric's report: Clara's two files, one line per case and a summary, and a table with all that is known of it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Engine
from torch import Tensor

from monai_auxops.core import ranks
from monai_auxops.core.context import BuildContext
from monai_auxops.engine.hub import Hub
from monai_auxops.engine.outputs import filenames
from monai_auxops.metrics.case_table import Arriving, Case, CaseFile, once

HEADER = ("mean", "median", "max", "min", "90percent", "std")


class CaseReport:
    """Collects a value per case and writes three files.

    ``<name>_raw_results.txt`` and ``<name>_summary_results.txt`` are Clara's, of the latest epoch.
    ``<name>_cases.csv`` grows while cases arrive: epoch, files, the value, and on an engine whatever else its aux-ops
    found per sample. Values are copied to the host behind the computation, which does not wait for them.

    Args:
        name: of the metric.
        folder: made if need be; ``ValueError`` if it cannot be written to, now rather than after the epoch.
    """

    def __init__(self, name: str, folder: str | Path) -> None:
        self.name, self.column, self.folder = name, name, Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.folder, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            raise ValueError(f"expected report_path to be a folder that can be written to, got {folder}")
        self._engine: Engine | None = None
        self._arriving, self._cases, self._columns = Arriving(), list[Case](), list[str]()
        self._epoch, self._file = 1, CaseFile(self.folder / f"{name}_cases.csv")

    def watch(self, engine: Engine, column: str) -> None:
        """Take the epoch's number and the other columns from ``engine``; ``column`` is the metric's name there."""
        self._engine, self.column = engine, column

    @property
    def epoch(self) -> int:
        """The engine's epoch; in a plain loop the number of resets after a case, from 1."""
        return self._epoch if self._engine is None else int(self._engine.state.epoch)

    def reset(self) -> None:
        """Forget all cases."""
        self._epoch += bool(self._cases)
        self._arriving.clear()
        self._cases = []

    def add(self, build_ctx: BuildContext, values: Tensor) -> None:
        """Take the ``values [B]`` of a batch, and write what has arrived of earlier ones."""
        hub = None if self._engine is None else Hub.of(self._engine)
        columns = {self.column: values} | ({} if hub is None else found(hub, build_ctx))
        self._columns = self._columns or list(columns)
        missing = torch.full_like(values, math.nan)
        table = torch.stack([columns.get(name, missing).to(values) for name in self._columns], 1)
        files = build_ctx.filenames or [""] * len(values)
        labels = {} if self._engine is None else label_files(self._engine)
        self._arriving.send([(file, labels.get(file, "")) for file in files], table.detach())
        self._take()

    def _take(self, wait: bool = False) -> None:
        """Append to the file what has come to the host."""
        new = [
            Case(file, label_file, tuple(values))
            for files, table in self._arriving.arrived(wait)
            for (file, label_file), values in zip(files, table, strict=False)
        ]
        if new:
            self._mine().append(self.epoch, self._columns, numbered(new, len(self._cases)))
            self._cases += new

    def _mine(self) -> CaseFile:
        """The file that this process appends to: on a rank beside the first it lives until the epoch's end."""
        if not ranks.is_first() and "rank" not in self._file.path.name:
            self._file = CaseFile(self.folder / f"{self.name}_cases.rank{dist.get_rank()}.csv")
        return self._file

    def write(self, gather: ranks.Gather) -> None:
        """Write all files, on rank 0, with the cases of all ranks, each once: one gather."""
        self._take(wait=True)
        parts = gather((self._columns, self._cases))
        cases = numbered(once([cases for _, cases in parts]))
        columns = next((columns for columns, _ in parts if columns), [self.column])
        raw = "".join(f"{case.file}\t{case.values[0]}\n" for case in cases)
        self._write(raw, summary(self.name, [case.values[0] for case in cases]))
        if ranks.is_first():
            self._file.finish(self.epoch, columns, cases)
        else:
            self._mine().remove()

    def write_scores(
        self, cases: Sequence[str], scores: Sequence[Sequence[float]], labels: Sequence[Sequence[float]], value: float
    ) -> None:
        """The same for a value that no case has alone: scores and labels of each case, and the value."""
        lines = zip(cases, scores, labels, strict=True)
        raw = "".join(f"{case}\t{','.join(map(str, x))}\t{','.join(map(str, y))}\n" for case, x, y in lines)
        self._write(raw, f"{self.name} (of {len(cases)} cases):\n{value:.3f}\n")

    def _write(self, raw: str, text: str) -> None:
        if ranks.is_first():
            (self.folder / f"{self.name}_raw_results.txt").write_text(raw, encoding="utf-8")
            (self.folder / f"{self.name}_summary_results.txt").write_text(text, encoding="utf-8")


def numbered(cases: Sequence[Case], first: int = 0) -> list[Case]:
    """A case without a file is named by its number."""
    return [case if case.file else case._replace(file=str(i)) for i, case in enumerate(cases, first)]


def found(hub: Hub, build_ctx: BuildContext) -> dict[str, Tensor]:
    """What the aux-ops of an engine left per sample ``[B]``, by metric name; not a batch's one value."""
    size, values = build_ctx.batch_size, {}
    for entry in hub.entries:
        for tag in entry.op.accumulated or ():
            value = build_ctx.get(tag)
            if isinstance(value, Tensor) and value.numel() == size and (size == 1 or value.stride(0) != 0):
                values[entry.metric_name(tag)] = value.reshape(size)
    return values


def label_files(engine: Engine) -> Mapping[str, str]:
    """The label's file by the image's, where the batch knows both."""
    batch: Any = getattr(engine.state, "batch", None)
    pairs: dict[str, str] = {}
    for item in batch if isinstance(batch, list) else [batch]:  # decollated, or not
        if isinstance(item, dict):
            images, labels = (filenames(item.get(key)) or [] for key in ("image", "label"))
            pairs |= zip(images, labels, strict=False)
    return pairs


def summary(name: str, values: Sequence[float]) -> str:
    """The statistics of the valid values. ``90percent`` heads the **10th** percentile, as in Clara's own reports.

    >>> print(summary("mean_dice", [0.5, 0.7, float("nan"), 0.9]), end="")
    mean_dice (statistics of 3 valid cases):
    mean	median	max	min	90percent	std
    0.700	0.700	0.900	0.500	0.540	0.163
    """
    valid = np.asarray([value for value in values if value == value])
    numbers = np.full(len(HEADER), np.nan)
    if len(valid):
        tenth = np.percentile(valid, 10)
        numbers = np.array([valid.mean(), np.median(valid), valid.max(), valid.min(), tenth, valid.std()])
    row = "\t".join(f"{number:.3f}" for number in numbers)
    return f"{name} (statistics of {len(valid)} valid cases):\n" + "\t".join(HEADER) + f"\n{row}\n"
