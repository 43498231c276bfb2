"""Facts of a run: tiles at the top, a table at the end, and the differences between runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from monai_auxops.report.judge import mapping_or_empty
from monai_auxops.report.markup import duration_text, four_decimals, table, time_text

if TYPE_CHECKING:
    from monai_auxops.report.run import Run


def tiles(run: Run) -> str:
    """Return the most important numbers."""
    shown = []
    if run.best is not None:
        word, metric = run.judge.word, run.judge.metric or ""
        kind = "best" if run.judge.said else ""
        shown = [
            (four_decimals(run.best.value), f"{word} {metric}", kind),
            (str(run.best.step), f"in {run.unit}", kind),
        ]
    if run.evaluation:
        shown += evaluation_tiles(run.evaluation)
    if run.epochs:
        planned = mapping_or_empty(run.facts.get("training")).get("epochs")
        of_all = f"of {planned} epochs" if run.is_running and isinstance(planned, int) else "epochs"
        shown.append((str(run.epochs), of_all, ""))
    shown += [(total_duration(run), "in all", ""), (duration_per_epoch(run), "per epoch", "")]
    inner = "".join(
        f"<div class='card {kind}'><b>{escape(text)}</b><span class='soft'>{escape(name)}</span></div>"
        for text, name, kind in shown
        if text
    )
    return f"<div class='tiles'>{inner}</div>" if inner else ""


def evaluation_tiles(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the most important numbers of an evaluation: the mean Dice of the classes, cases, and what is wrong."""
    mean = mean_dice(summary)
    shown = [] if mean is None else [(four_decimals(mean[0]), mean[1], "best")]
    shown.append((str(summary.get("cases", "")), "cases measured", ""))
    for status in ("missed", "hallucinated"):
        count = sum(int(entry.get(status) or 0) for entry in classes_of(summary))
        shown += [(str(count), f"classes {status} in a case", "")]
    return shown


def mean_dice(summary: dict[str, Any]) -> tuple[float, str] | None:
    """Return the mean Dice of an evaluation, and what it averages; None if nothing was measured."""
    dice = [mapping_or_empty(entry.get("dice")).get("mean") for entry in classes_of(summary)]
    means = [value for value in dice if isinstance(value, int | float)]
    if not means:
        return None
    return sum(means) / len(means), averaged_text(len(means), bool(summary.get("regions")))


def classes_of(summary: dict[str, Any]) -> list[Mapping[str, Any]]:
    """Return the classes of an evaluation without its regions, because their voxels are those of the classes."""
    regions = set(summary.get("regions") or ())
    entries = mapping_or_empty(summary.get("classes"))
    return [mapping_or_empty(entry) for name, entry in entries.items() if name not in regions]


def averaged_text(classes: int, has_regions: bool) -> str:
    """Say what the mean Dice of an evaluation averages.

    Examples:
        >>> averaged_text(1, False), averaged_text(3, True)
        ('mean Dice of the class', "Dice, mean of 3 classes' means, without regions")
    """
    text = "mean Dice of the class" if classes == 1 else f"Dice, mean of {classes} classes' means"
    return f"{text}, without regions" if has_regions else text


def total_duration(run: Run) -> str:
    """Return the duration of all epochs as text."""
    return duration_text(sum(value for _, value in run.seconds))


def duration_per_epoch(run: Run) -> str:
    """Return the mean duration of an epoch as text."""
    return duration_text(sum(value for _, value in run.seconds) / max(1, len(run.seconds)))


def facts_table(run: Run) -> str:
    """Return the facts, with a collapsed configuration."""
    rows = list(flatten_facts(run.facts))
    config = run.facts.get("config")
    if not rows and not config:
        return ""
    lines = "".join(f"<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>" for key, value in rows)
    text = config if isinstance(config, str) else json.dumps(config, indent=2, default=str)
    title = f"Configuration: {run.facts.get('config_file', 'what ran')}"
    shown = f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>" if config else ""
    return f"<h2>Run</h2><div class='card facts'><table>{lines}</table>{shown}</div>"


def flatten_facts(known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the facts as rows of text."""
    for key in ("started", "finished"):
        if known.get(key):
            yield key, time_text(known[key])
    for key in ("device", "processes"):
        if known.get(key) is not None:
            yield key, str(known[key])
    for key, value in mapping_or_empty(known.get("training")).items():
        if value is not None:
            yield key, fact_text(value)
    versions = mapping_or_empty(known.get("versions"))
    if versions:
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    for place, ops in mapping_or_empty(known.get("aux_ops")).items():
        texts = [f"{name}: {' '.join(str(op).split())}" for name, op in mapping_or_empty(ops).items()]
        yield f"aux-ops, {place}", "; ".join(texts)


def fact_text(value: Any) -> str:
    """Format a fact for people.

    Examples:
        >>> fact_text(1234567), fact_text(0.00012345), fact_text(True)
        ('1,234,567', '0.0001234', 'True')
    """
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def facts_that_differ(runs: Sequence[Run]) -> str:
    """Return a table of the facts in which runs differ; nothing if there are none."""
    tables = [dict(flatten_facts(run.facts)) for run in runs]
    keys = dict.fromkeys(key for known in tables for key in known if key not in ("started", "finished"))
    rows = [[key, *(known.get(key, "") for known in tables)] for key in keys]
    different = [row for row in rows if len(set(row[1:])) > 1]
    return table(["", *(run.name for run in runs)], different) if different else ""
