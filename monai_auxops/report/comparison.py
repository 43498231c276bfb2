"""A comparison of runs: each has one color in all charts, and differences are shown case by case."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from monai_auxops.report.classes import ClassTable, class_table
from monai_auxops.report.curves import Chart, five_digits
from monai_auxops.report.facts import mean_dice, total_duration
from monai_auxops.report.markup import four_decimals, interval_text, table
from monai_auxops.report.statistics import Paired, compare, quantiles

if TYPE_CHECKING:
    from monai_auxops.report.run import Run

MAX_PAIRS = 6  # pairs of runs compared case by case; with more, each is compared with the first
MAX_DOTS = 6000
LARGEST = 5  # cases to name where two runs differ most


class RunPair(NamedTuple):
    """Two runs, and their differences by class on the cases of both."""

    first: Run
    second: Run
    numbers: tuple[int, int]
    metric: str
    higher: bool
    classes: dict[str, Paired]


def run_table(runs: Sequence[Run]) -> str:
    """Return a row per run; "best" appears only if the run's own metric says so."""
    if all(run.evaluation for run in runs):
        return table(["run", "average", "value", "cases"], map(evaluation_row, runs), numeric=range(2, 4))
    head = ["run", "decided by", "best", "in", "epochs", "time"]
    rows = []
    for run in runs:
        best = run.best
        value = "–" if best is None else four_decimals(best.value)
        where = "–" if best is None else f"{run.unit} {best.step}"
        metric = run.judge.metric or "–"
        decided = metric if run.judge.said or best is None else f"{metric} ({run.judge.word})"
        rows.append([run.name, decided, value, where, str(run.epochs or "–"), total_duration(run) or "–"])
    return table(head, rows, numeric=range(2, 6))


def evaluation_row(run: Run) -> list[str]:
    """Return the row of an evaluation."""
    value, averaged = mean_dice(run.evaluation) or (None, "–")
    return [run.name, averaged, four_decimals(value), str(run.evaluation.get("cases", "–"))]


def run_pairs(runs: Sequence[Run]) -> list[RunPair]:
    """Compare pairs of runs that have a table of cases; pairs without a common class and case have no classes."""
    tables = [class_table(run) for run in runs]
    pairs = list(itertools.combinations(range(len(runs)), 2))
    if len(pairs) > MAX_PAIRS:
        pairs = [(0, at) for at in range(1, len(runs))]
    found = []
    for i, j in pairs:
        first, second = tables[i], tables[j]
        if first is not None and second is not None:
            classes = compare_classes(first, second)
            found.append(RunPair(runs[i], runs[j], (i, j), first.metric, first.higher, classes))
    return found


def compare_classes(first: ClassTable, second: ClassTable) -> dict[str, Paired]:
    """Compare classes of the same name."""
    others = {entry.name: values_by_case(entry.values) for entry in second.classes}
    compared = {}
    for entry in first.classes:
        if entry.name in others:
            paired = compare(values_by_case(entry.values), others[entry.name], first.higher)
            if paired is not None:
                compared[entry.name] = paired
    return compared


def values_by_case(values: dict[str, float]) -> dict[str, float]:
    """Name cases by file name only, so that folders may differ; equal names keep the whole path."""
    names = [Path(case.split(",")[0]).name for case in values]
    bare = [re.sub(r"\.(nii|nrrd|mha|mhd|png|tiff?)(\.gz)?$", "", name) for name in names]
    return dict(zip(bare, values.values(), strict=True)) if len(set(bare)) == len(bare) else values


def paired_table(pairing: RunPair) -> str:
    """Return a row per class: how often each run is better, and by how much."""
    first, second = pairing.first.name, pairing.second.name
    head = ["class", "cases", f"{first} better", f"{second} better", "sign test, p", "mean difference", "95 % interval"]
    rows = []
    for name, paired in pairing.classes.items():
        wins = [str(len(paired.cases)), str(paired.first_wins), str(paired.second_wins)]
        p_value = f"{paired.p_value:.2g}"
        rows.append([name, *wins, p_value, f"{paired.mean:+.4f}", interval_text(paired.interval)])
    return table(head, rows, numeric=range(1, 7))


def largest_differences(pairing: RunPair) -> str:
    """Return the cases in which two runs differ most, for the first class (the mean, if there is one)."""
    name, paired = next(iter(pairing.classes.items()))
    order = sorted(range(len(paired.cases)), key=lambda at: -abs(paired.differences[at]))[:LARGEST]
    rows = [[paired.cases[at], f"{paired.differences[at]:+.4f}"] for at in order]
    return table([f"largest differences, {name}", f"{pairing.second.name} − {pairing.first.name}"], rows, numeric=[1])


def difference_chart(pairing: RunPair) -> Chart:
    """Return a dot per case: the difference, in the color of the run that is better."""
    boxes, dots = [], []
    for at, paired in enumerate(pairing.classes.values()):
        values = paired.differences.tolist()
        boxes.append([five_digits(value) for value in quantiles(values)])
        dots += [[at, five_digits(value), case] for case, value in zip(paired.cases, values, strict=True)]
    title = f"{pairing.metric}: {pairing.second.name} − {pairing.first.name}"
    names, colors = [pairing.first.name, pairing.second.name], list(pairing.numbers)
    if not pairing.higher:  # then the first run is better where the value is larger
        names, colors = names[::-1], colors[::-1]
    sides = {"sides": names, "colors": colors}
    return {
        "kind": "strip",
        "rows": list(pairing.classes),
        "boxes": boxes,
        "dots": dots[:MAX_DOTS],
        "title": title,
        **sides,
    }


def unpaired_reasons(runs: Sequence[Run], pairs: Sequence[RunPair]) -> Iterator[str]:
    """Yield which runs cannot be compared case by case, and why."""
    for run in runs:
        if class_table(run) is None:
            yield f"{run.name}: not compared case by case, because it has no table of cases."
    for pairing in pairs:
        if not pairing.classes:
            names = f"{pairing.first.name} and {pairing.second.name}"
            yield f"{names}: not compared case by case, because no case has a value of the same class in both."


def run_legend(runs: Sequence[Run], palette: Sequence[str]) -> str:
    """Return the legend with the color of each run."""
    return "<div class='runs'>" + "".join(run_chip(run, at, palette) for at, run in enumerate(runs)) + "</div>"


def run_chip(run: Run, at: int, palette: Sequence[str]) -> str:
    """Return a run's name with its color."""
    return f"<span class='run' style='--run:{palette[at % len(palette)]}'>{escape(run.name)}</span>"


def difference_sections(pairs: Sequence[RunPair], card: Any) -> Iterator[str]:
    """Yield the sections of paired differences; ``card`` adds a chart to the page."""
    found = [pairing for pairing in pairs if pairing.classes]
    if found:
        yield "<h2>Case by case</h2>"
        yield "<p class='soft'>Cases that both runs measured, each at its own best epoch. The sign test is exact and "
        yield "two-sided; the interval bootstraps the mean difference. There is no correction for many classes.</p>"
    for pairing in found:
        a, b = pairing.first.name, pairing.second.name
        name = f"{pairing.metric}: {b} − {a}"
        yield "<div class='stack pair'>"
        yield f"<section class='card wide'><h3>{escape(a)} and {escape(b)}</h3>{paired_table(pairing)}</section>"
        yield f"<div class='grid'>{card(name, difference_chart(pairing))}"
        yield f"<section class='card wide'>{largest_differences(pairing)}</section></div></div>"
