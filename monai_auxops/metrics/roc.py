"""The area under the ROC curve: functions of scores and labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

AVERAGES = ("macro", "weighted", "micro")


def roc_auc(scores: Tensor, labels: Tensor) -> float:
    """Return ``P(score of a positive > score of a negative)``, ties count half; ``scores`` and ``labels`` are ``[N]``.

    It is computed from ranks (Mann and Whitney, 1947), in integers and therefore exactly, in ``O(N log N)`` and with 10
    bytes for each float32 score. Labels other than 0 and 1 are left out. The result is NaN without both kinds of label,
    or with a NaN score.

    Examples:
        >>> roc_auc(torch.tensor([0.2, 0.2, 0.7]), torch.tensor([0, 1, 1]))
        0.75
    """
    positive, negative = (_sorted_scores(scores, labels == kind) for kind in (1, 0))
    pairs = len(positive) * len(negative)
    if not pairs or math.isnan(positive[-1]) or math.isnan(negative[-1]):  # NaN is sorted to the end
        return math.nan
    few, many = sorted((positive, negative), key=len)
    twice = int(np.searchsorted(many, few, "left").sum()) + int(np.searchsorted(many, few, "right").sum())
    return (twice if few is positive else 2 * pairs - twice) / (2 * pairs)


def _sorted_scores(scores: Tensor, chosen: Tensor) -> np.ndarray:
    """Sort the chosen of ``scores [N]`` on the host; half precision as float32, which keeps the order."""
    scores = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
    values: np.ndarray = scores.detach().cpu().numpy()[chosen.cpu().numpy()]
    values.sort()
    return values


def is_binary(labels: Tensor) -> Tensor:
    """Return where a label is 0 or 1."""
    return (labels == 0) | (labels == 1)


def roc_curve(scores: Tensor, labels: Tensor) -> tuple[list[float], list[float]]:
    """Return false and true positive rates at every threshold; ``scores`` and ``labels`` are ``[N]``.

    Examples:
        >>> roc_curve(torch.tensor([0.2, 0.2, 0.7]), torch.tensor([0, 1, 1]))
        ([0.0, 0.0, 1.0], [0.0, 0.5, 1.0])
    """
    keep = is_binary(labels)
    highest = scores[keep].sort(descending=True)
    positive = (labels[keep] == 1)[highest.indices].double()
    end = torch.ones(1, dtype=torch.bool, device=scores.device)
    last = torch.cat([highest.values.diff() != 0, end])  # of equal scores
    rates = [(each.cumsum(0) / each.sum())[last] for each in (1 - positive, positive)]
    return [0.0, *rates[0].tolist()], [0.0, *rates[1].tolist()]


def averaged_auc(columns: Iterable[tuple[Tensor, Tensor]], average: str) -> float:
    """Return the AUC of columns, scores and labels ``[N]`` of each.

    It is their ``"macro"`` mean, their mean ``"weighted"`` by positives, or the ``"micro"`` AUC of all entries as one.
    A column without an AUC is left out of a mean.
    """
    if average == "micro":
        scores, labels = map(torch.cat, zip(*columns, strict=True))
        return roc_auc(scores, labels)
    total = weights = 0.0
    for scores, labels in columns:
        value, weight = roc_auc(scores, labels), int((labels == 1).count_nonzero()) if average == "weighted" else 1
        if not math.isnan(value):
            total, weights = total + value * weight, weights + weight
    return total / weights if weights else math.nan
