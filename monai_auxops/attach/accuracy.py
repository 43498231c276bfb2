"""Names what Ignite's ``Accuracy`` measures on one-hot outputs: it counts each class' right absences, too."""

from __future__ import annotations

from collections.abc import Sequence

from monai_auxops.attach.evidence import Evidence, Measure


def inflated(evidence: Evidence, measure: Measure) -> str:
    """Return why the bundle's accuracy is not the share that is right; nothing where it is."""
    classes = measure.channels or 0
    if not (measure.exclusive and evidence.post.onehot) or classes < 3:
        return ""
    return f"element-wise on one-hot of {classes} classes it says 1 - 2 (1 - s) / {classes} where the share s is right"


def warnings(evidence: Evidence, measure: Measure, names: Sequence[str]) -> list[str]:
    """Return a line for each accuracy of the bundle that is inflated, and offer the aux-op."""
    why = inflated(evidence, measure)
    if not why:
        return []
    offer = "" if "ComputeAccuracy" in names else "; add ComputeAccuracy to --ops for the share that is right"
    found = [meaning.name for meaning in evidence.meanings if meaning.kind == "accuracy"]
    return [f"{name} is inflated: {why}{offer}" for name in found]


def inflated_value(share: float, classes: int) -> float:
    """Return what an element-wise accuracy on one-hot says where ``share`` is right.

    Examples:
        >>> round(inflated_value(0.014, 105), 3)
        0.981
    """
    return 1 - 2 * (1 - share) / classes
