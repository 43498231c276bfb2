"""A run, read leniently from its folder. A page shows what exists and names what is missing."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from monai_auxops.drawing.names import metric_of, split_name
from monai_auxops.report import foreign
from monai_auxops.report.discover import run_name
from monai_auxops.report.events import Curve, Point, Series, read_events
from monai_auxops.report.judge import Judge, judge_of, mapping_or_empty
from monai_auxops.report.tables import Table, Wanted, case_of, numeric_columns, read_table

CONFIGURATIONS = ("configs/train.json", "configs/train.yaml", "configs/train.yml", "train.json", "train.yaml")
EVALUATION = "monai-auxops evaluate"
MAX_TABLES = 50
T = TypeVar("T")


@dataclass
class Run:
    """One training, validation or evaluation."""

    folder: Path
    name: str
    series: Series = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    cases: Table | None = None
    matrix: Table | None = None
    worst: Table | None = None
    best_set: dict[str, Any] = field(default_factory=dict)
    measured: list[dict[str, Any]] = field(default_factory=list)  # a row per case and class, with voxel counts
    evaluation: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)  # damaged files
    gaps: list[str] = field(default_factory=list)  # parts that the run did not write
    remarks: list[str] = field(default_factory=list)
    judge: Judge = field(default_factory=lambda: Judge(None, None))
    tool: str | None = None  # the tool that wrote the log, if it is not this project

    @property
    def seconds(self) -> list[tuple[int, float]]:
        """Each epoch and its duration: as the run measured it, otherwise from the times of a curve over epochs."""
        known = mapping_or_empty(self.facts.get("seconds"))
        pairs = ((number_or_none(epoch), number_or_none(value)) for epoch, value in known.items())
        whole = sorted((int(e), v) for e, v in pairs if e is not None and v is not None)
        if whole or self.unit != "epoch":
            return whole
        curve = max(self.by_epoch().values(), key=lambda curve: len(curve.steps), default=None)
        if curve is None:
            return []
        marks = zip(curve.steps.tolist(), curve.times.tolist(), strict=True)
        return [(b[0], b[1] - a[1]) for a, b in itertools.pairwise(marks) if b[0] == a[0] + 1 and b[1] >= a[1]]

    @property
    def epochs(self) -> int | None:
        """The number of completed epochs; None if the unit of steps is unknown."""
        known = [
            int(epoch)
            for epoch in map(number_or_none, mapping_or_empty(self.facts.get("seconds")))
            if epoch is not None
        ]
        if known:
            return max(known)
        if self.tool is not None and self.tool != "TensorBoard":
            return max((curve.last for curve in self.series.values()), default=None)
        return 0 if "started" in self.facts else None

    @property
    def unit(self) -> str:
        """The unit of the curves' steps."""
        return "step" if self.epochs is None else "epoch"

    def by_epoch(self) -> Series:
        """Return the curves over epochs, without running means; all curves if the unit of steps is unknown.

        The current epoch may be complete for only some of them.
        """
        curves = {name: curve for name, curve in self.series.items() if not name.startswith("running/")}
        if self.epochs is None or self.tool is not None:
            return curves
        return {name: curve for name, curve in curves.items() if curve.last <= self.epochs + 1}

    def by_iteration(self) -> Series:
        """Return the other curves, without the running means."""
        epochs = self.by_epoch()
        return {n: c for n, c in self.series.items() if n not in epochs and not n.startswith("running/")}

    @property
    def best(self) -> Point | None:
        """The best point of the deciding metric; None if no direction is known."""
        curve = self.series.get(self.judge.metric or "")
        if curve is None or self.judge.higher is None or not np.isfinite(curve.values).any():
            return None
        values = np.where(np.isfinite(curve.values), curve.values, -math.inf if self.judge.higher else math.inf)
        return curve.point(int(values.argmax() if self.judge.higher else values.argmin()))

    @property
    def same(self) -> dict[str, str]:
        """The metrics that equal another one by definition, as the run says."""
        return {str(name): str(other) for name, other in mapping_or_empty(self.facts.get("same")).items()}

    @property
    def is_running(self) -> bool:
        """Whether the run's facts say that it has not ended."""
        return bool(self.facts.get("started")) and "finished" in self.facts and not self.facts["finished"]


def read_run(folder: Path, metric: str | None = None, lower: bool = False) -> Run:
    """Read everything that a run wrote in ``folder`` and below it.

    Args:
        folder: a folder with event files, tables and pictures, of a bundle, or of another tool.
        metric: the metric that decides on the best epoch; default as the run says.
        lower: whether less of it is better.
    """
    run = Run(folder, run_name(folder))
    run.facts = read_facts(folder, run.problems)
    read_evaluation(run)
    started = timestamp(run.facts.get("started"))
    run.series, problems, remarks = read_events(folder, started)
    run.remarks += remarks
    (run.remarks if run.is_running else run.problems).extend(problems)  # a growing file may end with half a record
    known = read_foreign(run)
    if metric is not None and metric not in run.series:
        metric = next((name for name in (metric_of(metric), metric) if name in run.series), metric)
    run.judge = judge_of(run.facts, list(run.by_epoch()), metric, lower, known)
    read_tables(run)
    run.best_set = read_best(folder, run)
    report_missing(run)
    return run


