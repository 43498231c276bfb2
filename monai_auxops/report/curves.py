"""The charts of curves, one block of data for the browser: small enough for a thousand curves of a thousand epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from monai_auxops.drawing.names import families, split_name
from monai_auxops.report.events import Curve, Series
from monai_auxops.report.judge import mapping_or_empty

if TYPE_CHECKING:
    from monai_auxops.report.run import Run

MAX_POINTS = 60_000  # most points of all curves on the page together
MAX_CURVE, MIN_CURVE = 300, 30  # most and fewest points of one curve
MAX_LINES = 10  # most colors in one chart; more classes are drawn as a heat map
MAX_COLUMNS = 80  # epochs of a heat map
Chart = dict[str, Any]


class ChartData:
    """The charts of a page, with the steps that curves share."""

    def __init__(self, runs: Sequence[Run]) -> None:
        curves = sum(len(run.series) for run in runs)
        self.most = max(MIN_CURVE, min(MAX_CURVE, MAX_POINTS // max(1, curves)))
        self.charts: list[Chart] = []
        self.color = 0  # of the run whose charts are being added, if several are compared
        self._steps: dict[tuple[int, ...], int] = {}

    def data(self) -> dict[str, Any]:
        """Return the data for the page's script."""
        return {"charts": self.charts, "steps": [list(steps) for steps in self._steps]}

    def add(self, chart: Chart) -> int:
        """Add a chart and return its number."""
        self.charts.append({**chart, "color": self.color} if self.color else chart)
        return len(self.charts) - 1

    def curve(self, curve: Curve, name: str, split: str) -> Chart:
        """Return a thinned curve; values that are not finite are gaps."""
        steps, values = thin_curve(curve, self.most)
        at = self._steps.setdefault(tuple(steps), len(self._steps))
        shown = [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
        return {"name": name, "split": split or "value", "x": at, "y": shown}


def thin_curve(curve: Curve, most: int) -> tuple[list[int], list[float]]:
    """Return at most ``most`` points: means of neighbors, at the step of the last one.

    Examples:
        >>> points = np.arange(1, 5)
        >>> thin_curve(Curve(points, points * 1.0, points * 0.0), 2)
        ([2, 4], [1.5, 3.5])
    """
    size = math.ceil(len(curve.steps) / most)
    if size < 2:
        return curve.steps.tolist(), curve.values.tolist()
    starts = np.arange(0, len(curve.steps), size)
    ends = np.append(starts[1:], len(curve.steps))
    valid = np.isfinite(curve.values)
    sums = np.add.reduceat(np.where(valid, curve.values, 0.0), starts)
    counts = np.add.reduceat(valid.astype(float), starts)
    means = np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0)
    return curve.steps[ends - 1].tolist(), means.tolist()


def family_charts(run: Run, blocks: ChartData) -> list[tuple[str, Chart]]:
    """Return a chart per metric: classes in colors, training dashed; for many classes the mean and a heat map."""
    curves = {name: curve for name, curve in run.by_epoch().items() if run.same.get(name) not in run.series}
    charts: list[tuple[str, Chart]] = []
    for family, members in sorted(group_curves(curves).items(), key=lambda item: -len(item[1])):  # stable
        whole = {"": members[""]} if "" in members else {}
        drawn = members if len(members) <= MAX_LINES + len(whole) else whole
        if drawn:
            lines = [
                blocks.curve(curves[name], member or label_of_whole(family, members), split)
                for member, names in sorted(drawn.items(), key=lambda item: item[0] != "")
                for split, name in names
            ]
            charts.append((family, line_chart(lines, run, mean="" in drawn and len(drawn) > 1)))
        if drawn is not members:
            charts += heat_charts(family, members, curves, run)
    return charts


