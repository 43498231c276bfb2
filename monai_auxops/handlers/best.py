"""Pictures and confusion matrix of the best epoch so far; each new best epoch replaces them."""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_auxops.engine.epochs import training_epoch
from monai_auxops.engine.hub import Hub
from monai_auxops.engine.runs import run_id

if TYPE_CHECKING:
    from ignite.engine import Engine

Better = Callable[[float, float], bool]


class BestValue:
    """The best value of a metric so far, as the engine chose it; without its choice, by comparison."""

    def __init__(self) -> None:
        self.value, self.epoch = math.nan, 0

    def take(self, engine: Engine) -> bool:
        """Read the epoch that ``engine`` has just ended; tell whether it is the best so far."""
        epoch = training_epoch(engine)
        name, better = deciding_metric(engine)
        value = engine.state.metrics.get(name)
        if getattr(engine.state, "best_metric_epoch", -1) > 0:  # a MONAI engine has chosen
            self.value, self.epoch = engine.state.best_metric, engine.state.best_metric_epoch
        elif better is not None and is_finite(value) and (math.isnan(self.value) or better(value, self.value)):
            self.value, self.epoch = float(value), epoch
        return self.epoch == epoch


def is_finite(value: Any) -> bool:
    """Tell whether a metric is a finite number.

    Examples:
        >>> is_finite(0.5), is_finite(math.nan), is_finite("0.5")
        (True, False, False)
    """
    return isinstance(value, int | float) and math.isfinite(value)


class BestSet:
    """The folder ``<log_dir>/best``, and the value that a new epoch must beat.

    Args:
        log_dir: the folder of the run.
        metric: the metric that decides; default the engine's key metric, or that of its first aux-op.
    """

    def __init__(self, log_dir: str | Path, metric: str | None = None) -> None:
        self.folder, self.metric = Path(log_dir) / "best", metric
        self._judged: tuple[str, int] | None = None
        self._name: str | None = None
        self._is_best = False
        self._value = math.nan
        self._known: dict[str, Any] = {}

    def is_best(self, engine: Engine) -> bool:
        """Tell whether the epoch that ends is the best so far; it is decided once per epoch for all handlers."""
        name, better = deciding_metric(engine, self.metric)
        return self.judge(run_id(engine), training_epoch(engine), name, engine.state.metrics.get(name), better)

    def judge(self, run: str, epoch: int, name: str | None, value: Any, better: Better | None) -> bool:
        """Tell whether ``value`` makes ``epoch`` the best of ``run`` so far."""
        if self._judged != (run, epoch):
            if self._judged is None or self._judged[0] != run:
                self._resume(run)
            self._judged, self._name = (run, epoch), name
            self._is_best = self._beats(value, better)
        return self._is_best

    def _resume(self, run: str) -> None:
        """Continue from an existing set if it belongs to this run."""
        self._value, self._known = math.nan, {}
        try:
            known = json.loads((self.folder / "best.json").read_text(encoding="utf-8"))
            if known["run"] == run:
                self._value, self._known = float(known["value"]), known
        except (OSError, ValueError, KeyError, TypeError):
            return

    def _beats(self, value: Any, better: Better | None) -> bool:
        if better is None or not is_finite(value):
            return False
        if not math.isnan(self._value) and not better(value, self._value):
            return False
        self._value = float(value)
        return True

    def update(self, **parts: Any) -> None:
        """Write ``parts`` of the last judged epoch; files that were written here for an earlier one are removed."""
        run, epoch = self._judged or ("", 0)
        before = self._known
        if (before.get("run"), before.get("epoch")) != (run, epoch):
            fresh = {"run": run, "epoch": epoch, "metric": self._name, "value": self._value}
            self._known = fresh | {"classes": None, "matrix": None, "cases": []}
        self._known = self._known | parts
        replace_text(self.folder / "best.json", json.dumps(self._known, indent=1))
        kept = {case["name"] for case in self._known["cases"]}
        for case in before.get("cases", []):
            if case["name"] not in kept:
                for kind in ("", "_image", "_label", "_prediction"):
                    (self.folder / f"{case['name']}{kind}.png").unlink(missing_ok=True)


def deciding_metric(engine: Engine, metric: str | None = None) -> tuple[str | None, Better | None]:
    """Return the metric that decides on the best epoch, and how to compare values; None if no direction is known."""
    hub, state = Hub.of(engine), engine.state
    key = getattr(state, "key_metric_name", None)
    if metric in (None, key) and key is not None and hasattr(engine, "metric_cmp_fn"):
        return key, engine.metric_cmp_fn
    directions = {} if hub is None else directions_of(hub)
    name = metric or key or next((n for n, higher in directions.items() if higher is not None), None)
    return name, comparison_for(directions.get(name or ""))


def comparison_for(higher_is_better: bool | None) -> Better | None:
    """Return how a new value is compared with the best one; None if no direction is known."""
    if higher_is_better is None:
        return None
    return operator.gt if higher_is_better else operator.lt


def directions_of(hub: Hub) -> dict[str, bool | None]:
    """Return whether more is better, by metric name; None if neither direction is better."""
    return {name: getattr(each.op, "higher_is_better", None) for each in hub.attachments for name in each.names}


def replace_text(path: Path, text: str) -> None:
    """Replace a file atomically; the temporary name contains the process id, so that two processes never collide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(text, encoding="utf-8", errors="backslashreplace")
    new.replace(path)
