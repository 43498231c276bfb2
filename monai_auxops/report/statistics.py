"""Statistics of a sample and of two paired samples, as papers report them. Needs only numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
Sample = npt.NDArray[np.float64]


def describe_sample(values: Iterable[float]) -> dict[str, Any]:
    """Describe a sample; the standard deviation is the sample's (n - 1), the interval is of the mean.

    Examples:
        >>> described = describe_sample([0.5, 0.7, 0.9])
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


def bootstrap_interval(sample: Sample, resamples: int = RESAMPLES) -> list[float] | None:
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


class Paired(NamedTuple):
    """Two runs on the same cases: second minus first."""

    cases: list[str]
    differences: Sample
    first_wins: int
    second_wins: int
    p_value: float  # of the sign test; ties count for neither
    interval: list[float] | None  # of the mean difference

    @property
    def mean(self) -> float:
        """The mean difference."""
        return float(self.differences.mean())


def compare(first: dict[str, float], second: dict[str, float], higher_is_better: bool) -> Paired | None:
    """Compare the values of common cases; None if there is no such case.

    Examples:
        >>> paired = compare({"a": 0.5, "b": 0.6, "c": 0.7}, {"a": 0.6, "b": 0.6, "d": 0.1}, True)
        >>> paired.cases, paired.first_wins, paired.second_wins
        (['a', 'b'], 0, 1)
    """
    pairs = ((case, first[case], second[case]) for case in first if case in second)
    common = [(case, a, b) for case, a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    if not common:
        return None
    differences = np.array([b - a for _, a, b in common])
    more, less = int((differences > 0).sum()), int((differences < 0).sum())
    first_wins, second_wins = (less, more) if higher_is_better else (more, less)
    p_value, interval = sign_test(more, less), bootstrap_interval(differences)
    return Paired([case for case, _, _ in common], differences, first_wins, second_wins, p_value, interval)


def sign_test(more: int, less: int) -> float:
    """Return the exact two-sided probability of wins at least as uneven if neither were better.

    Examples:
        >>> sign_test(5, 5), sign_test(0, 5)
        (1.0, 0.0625)

    Source: W. J. Conover, Practical Nonparametric Statistics, 3rd edition (1999), section 3.4.
    """
    n = more + less
    tail = sum(math.comb(n, k) for k in range(min(more, less) + 1))
    return min(1.0, float(2 * tail / 2**n))


def worst_case(values: dict[str, float], higher_is_better: bool) -> str:
    """Name the case with the worst value."""
    pick: Callable[..., str] = min if higher_is_better else max
    return pick(values, key=lambda case: values[case])


def finite_values(values: dict[str, float]) -> dict[str, float]:
    """Drop values that were not measured."""
    return {case: value for case, value in values.items() if math.isfinite(value)}


def quantiles(values: Sequence[float]) -> list[float]:
    """Return minimum, quartiles and maximum."""
    points: list[float] = np.percentile(np.asarray(values), [0, 25, 50, 75, 100]).tolist()
    return points
