"""A run: what its folder says about it, and what a page shows of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monai_auxops.report.events import Point
from monai_auxops.report.judge import Judge, mapping_or_empty

if TYPE_CHECKING:
    from monai_auxops.report.events import Series
    from monai_auxops.report.tables import Table


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
        curves = {name: curve for name, curve in self.series.items() if not is_running_mean(name)}
        if self.epochs is None or self.tool is not None:
            return curves
        return {name: curve for name, curve in curves.items() if curve.last <= self.epochs + 1}

    def by_iteration(self) -> Series:
        """Return the other curves, without the running means."""
        epochs = self.by_epoch()
        return {n: c for n, c in self.series.items() if n not in epochs and not is_running_mean(n)}

    @property
    def best(self) -> Point | None:
        """The best point of the deciding metric, of its curve or as the run noted it; None if no direction is known."""
        curve = self.series.get(self.judge.metric or "")
        if curve is None:
            return noted_best(self.facts, self.judge.metric)
        if self.judge.higher is None or not np.isfinite(curve.values).any():
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


def noted_best(facts: Mapping[str, Any], metric: str | None) -> Point | None:
    """Return the best epoch and value that ``run.json`` notes; None if they are not those of ``metric``."""
    best = mapping_or_empty(facts.get("best"))
    epoch, value = number_or_none(best.get("epoch")), number_or_none(best.get("value"))
    if epoch is None or value is None or best.get("metric") != metric:
        return None
    return Point(int(epoch), value, math.nan)


def is_running_mean(name: str) -> bool:
    """Tell whether a curve is a running mean within each epoch."""
    return "running" in name.split("/")[:-1]


def number_or_none(value: Any) -> float | None:
    """Return a finite number, None for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