def read_facts(folder: Path, problems: list[str]) -> dict[str, Any]:
    """Return the run's ``run.json``; if it has no configuration, take that next to the run."""
    facts: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("run.json") if path.is_file())[:1]:
        content = try_read(lambda: json.loads(path.read_text(encoding="utf-8")), path, problems)  # noqa: B023
        if isinstance(content, dict):
            facts = {key: value for key, value in content.items() if is_shape_of(key, value)}
        elif content is not None:
            problems.append(f"{path.name}: expected an object, got {type(content).__name__}.")
    beside = [base / name for base in (folder, folder.parent) for name in CONFIGURATIONS]
    for path in [path for path in beside if path.is_file()][:1]:
        if not facts.get("config"):
            facts["config"] = path.read_text(encoding="utf-8", errors="replace")
            facts["config_file"] = f"{path.name} in its current state, without overrides from the command line"
    return facts


def is_shape_of(key: str, value: Any) -> bool:
    """Tell whether a fact has this project's format, because another tool's ``run.json`` may use the same names."""
    objects = ("best", "seconds", "training", "versions", "aux_ops", "higher_is_better", "learning_rate", "same")
    return isinstance(value, dict) if key in objects else True


def read_evaluation(run: Run) -> None:
    """Read the results of ``monai-auxops evaluate`` in the folder itself."""
    path = run.folder / "summary.json"
    content = (
        try_read(lambda: json.loads(path.read_text(encoding="utf-8")), path, run.problems) if path.is_file() else None
    )
    if not isinstance(content, dict) or content.get("made_by") != EVALUATION:
        return
    run.evaluation = content
    shown = ("predictions", "labels", "tolerance_mm")
    run.facts["training"] = {key: content[key] for key in shown if content.get(key) is not None}
    run.problems += [str(text) for text in content.get("problems") or []]
    run.remarks += [str(text) for text in content.get("remarks") or []]
    table = run.folder / "cases.csv"
    with table.open(newline="", encoding="utf-8", errors="replace") as file:
        run.measured = [row for row in csv.DictReader(file) if row.get("status") and row.get("case")]


def read_foreign(run: Run) -> str | None:
    """Read the logs of other tools; return the metric by which the tool decides, if one is known."""
    logs = sorted(run.folder.rglob("training_log*.txt"))
    tables = sorted(run.folder.rglob("metrics.csv"))
    if run.facts.get("started"):
        return None
    if logs:
        run.tool = "nnU-Net"
        read_nnunet(run, logs)
        return "val_dice"
    if tables and not run.series:
        run.tool = "Lightning"
        for path in tables:
            run.series |= try_read(lambda: foreign.read_lightning(path), path, run.problems) or {}  # noqa: B023
    elif "epoch" in run.series:
        run.tool = "Lightning"
        run.series = foreign.by_lightning_epoch(run.series)
    elif run.series:
        run.tool = "TensorBoard"
    return None


def read_nnunet(run: Run, logs: list[Path]) -> None:
    """Read nnU-Net's logs, one per start, of which later ones continue, and its validation's summary."""
    for path in logs:
        found = try_read(lambda: foreign.read_nnunet(path), path, run.problems)  # noqa: B023
        curves, seconds = found or ({}, {})
        for name, curve in curves.items():
            run.series[name] = join_curves(run.series[name], curve) if name in run.series else curve
        run.facts["seconds"] = {**mapping_or_empty(run.facts.get("seconds")), **seconds}
    for path in sorted(run.folder.rglob("validation*/summary.json"))[:1]:
        rows = try_read(lambda: foreign.read_nnunet_summary(path), path, run.problems)  # noqa: B023
        run.measured = [{key: str(value) for key, value in row.items()} for row in rows or []]


def join_curves(first: Curve, second: Curve) -> Curve:
    """Join two curves; for a step in both, the second counts."""
    kept = first.steps < second.steps.min(initial=first.last + 1)
    return Curve(*(np.concatenate([a[kept], b]) for a, b in zip(first, second, strict=True)))


def read_tables(run: Run) -> None:
    """Read the tables of the best epoch: cases, confusion matrix and pictures."""
    best = run.best
    identity = run.facts.get("run")
    wanted = Wanted(None if best is None else best.step, identity if isinstance(identity, str) else None)
    paths = [p for p in sorted(run.folder.rglob("*_cases.csv")) if p.is_file() and p.name != "worst_cases.csv"]
    tables = [read_table(path, wanted, run.problems, run.remarks) for path in paths[:MAX_TABLES]]
    run.cases = join_tables([table for table in tables if table is not None and table.rows], run)
    if run.cases is not None:
        name_as_measured(run.cases, run)
    for name in ("confusion_matrix", "worst_cases"):
        for path in sorted(path for path in run.folder.rglob(f"{name}.csv") if path.is_file())[:1]:
            table = read_table(path, wanted, run.problems, run.remarks)
            if table is not None and table.rows:
                setattr(run, {"confusion_matrix": "matrix", "worst_cases": "worst"}[name], table)
    for path, table in zip(paths, tables, strict=False):
        if table is None:
            run.remarks.append(f"{path.name}: not a table of cases, because it has no column named epoch.")


