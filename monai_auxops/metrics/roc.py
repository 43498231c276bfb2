"""The area under the ROC curve: functions of scores and labels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

AVERAGES = ("macro", "weighted", "micro")


def roc_auc(scores: Tensor, labels: Tensor) -> float:
    """Return ``P(score of a positive > score of a negative)``, ties count half; ``scores`` and ``labels`` are ``[N]``.

    It is computed from ranks (Mann and Whitney, 1947), exactly, in ``O(N log N)``. Labels other than 0 and 1 are left
    out. The result is NaN without both kinds of label, or with a NaN score.

    Examples:
        >>> roc_auc(torch.tensor([0.2, 0.2, 0.7]), torch.tensor([0, 1, 1]))
        0.75
    """
    keep = is_binary(labels)
    scores, positive = scores[keep], labels[keep] == 1
    n_pos = int(positive.sum())
    n_neg = len(positive) - n_pos
    if not n_pos or not n_neg or scores.isnan().any():
        return math.nan
    _, group, size = scores.unique(return_inverse=True, return_counts=True)
    middle = size.cumsum(0).double() - (size - 1) / 2
    return float((middle[group][positive].sum() - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))


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


def averaged_auc(scores: Tensor, labels: Tensor, average: str) -> float:
    """Return the AUC of ``[N, n]`` columns: their ``"macro"`` or ``"weighted"`` mean, or ``"micro"`` of all entries."""
    if average == "micro":
        return roc_auc(scores.flatten(), labels.flatten())
    columns = zip(scores.unbind(1), labels.unbind(1), strict=True)
    each = torch.tensor([roc_auc(*column) for column in columns], dtype=torch.float64, device=labels.device)
    positives = (labels == 1).sum(0).double()
    weight = (positives if average == "weighted" else torch.ones_like(positives)) * ~each.isnan()
    return float((each.nan_to_num() * weight).sum() / weight.sum())
