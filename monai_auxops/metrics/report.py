"""Clara's two report files: one line per case, and a summary."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from monai_auxops import ranks

HEADER = ("mean", "median", "max", "min", "90percent", "std")


class CaseReport:
    """Collects a value per case and writes ``<name>_raw_results.txt`` and ``<name>_summary_results.txt``.

    Args:
        name: of the metric.
        folder: made if need be; ``ValueError`` if it cannot be written to, now rather than after the epoch.
    """

    def __init__(self, name: str, folder: str | Path) -> None:
        self.name, self.folder = name, Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.folder, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            raise ValueError(f"expected report_path to be a folder that can be written to, got {folder}")
        self.reset()

    def reset(self) -> None:
        """Forget all cases."""
        self._cases: list[tuple[Sequence[str] | None, Tensor]] = []

    def add(self, filenames: Sequence[str] | None, values: Tensor) -> None:
        """Keep one value per case, where it is: nothing is copied to the host yet."""
        self._cases.append((filenames, values.detach()))

    def rows(self) -> list[tuple[str, float]]:
        """``(case, value)`` of this process; a case without a file is named by its number."""
        rows: list[tuple[str, float]] = []
        for filenames, values in self._cases:
            numbered = [str(len(rows) + i) for i in range(len(values))]
            rows += zip(filenames or numbered, values.tolist(), strict=False)
        return rows

    def write(self, gather: ranks.Gather) -> None:
        """Write both files, on rank 0, with the cases of all ranks: one gather."""
        rows = [row for part in gather(self.rows()) for row in part]
        raw = "".join(f"{case}\t{value}\n" for case, value in rows)
        self._write(raw, summary(self.name, [value for _, value in rows]))

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
