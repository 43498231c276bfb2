"""What a paper reports of each class: mean ± sd, median, quartiles, a bootstrap interval, and what is behind them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

MEASURES = ("dice", "iou", "precision", "recall", "hd95_mm", "asd_mm", "nsd", "label_ml", "prediction_ml")
LOWER_IS_BETTER = ("hd95_mm", "asd_mm")
RESAMPLES = 2000
STATUSES = ("measured", "missed", "hallucinated", "absent")


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Summarize the rows of a table of cases by class, in the order in which classes occur."""
    by_class: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["status"] != "failed":
            by_class.setdefault(row["class"], []).append(row)
    return {name: _of_class(of_it) for name, of_it in by_class.items()}


def _of_class(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    numbers: dict[str, Any] = {status: sum(row["status"] == status for row in rows) for status in STATUSES}
    for measure in MEASURES:
        named = {str(row["case"]): float(row[measure]) for row in rows if row.get(measure) is not None}
        valid = {case: value for case, value in named.items() if math.isfinite(value)}
        if valid:
            numbers[measure] = statistics(valid.values()) | worst(valid, measure)
    return numbers


def statistics(values: Iterable[float]) -> dict[str, Any]:
    """Describe a sample; the standard deviation is the sample's (n - 1), the interval is of the mean.

    >>> described = statistics([0.5, 0.7, 0.9])
    >>> described["n"], round(described["mean"], 3), round(described["sd"], 3), described["median"]
    (3, 0.7, 0.2, 0.7)
    """
    sample = np.fromiter(values, np.float64)
    first, median, third = np.percentile(sample, [25, 50, 75]).tolist()
    return {
        "n": len(sample),
        "mean": float(sample.mean()),
        "sd": float(sample.std(ddof=1)) if len(sample) > 1 else None,
        "median": median,
        "q1": first,
        "q3": third,
        "min": float(sample.min()),
        "max": float(sample.max()),
        "ci95": bootstrap_interval(sample),
    }


def bootstrap_interval(sample: Any, resamples: int = RESAMPLES) -> list[float] | None:
    """Return the 2.5th and 97.5th percentile of the means of random samples with replacement; None for one value.

    The random numbers are the same in every call, so a result can be repeated.

    Source: B. Efron, Bootstrap methods: another look at the jackknife, Annals of Statistics 7 (1979).
    """
    if len(sample) < 2:
        return None
    random = np.random.default_rng(0)
    means = [sample[random.integers(0, len(sample), len(sample))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, [2.5, 97.5]).tolist()
    return [low, high]


def worst(values: Mapping[str, float], measure: str) -> dict[str, Any]:
    """Name the case with the worst value; of volumes none is worst.

    >>> worst({"a": 3.0, "b": 9.0}, "hd95_mm"), worst({"a": 0.3, "b": 0.9}, "dice")
    ({'worst': 'b'}, {'worst': 'a'})
    """
    if measure.endswith("_ml"):
        return {}
    pick = max if measure in LOWER_IS_BETTER else min
    return {"worst": pick(values, key=lambda case: values[case])}
