"""What a run left in its folder, read leniently: a page is made of what is there, and says what is not."""

from __future__ import annotations

import csv
import itertools
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_auxops.drawing.names import split_name
from monai_auxops.report.events import Point, Series, read_events

CONFIGURATIONS = ("configs/train.json", "configs/train.yaml", "configs/train.yml", "train.json", "train.yaml")


@dataclass
class Table:
    """Rows of a CSV file that a run wrote, by column."""

    path: Path
    columns: list[str]
    rows: list[dict[str, str]]

    @property
    def epochs(self) -> list[int]:
        """Which epochs have rows."""
        return sorted({int(row["epoch"]) for row in self.rows})

    def of(self, epoch: int) -> list[dict[str, str]]:
        """The rows of one epoch."""
        return [row for row in self.rows if int(row["epoch"]) == epoch]


@dataclass
class Run:
    """One training or validation."""

    folder: Path
    name: str
    series: Series
    facts: dict[str, Any] = field(default_factory=dict)
    cases: Table | None = None
    matrix: Table | None = None
    worst: Table | None = None
    problems: list[str] = field(default_factory=list)
    metric: str | None = None

    @property
    def epochs(self) -> int:
        """How many epochs ended; where no facts say, the shortest curve decides."""
        seconds = self.facts.get("seconds") or {}
        curves = [points for name, points in self.series.items() if not name.startswith("running/")]
        lengths = [points[-1].step for points in curves if len(points) > 1 or points[-1].step == 1]
        return max(map(int, seconds)) if seconds else min(lengths, default=1)

    def by_epoch(self) -> Series:
        """The curves over epochs, without the running means within epochs."""
        shown = {n: p for n, p in self.series.items() if not n.startswith("running/")}
        return {name: points for name, points in shown.items() if points[-1].step <= self.epochs}

    def by_iteration(self) -> Series:
        """The curves over iterations, without the running means."""
        epochs = self.by_epoch()
        return {n: p for n, p in self.series.items() if n not in epochs and not n.startswith("running/")}

    @property
    def best(self) -> Point | None:
        """The highest point of the key metric."""
        points = self.series.get(self.metric or "", [])
        valid = [point for point in points if math.isfinite(point.value)]
        return max(valid, key=lambda point: (point.value, -point.step), default=None)

    @property
    def seconds(self) -> list[tuple[int, float]]:
        """Epoch and its duration: as the run measured it, else between the marks of a curve."""
        known = self.facts.get("seconds")
        if known:
            return sorted((int(epoch), float(value)) for epoch, value in known.items())
        curve = max(self.by_epoch().values(), key=len, default=[])
        return [(b.step, b.time - a.time) for a, b in itertools.pairwise(curve) if b.step == a.step + 1]


def read_run(folder: Path, metric: str | None = None) -> Run:
    """Read all that a run left in ``folder`` and below it.

    Args:
        folder: with event files, tables, pictures; a bundle's folder will do.
        metric: which one decides on the best epoch; default what the run says, else the first of validation.
    """
    series, problems = read_events(folder)
    run = Run(folder, run_name(folder), series, problems=problems)
    run.facts = read_facts(folder, problems)
    run.cases = first_table(folder, "*_cases.csv", problems)
    run.matrix = first_table(folder, "confusion_matrix.csv", problems)
    run.worst = first_table(folder, "worst_cases.csv", problems)
    if not series:
        problems.append("No curves: there is no TensorBoard event file with scalars in the folder.")
    run.metric = metric if metric in series else key_metric(run)
    return run


def run_name(folder: Path) -> str:
    """The folder's name; with the one above, where it says nothing on its own.

    >>> run_name(Path("my_bundle/eval")), run_name(Path("logs/unet_32"))
    ('my_bundle/eval', 'unet_32')
    """
    *_, above, name = ("", *folder.resolve().parts)
    return f"{above}/{name}" if name in ("eval", "logs", "output", "outputs", "runs") else name


def key_metric(run: Run) -> str | None:
    """What the run says, if there is such a curve; else the first of validation, else the first."""
    said = (run.facts.get("best") or {}).get("metric")
    names = list(run.by_epoch())
    judged = [name for name in names if split_name(name)[0] == "val"]
    return said if said in run.series else next(iter([*judged, *names]), None)


def read_facts(folder: Path, problems: list[str]) -> dict[str, Any]:
    """The run's ``run.json``; its configuration from beside the run where it holds none."""
    facts: dict[str, Any] = {}
    for path in sorted(folder.rglob("run.json"))[:1]:
        try:
            facts = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            problems.append(f"{path.name}: cannot be read ({error}).")
    if not facts:
        problems.append("No versions and settings: the run had no AuxReportHandler (or AuxRunFactsHandler).")
    beside = [base / name for base in (folder, folder.parent) for name in CONFIGURATIONS]
    for path in [path for path in beside if path.is_file()][:1]:
        facts["config"] = facts.get("config") or path.read_text(encoding="utf-8", errors="replace")
    return facts


def first_table(folder: Path, pattern: str, problems: list[str]) -> Table | None:
    """The table of that name; a row that is torn off is left out, and said."""
    for path in sorted(path for path in folder.rglob(pattern) if not path.name.endswith((".old.csv", ".new.csv"))):
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        whole = [row for row in rows if len(row) == len(header) and row[0].isdigit()]
        if "epoch" not in header:
            continue
        if len(whole) < len(rows):
            problems.append(f"{path.name}: {len(rows) - len(whole)} of {len(rows)} rows cannot be read.")
        columns = [name for name in header if name != "run"]
        return Table(path, columns, [dict(zip(header, row, strict=True)) for row in whole])
    return None


def number(text: str) -> float:
    """A number of a table, NaN where there is none.

    >>> number("0.5"), number("")
    (0.5, nan)
    """
    try:
        return float(text)
    except ValueError:
        return math.nan
