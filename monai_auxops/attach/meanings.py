"""What the bundle's own metrics mean: Dice, IoU or accuracy, of which classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from inspect import getclosurevars
from typing import TYPE_CHECKING, Any

from monai_auxops.attach.chain import origin_of
from monai_auxops.attach.problem import AttachError
from monai_auxops.attach.slots import read_slot

if TYPE_CHECKING:
    from monai_auxops.attach.chain import Step
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
        keys: of the prediction and the label that it reads; empty if it does not tell.
    """

    name: str
    kind: str
    target: str
    include_background: bool = True
    ignore_empty: bool = True
    reduction: str = "mean"
    num_classes: int | None = None
    keys: tuple[str, ...] = ()


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
        return Meaning(name, kind, target, keys=_keys_read(metric))
    return Meaning(
        name,
        kind,
        target,
        bool(getattr(measure, "include_background", True)),
        bool(getattr(measure, "ignore_empty", True)),
        str(getattr(measure.reduction, "value", measure.reduction)),
        getattr(measure, "num_classes", None),
        _keys_read(metric),
    )


def _keys_read(metric: Any) -> tuple[str, ...]:
    """Return the keys that a metric was given as ``from_engine(keys)``."""
    transform = vars(metric).get("_output_transform")
    if getattr(transform, "__qualname__", "") != "from_engine.<locals>._wrapper":
        return ()
    return tuple(str(getattr(key, "value", key)) for key in getclosurevars(transform).nonlocals["_keys"])


def _kind(measure: Any) -> str:
    from ignite.metrics import Accuracy
    from monai.metrics import DiceMetric, MeanIoU

    kinds = {DiceMetric: "dice", MeanIoU: "iou", Accuracy: "accuracy"}
    return next((kind for base, kind in kinds.items() if isinstance(measure, base)), "other")


def keys_of(
    meanings: Iterable[Meaning], others: Iterable[Meaning], steps: Sequence[Step], chosen: str | int | None
) -> tuple[str, str]:
    """Return the keys of the prediction and the label that the bundle's metrics read, of copies if it copies them.

    Args:
        meanings: of the engine's metrics, the key metric first.
        others: of the other engines' metrics, which show what the post-processing of one without metrics is for.
        steps: of the post-processing.
        chosen: the user's key of the prediction among several outputs of the network.

    Raises:
        AttachError: they read something that does not come from the network's only output.
    """
    read, wanted = _keys_of_pairs(meanings), {"pred", chosen}
    traced = [keys for keys in read or _keys_of_pairs(others) if origin_of(steps, keys[0]) in wanted]
    if read and not traced:
        raise AttachError(
            f"the bundle's metrics read {read[0][0]!r}, and nothing tells that it is the network's 'pred'; pass "
            f"--output-transform {read[0][0]} if the network returns a dict with that key"
        )
    whole = [keys for keys in traced if keys[0] in wanted]
    return next(iter(whole or traced), ("pred", "label"))


def _keys_of_pairs(meanings: Iterable[Meaning]) -> list[tuple[str, str]]:
    """Return the keys of each metric that compares a prediction with a label."""
    found = [one.keys for one in meanings if one.kind in ("dice", "iou", "accuracy")]
    return [(keys[0], keys[1]) for keys in found if len(keys) == 2]


def overlap_of(meanings: Iterable[Meaning]) -> Meaning | None:
    """Return the metric that the aux-op should equal: the first Dice, otherwise the first IoU."""
    found = sorted((one for one in meanings if one.kind in ("dice", "iou")), key=lambda one: one.kind)
    return next(iter(found), None)
