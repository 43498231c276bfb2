"""Read a run leniently from its folder, with the logs of other tools; what is missing is named."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from monai_auxops.drawing.names import metric_of
from monai_auxops.report import foreign
from monai_auxops.report.discover import nearest_file, run_name
from monai_auxops.report.events import Curve, read_events
from monai_auxops.report.judge import judge_of, mapping_or_empty, words_of
from monai_auxops.report.run import Run, is_running_mean
from monai_auxops.report.run_tables import read_tables
from monai_auxops.report.tables import ENCODING

CONFIGURATIONS = ("configs/train.json", "configs/train.yaml", "configs/train.yml", "train.json", "train.yaml")
EVALUATION = "monai-auxops evaluate"
T = TypeVar("T")


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
    path = nearest_file(folder, "run.json")
    content = None if path is None else read_json(path, problems)
    if isinstance(content, dict):
        facts = {key: value for key, value in content.items() if is_shape_of(key, value)}
    elif content is not None:
        problems.append(f"run.json: expected an object, got {type(content).__name__}.")
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
    content = read_json(path, run.problems) if path.is_file() else None
    if not isinstance(content, dict) or content.get("made_by") != EVALUATION:
        return
    run.evaluation = content
    shown = ("predictions", "labels", "tolerance_mm")
    run.facts["training"] = {key: content[key] for key in shown if content.get(key) is not None}
    run.problems += [str(text) for text in content.get("problems") or []]
    run.remarks += [str(text) for text in content.get("remarks") or []]
    table = run.folder / "cases.csv"
    with table.open(newline="", encoding=ENCODING, errors="replace") as file:
        run.measured = [row for row in csv.DictReader(file) if row.get("status") and row.get("case")]
    if content.get("cases") and not run.measured:
        run.problems.append(f"{table.name}: none of its rows names a case and its status.")


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


def read_best(folder: Path, run: Run) -> dict[str, Any]:
    """Read the set of pictures of the best epoch; empty if it belongs to another run."""
    path = nearest_file(folder, "best.json")
    if path is None:
        return {}
    content = read_json(path, run.problems)
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
        hint = "; AuxReportHandler would add epochs, cases and pictures" if run.tool == "TensorBoard" else ""
        run.remarks.append(f"Read from files that {run.tool} wrote{hint}.")
    elif "started" not in run.facts:
        run.gaps.append("No versions and settings: the run had no AuxReportHandler (or AuxRunFactsHandler).")
    if run.facts.get("aux_ops") and run.cases is None:
        run.remarks.append("No table of cases: pass report_path= to an aux-op of the validation.")
    report_judge(run)
    report_divergence(run)
    if run.unit == "step" and run.series:
        run.remarks.append("The unit of steps is unknown, so curves are drawn over steps.")
    older = run.facts.get("older")
    for other in older if isinstance(older, list) else []:
        if isinstance(other, dict):
            run.remarks.append(f"An older run in this folder started {other.get('started')}; only the latest is shown.")


def report_judge(run: Run) -> None:
    """Report why there is no best epoch, or no curve of the metric that decides on it."""
    metric, key = run.judge.metric, mapping_or_empty(run.facts.get("best")).get("metric")
    if isinstance(key, str) and run.series and key not in run.series:
        run.gaps.append(
            f"No curve of the key metric {key}; AuxTensorBoardStatsHandler, attached to its engine, writes it."
        )
    if metric is None and run.series:
        run.remarks.append(
            "The run does not say which metric decides; use --metric NAME, and --lower if less is better."
        )
    elif run.judge.higher is None:
        run.remarks.append(
            f"The run does not say whether more or less of {metric} is better, so there is no best epoch."
        )
    elif run.best is None and metric in run.series:
        run.remarks.append(f"{metric} has no value in any epoch, so there is no best epoch.")


def report_divergence(run: Run) -> None:
    """Report a loss that is NaN or infinite, which a curve shows only as a gap."""
    for name, curve in run.series.items():
        odd = ~np.isfinite(curve.values)
        if odd.any() and "loss" in words_of(name) and not is_running_mean(name):
            unit = run.unit if name in run.by_epoch() else "iteration"
            first = f"first in {unit} {curve.steps[odd.argmax()]}"
            run.gaps.append(f"{name}: {odd.sum():,} of {odd.size:,} values are NaN or infinite, {first}.")


def read_json(path: Path, problems: list[str]) -> Any:
    """Return the content of a JSON file; an error becomes a sentence in ``problems``."""
    return try_read(lambda: json.loads(path.read_text(encoding="utf-8")), path, problems)


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