def group_curves(curves: Series) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Group curves by metric and class: ``{"dice": {"liver": [("val", "val_dice/liver")]}}``."""
    by_rest: dict[str, list[tuple[str, str]]] = {}
    for name in curves:
        split, rest = split_name(name)
        by_rest.setdefault(rest, []).append((split, name))
    return {f: {m: by_rest[full] for m, full in members.items()} for f, members in families(by_rest).items()}


def label_of_whole(family: str, members: Iterable[str]) -> str:
    """Name the curve without a class: the mean, if there are classes."""
    return "mean" if any(members) else family


def line_chart(lines: list[Chart], run: Run, mean: bool = False) -> Chart:
    """Return curves over epochs, with a mark at the best one."""
    best = run.best
    mark = None if best is None else {"step": best.step, "word": run.judge.word}
    return {"kind": "lines", "over": run.unit, "best": mark, "mean": mean, "curves": lines}


def heat_charts(
    family: str, members: dict[str, list[tuple[str, str]]], curves: Series, run: Run
) -> list[tuple[str, Chart]]:
    """Return a heat map of class by epoch for validation, or for the split that exists."""
    splits = {split for names in members.values() for split, _ in names}
    shown = "val" if "val" in splits else min(splits)
    rows = {m: curves[name] for m, names in members.items() if m for split, name in names if split == shown}
    steps = sorted({int(step) for curve in rows.values() for step in curve.steps})
    kept = steps[:: max(1, math.ceil(len(steps) / MAX_COLUMNS))]
    cells = []
    for curve in rows.values():
        known = dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))
        cells.append([five_digits(known.get(step, math.nan)) for step in kept])
    chart = {"kind": "heat", "over": run.unit, "x": kept, "rows": list(rows), "z": cells, "title": family}
    name = f"{family} by class, {shown}" if shown else f"{family} by class"
    return [(name, chart)]


def iteration_charts(run: Run, blocks: ChartData) -> list[tuple[str, Chart]]:
    """Return a chart per curve over iterations."""
    charts: list[tuple[str, Chart]] = []
    for name, curve in run.by_iteration().items():
        line = blocks.curve(curve, name, "")
        charts.append((name, {"kind": "lines", "over": "iteration", "best": None, "mean": False, "curves": [line]}))
    return charts


def rate_chart(run: Run, blocks: ChartData) -> Chart | None:
    """Return the learning rate over epochs from the run's facts."""
    known = run.facts.get("learning_rate")
    pairs = sorted((int(e), float(v)) for e, v in mapping_or_empty(known).items()) if is_rates(known) else []
    if not pairs:
        return None
    steps, rates = zip(*pairs, strict=True)
    curve = Curve(np.array(steps), np.array(rates, float), np.zeros(len(steps)))
    return line_chart([blocks.curve(curve, "learning rate", "")], run)


def is_rates(known: Any) -> bool:
    """Tell whether a fact is a number per epoch."""
    return isinstance(known, dict) and all(str(e).isdecimal() and isinstance(v, int | float) for e, v in known.items())


def comparison_charts(runs: Sequence[Run], blocks: ChartData) -> list[tuple[str, Chart]]:
    """Return a chart per metric and class, with a color per run, training dashed."""
    found: dict[str, list[Chart]] = {}
    for run in runs:
        curves = run.by_epoch()
        for family, members in group_curves(curves).items():
            for member, names in members.items():
                title = f"{family}/{member}" if member else family
                lines = [blocks.curve(curves[name], run.name, split) for split, name in names]
                found.setdefault(title, []).extend(lines)
    units = {run.unit for run in runs if run.series}
    over = units.pop() if len(units) == 1 else "epoch or step"
    shared = {"kind": "lines", "over": over, "best": None, "mean": False, "runs": [run.name for run in runs]}
    return [(title, {**shared, "curves": lines}) for title, lines in found.items()]


def seconds_chart(run: Run, blocks: ChartData) -> Chart | None:
    """Return the duration of each epoch."""
    pairs = run.seconds
    if not pairs:
        return None
    epochs, seconds = zip(*pairs, strict=True)
    curve = Curve(np.array(epochs), np.array(seconds, float), np.zeros(len(epochs)))
    return {**line_chart([blocks.curve(curve, "seconds", "")], run), "best": None, "zero": True}


def five_digits(value: float) -> float | None:
    """Round a number to five digits; None if it is not finite."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
