"""The statistics of each class as in a paper: mean ± sd, median, quartiles, a bootstrap interval, and counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from monai_auxops.report.statistics import describe_sample

MEASURES = ("dice", "iou", "precision", "recall", "hd95_mm", "assd_mm", "nsd", "label_ml", "prediction_ml")
LOWER_IS_BETTER = ("hd95_mm", "assd_mm")
STATUSES = ("measured", "missed", "hallucinated", "absent")


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Summarize the rows of a case table by class, in order of first occurrence."""
    by_class: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["status"] != "failed":
            by_class.setdefault(row["class"], []).append(row)
    return {name: _class_summary(entry) for name, entry in by_class.items()}


def _class_summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    numbers: dict[str, Any] = {status: sum(row["status"] == status for row in rows) for status in STATUSES}
    for measure in MEASURES:
        named = {str(row["case"]): float(row[measure]) for row in rows if row.get(measure) is not None}
        valid = {case: value for case, value in named.items() if math.isfinite(value)}
        if valid:
            numbers[measure] = describe_sample(valid.values()) | worst_case(valid, measure)
    return numbers


def worst_case(values: Mapping[str, float], measure: str) -> dict[str, Any]:
    """Return the case with the worst value; for volumes there is none.

    Examples:
        >>> worst_case({"a": 3.0, "b": 9.0}, "hd95_mm"), worst_case({"a": 0.3, "b": 0.9}, "dice")
        ({'worst': 'b'}, {'worst': 'a'})
    """
    if measure.endswith("_ml"):
        return {}
    pick = max if measure in LOWER_IS_BETTER else min
    return {"worst": pick(values, key=lambda case: values[case])}