def join_tables(tables: list[Table], run: Run) -> Table | None:
    """Join tables of the same cases, with equal columns once; report tables of other cases."""
    if not tables:
        return None
    metric = run.judge.metric
    tables = sorted(
        tables, key=lambda table: metric not in table.columns
    )  # stable sort: the deciding metric's table first
    first = tables[0]
    files = [case_of(row) for row in first.rows]
    unique = len(set(files)) == len(files)
    for table in tables[1:]:
        other = {case_of(row): row for row in table.rows}
        if not unique or table.epoch != first.epoch or set(other) != set(files) or len(other) != len(table.rows):
            cases = f"{len(table.rows):,} rows of epoch {table.epoch}"
            run.remarks.append(
                f"{table.path.name}: not shown, because its cases differ from those in {first.path.name} ({cases})."
            )
            continue
        for name in numeric_columns(table):
            if name not in first.columns:
                first.columns.append(name)
                for file, row in zip(files, first.rows, strict=True):
                    row[name] = other[file][name]
    leave_out_equal(first, run)
    return first


def leave_out_equal(table: Table, run: Run) -> None:
    """Leave out columns that equal an earlier one in every case."""
    seen: dict[tuple[str, ...], str] = {}
    for name in numeric_columns(table):
        values = tuple(row[name] for row in table.rows)
        if values in seen and len(values) > 1:
            table.columns.remove(name)
            run.remarks.append(f"{name} is not shown, because it equals {seen[values]} in every case.")
        seen.setdefault(values, name)


def name_as_measured(table: Table, run: Run) -> None:
    """Rename a column to the value that it repeats, such as an average to its aux-op's tag, if the run says so."""
    for name, same in run.same.items():
        if name in table.columns and same not in table.columns:
            table.columns[table.columns.index(name)] = same
            for row in table.rows:
                row[same] = row.pop(name)
            run.remarks.append(f"{name} equals {same} by definition and is shown as {same}.")


def read_best(folder: Path, run: Run) -> dict[str, Any]:
    """Read the set of pictures of the best epoch; empty if it belongs to another run."""
    for path in sorted(path for path in folder.rglob("best.json") if path.is_file())[:1]:
        content = try_read(lambda: json.loads(path.read_text(encoding="utf-8")), path, run.problems)  # noqa: B023
        same = isinstance(content, dict) and content.get("run") == run.facts.get("run", content.get("run"))
        if isinstance(content, dict) and same and isinstance(content.get("cases"), list):
            return {**content, "folder": path.parent}
    return {}


def report_missing(run: Run) -> None:
    """Report the parts of a page that are missing."""
    if run.evaluation:
        return
    if not run.series:
        run.gaps.append("No curves: there is no TensorBoard event file with scalars in the folder.")
    if run.tool is not None:
        run.remarks.append(f"Read from files that {run.tool} wrote.")
    elif "started" not in run.facts:
        run.gaps.append("No versions and settings: the run had no AuxReportHandler (or AuxRunFactsHandler).")
    if run.judge.metric is None and run.series:
        run.remarks.append(
            "The run does not say which metric decides; use --metric NAME, and --lower if less is better."
        )
    elif run.judge.higher is None:
        run.remarks.append(
            f"The run does not say whether more or less of {run.judge.metric} is better, so there is no best epoch."
        )
    if run.unit == "step" and run.series:
        run.remarks.append("The unit of steps is unknown, so curves are drawn over steps.")
    older = run.facts.get("older")
    for other in older if isinstance(older, list) else []:
        if isinstance(other, dict):
            run.remarks.append(f"An older run in this folder started {other.get('started')}; only the latest is shown.")


def try_read(read: Callable[[], T], path: Path, problems: list[str]) -> T | None:
    """Read a file that another tool may have written; an error becomes a sentence in ``problems``."""
    try:
        return read()
    except Exception as error:  # errors of foreign content have no common type
        problems.append(f"{path.name}: cannot be read ({type(error).__name__}: {error}).")
        return None


def timestamp(text: Any) -> float | None:
    """Convert an ISO 8601 time to seconds."""
    import datetime

    try:
        return datetime.datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def number_or_none(value: Any) -> float | None:
    """Return a finite number, None for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def split_of(name: str) -> str:
    """Return ``train``, ``val`` or ``test``; nothing if the name does not tell."""
    return split_name(name)[0]
