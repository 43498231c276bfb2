"""Explain what Ignite's ``Accuracy`` measures on one-hot outputs: it also counts each class's correct absences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monai_auxops.attach.evidence import Evidence, Measure


def inflation_reason(evidence: Evidence, measure: Measure) -> str:
    """Return why the bundle's accuracy is not the share of correct predictions, or nothing if it is."""
    classes = measure.channels or 0
    if not (measure.exclusive and evidence.post.onehot) or classes < 3:
        return ""
    return f"element-wise on {classes} one-hot classes it gives 1 - 2 (1 - s) / {classes} if the share s is correct"


def inflation_warnings(evidence: Evidence, measure: Measure, names: Sequence[str]) -> list[str]:
    """Return a line for each inflated accuracy of the bundle, which suggests the aux-op."""
    why = inflation_reason(evidence, measure)
    if not why:
        return []
    offer = "" if "ComputeAccuracy" in names else "; add ComputeAccuracy to --ops for the correct share"
    found = [meaning.name for meaning in evidence.meanings if meaning.kind == "accuracy"]
    return [f"{name} is inflated: {why}{offer}" for name in found]


def elementwise_accuracy(share: float, classes: int) -> float:
    """Return the element-wise accuracy on one-hot values if ``share`` of the predictions is correct.

    Examples:
        >>> round(elementwise_accuracy(0.014, 105), 3)
        0.981
    """
    return 1 - 2 * (1 - share) / classes
