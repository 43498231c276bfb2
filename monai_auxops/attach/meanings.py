"""What the bundle's own metrics mean: Dice, IoU or accuracy, of which classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monai_auxops.attach.slots import read_slot

if TYPE_CHECKING:
    from monai_auxops.attach.config import BundleConfig
    from monai_auxops.attach.engines import EngineItem

_BY_NAME = {"MeanDice": "dice", "DiceMetric": "dice", "MeanIoUHandler": "iou", "MeanIoU": "iou", "Accuracy": "accuracy"}


@dataclass(frozen=True)
class Meaning:
    """What one metric of the bundle means.

    Args:
        name: in ``state.metrics``.
        kind: ``"dice"``, ``"iou"``, ``"accuracy"``, ``"aux-op"`` or ``"other"``.
        target: the name of its class.
        include_background: whether class 0 counts.
        ignore_empty: whether a class that is absent from a label is left out.
        reduction: how classes and samples become one number.
        num_classes: the number of classes it was given.
    """

    name: str
    kind: str
    target: str
    include_background: bool = True
    ignore_empty: bool = True
    reduction: str = "mean"
    num_classes: int | None = None


def read_meanings(config: BundleConfig, engine: EngineItem) -> list[Meaning]:
    """Return what the metrics of an engine mean, the key metric first."""
    slots = [read_slot(config, slot_id) for slot_id in (engine.key_slot, engine.additional_slot)]
    return [_meaning(name, metric) for slot in slots for name, metric in slot.metrics.items()]


def _meaning(name: str, metric: Any) -> Meaning:
    if isinstance(metric, str):
        target = metric.rpartition(".")[2]
        return Meaning(name, _BY_NAME.get(target, "other"), target)
    measure = vars(metric).get("metric_fn", metric)  # Ignite's metrics invent attributes
    target = type(metric).__name__
    kind = "aux-op" if type(metric).__module__.startswith("monai_auxops") else _kind(measure)
    if kind not in ("dice", "iou"):
        return Meaning(name, kind, target)
    return Meaning(
        name,
        kind,
        target,
        bool(getattr(measure, "include_background", True)),
        bool(getattr(measure, "ignore_empty", True)),
        str(getattr(measure.reduction, "value", measure.reduction)),
        getattr(measure, "num_classes", None),
    )


def _kind(measure: Any) -> str:
    from ignite.metrics import Accuracy
    from monai.metrics import DiceMetric, MeanIoU

    kinds = {DiceMetric: "dice", MeanIoU: "iou", Accuracy: "accuracy"}
    return next((kind for base, kind in kinds.items() if isinstance(measure, base)), "other")


def overlap_of(meanings: Iterable[Meaning]) -> Meaning | None:
    """Return the metric that the aux-op should equal: the first Dice, otherwise the first IoU."""
    found = sorted((one for one in meanings if one.kind in ("dice", "iou")), key=lambda one: one.kind)
    return next(iter(found), None)
