"""The metric that decides on the best epoch, and its direction; neither is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from monai_auxops.drawing.names import split_name

# Measures of agreement by definition, of which more is always better.
AGREEMENTS = {"dice", "jaccard", "iou", "auc", "auroc", "accuracy", "acc", "f1", "precision", "recall"}
COSTS = {"loss", "error", "err", "distance", "hausdorff", "hd", "hd95", "asd", "assd", "mse", "mae", "rmse", "time"}
OVERLAPS = {"dice", "jaccard", "iou"}


class Judge(NamedTuple):
    """The deciding metric; ``higher`` is None if no direction is known, ``said`` is true if the run says so."""

    metric: str | None
    higher: bool | None
    said: bool = False

    @property
    def word(self) -> str:
        """The label of the value at its best epoch; it is neutral unless the run says that the metric decides."""
        if self.said:
            return "best"
        return "highest" if self.higher else "lowest"


def judge_of(
    facts: Mapping[str, Any], names: list[str], metric: str | None = None, lower: bool = False, known: str | None = None
) -> Judge:
    """Return the metric asked for, the run's own, or a validated agreement such as a Dice.

    Args:
        facts: the run's ``run.json``.
        names: the names of its curves over epochs.
        metric: the metric from the command line.
        lower: whether less is better.
        known: the metric by which another tool decides, if its log was read.
    """
    directions = mapping_or_empty(facts.get("higher_is_better"))
    best = mapping_or_empty(facts.get("best"))
    if metric is not None:
        if lower:
            return Judge(metric, False, True)
        return Judge(metric, direction(metric, directions, best), True)
    said = best.get("metric")
    if isinstance(said, str) and (said in names or best.get("epoch")):
        return Judge(said, direction(said, directions, best), True)
    if known in names:
        return Judge(known, True, True)
    declared = [name for name in names if isinstance(directions.get(name), bool) and split_name(name)[0] == "val"]
    if declared:
        return Judge(declared[0], directions[declared[0]])
    judged = [name for name in names if split_name(name)[0] == "val" and is_agreement(name)]
    return Judge(judged[0], True) if judged else Judge(None, None)


def direction(name: str, directions: Mapping[str, Any], best: Mapping[str, Any]) -> bool | None:
    """Return whether more is better as the run declares it, or for an older run as MONAI compares its key metric."""
    declared = directions.get(name)
    if name == best.get("metric") and isinstance(best.get("higher_is_better"), bool):
        return bool(best["higher_is_better"])
    if isinstance(declared, bool):
        return declared
    return None if words_of(name) & COSTS else True


def is_agreement(name: str) -> bool:
    """Tell whether a name says that more of it is better.

    Examples:
        >>> is_agreement("val_dice"), is_agreement("val_dice_loss"), is_agreement("val_score")
        (True, False, False)
    """
    words = words_of(name)
    return bool(words & AGREEMENTS) and not words & COSTS


def is_overlap(name: str) -> bool:
    """Tell whether a value of 0 means that nothing of the class was found."""
    return bool(words_of(name) & OVERLAPS) and not words_of(name) & COSTS


def words_of(name: str) -> set[str]:
    """Split a metric's own name into words, without its class."""
    return set(re.split(r"[^a-z0-9]+", split_name(name)[1].partition("/")[0].lower()))


def mapping_or_empty(value: Any) -> Mapping[str, Any]:
    """Return ``value`` if it is a mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}
