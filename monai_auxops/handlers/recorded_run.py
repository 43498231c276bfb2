"""What a recorder knows of its run: the curves, the metric that decides, the best epoch, and the facts of run.json."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from monai_auxops.core import ranks
from monai_auxops.engine.runs import new_run_id
from monai_auxops.handlers.best import BestSet, comparison_for
from monai_auxops.handlers.run_facts import device_name, versions
from monai_auxops.handlers.run_file import current_time
from monai_auxops.handlers.values import flatten_metrics, is_number, number_of
from monai_auxops.ops.base import AuxiliaryOperation

if TYPE_CHECKING:
    from monai_auxops.drawing.results import Curves

SPLITS = ("", "train", "val", "test")


class RecordedRun:
    """The values of a plain loop by epoch, and which epoch was the best; the arguments are those of ``Recorder``."""

    def __init__(
        self,
        key: str | None,
        higher_is_better: bool | None,
        *,
        epochs: int | None,
        class_names: Sequence[str] | None,
        config: Any,
    ) -> None:
        self.key, self.epochs = key, epochs
        self.id, self.epoch = new_run_id(), 0
        self.curves: Curves = {}
        self.seconds: dict[str, float] = {}
        self._higher_is_better, self._config = higher_is_better, config
        self._class_names = None if class_names is None else list(class_names)
        self._directions: dict[str, bool | None] = {}
        self._best_epoch: int | None = None
        self._started, self._since = current_time(), time.monotonic()

    def numbers_by_name(self, values: AuxiliaryOperation | Mapping[str, Any], split: str) -> dict[str, float]:
        """Return numbers by metric name; the first aux-op of the validation decides if no other metric does.

        Raises:
            ValueError: an unknown split, or a value that is not a number.
        """
        if split not in SPLITS:
            raise ValueError(f"Recorder.log: expected split to be 'train', 'val', 'test' or '', got {split!r}")
        prefix = f"{split}_" if split else ""
        if isinstance(values, AuxiliaryOperation):
            higher, values = values.higher_is_better, values.aggregate()
            self._directions |= {prefix + name: higher for name in values}
            if split == "val" and self.key is None:
                self.key = prefix + next(iter(values), "")
        return {prefix + name: number for name, number in numbers_of(values).items()}

    def add(self, values: Mapping[str, float]) -> None:
        """Add values of the current epoch to the curves."""
        for name, value in values.items():
            self.curves.setdefault(name, {})[self.epoch] = value

    @property
    def values(self) -> dict[str, float]:
        """The values of the current epoch."""
        return {name: points[self.epoch] for name, points in self.curves.items() if self.epoch in points}

    @property
    def higher_is_better(self) -> bool | None:
        """Whether a larger value of the deciding metric is better; None if that is unknown."""
        if self._higher_is_better is not None:
            return self._higher_is_better
        return self._directions.get(self.key or "")

    def stop_clock(self) -> None:
        """Note the seconds that the current epoch took."""
        now = time.monotonic()
        self.seconds[str(self.epoch)] = round(now - self._since, 3)
        self._since = now

    def judge(self, best: BestSet) -> bool:
        """Tell whether the current epoch is the best so far."""
        better = comparison_for(self.higher_is_better)
        is_best = best.judge(self.id, self.epoch, self.key, self.values.get(self.key or ""), better)
        if is_best:
            self._best_epoch = self.epoch
        return is_best

    def facts(self, finished: str | None) -> dict[str, Any]:
        """Return the content of ``run.json``."""
        return {
            "run": self.id,
            "started": self._started,
            "finished": finished,
            "versions": versions(),
            "device": device_name(None),
            "processes": ranks.world_size(),
            "training": {"epochs": self.epochs},
            "aux_ops": {},
            "higher_is_better": self._directions,
            "same": {},
            "class_names": self._class_names,
            "config": self._config,
            "seconds": self.seconds,
            "learning_rate": {},
            "best": self._best_facts(),
        }

    def _best_facts(self) -> dict[str, Any]:
        curve = self.curves.get(self.key or "", {})
        return {
            "metric": self.key,
            "epoch": self._best_epoch,
            "value": None if self._best_epoch is None else curve.get(self._best_epoch),
            "higher_is_better": self.higher_is_better,
        }


def numbers_of(values: Mapping[str, Any]) -> dict[str, float]:
    """Return nested values as numbers by name; ``ValueError`` names one that is not a number."""
    numbers = flatten_metrics(values)
    for name, value in numbers.items():
        if not is_number(value):
            raise ValueError(f"Recorder.log: expected {name!r} to be a number, got {type(value).__name__}")
    return {name: number_of(value) for name, value in numbers.items()}
