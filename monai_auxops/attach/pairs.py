"""Pairs of a bundle's metric and an aux-op's value with the same meaning, and their known differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monai_auxops.attach import accuracy
from monai_auxops.attach.blocks import MEASURES

if TYPE_CHECKING:
    from monai_auxops.attach.evidence import Evidence, Measure
    from monai_auxops.attach.meanings import Meaning


@dataclass(frozen=True)
class MetricPair:
    """Two values with the same meaning.

    Args:
        engine: its id.
        theirs: the bundle's metric.
        ours: the aux-op's value.
        kind: ``"dice"``, ``"iou"`` or ``"accuracy"``.
        note: what is known to differ, or nothing.
        classes: of one-hot outputs on which an accuracy is element-wise; 0 if it is not.
    """

    engine: str
    theirs: str
    ours: str
    kind: str
    note: str = ""
    classes: int = 0


def pairs_of(evidence: Evidence, measure: Measure, block: dict[str, Any]) -> list[MetricPair]:
    """Return the bundle's metrics that an op of the block should equal."""
    engine, pairs = evidence.engine, []
    for meaning in evidence.meanings:
        for name, op in block.items():
            kind = op["_target_"].rpartition(".")[2]
            if meaning.kind == ("iou" if measure.jaccard else "dice") and kind in MEASURES[:2]:
                note = _known_difference(meaning, measure, evidence)
                pairs.append(MetricPair(engine.item_id, meaning.name, name, meaning.kind, note))
            if meaning.kind == "accuracy" and kind == "ComputeAccuracy":
                note = accuracy.inflation_reason(evidence, measure)
                classes = measure.channels or 0 if note else 0
                pairs.append(MetricPair(engine.item_id, meaning.name, name, "accuracy", note, classes))
    return pairs


def _known_difference(meaning: Meaning, measure: Measure, evidence: Evidence) -> str:
    """Return why the bundle's overlap differs, as far as its arguments tell."""
    if meaning.keys and meaning.keys != evidence.keys:
        return f"it reads {meaning.keys[0]!r}, another part of the output"
    if meaning.include_background == measure.skip_background and (measure.channels or 2) > 1:
        return f"class 0 {'counts' if meaning.include_background else 'is left out'} there, but not here"
    if evidence.post.argmax and not evidence.post.onehot and meaning.num_classes is None:
        return "its post-processing leaves class indices in one channel, which it reads as the values of one class"
    if measure.inverted and measure.stage == "raw":
        return "measured before post-processing, on another grid"
    if meaning.reduction != "mean":
        return f"its reduction is {meaning.reduction}"
    if meaning.ignore_empty is not (measure.empty_value is None):
        return "it treats absent classes differently"
    return ""
