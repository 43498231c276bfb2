"""What the counts of a Dice op say: the overlap, and by name what else; everything from one pass over the voxels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from monai_auxops.core.running import Totals
from monai_auxops.counting.counts import Counts

POOLED = ("global", "support")


def overlap(counts: Counts, jaccard: bool = False, empty_value: float = math.nan) -> Tensor:
    """``2 TP / (P + T)``, or with ``jaccard`` ``TP / (P + T - TP)``, per sample and class; NaN where ``T = 0``.

    With a number as ``empty_value`` that is the value where ``P + T = 0``, and a class predicted where there is none
    scores 0.

    >>> counts = Counts(*torch.tensor([[[2, 0, 0]], [[1, 3, 0]], [[1, 0, 0]], [[6, 7, 10]]]))
    >>> overlap(counts), overlap(counts, empty_value=1.0)
    (tensor([[0.6667,    nan,    nan]]), tensor([[0.6667, 0.0000, 1.0000]]))

    Source: L. R. Dice, Measures of the amount of ecologic association between species, Ecology 26 (1945).
    """
    tp, fp, fn, _ = counts
    over = tp if jaccard else 2 * tp
    under = over + fp + fn
    empty = tp + fn == 0 if math.isnan(empty_value) else under == 0
    return (over / under).masked_fill(empty, empty_value)


def precision(counts: Counts) -> Tensor:
    """``TP / (TP + FP)``, NaN where nothing was predicted."""
    return ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: Counts) -> Tensor:
    """``TP / (TP + FN)``, NaN where the class is absent."""
    return ratio(counts.tp, counts.tp + counts.fn)


def specificity(counts: Counts) -> Tensor:
    """``TN / (TN + FP)``, NaN where everything is the class."""
    return ratio(counts.tn, counts.tn + counts.fp)


def balanced_accuracy(counts: Counts) -> Tensor:
    """The mean of recall and specificity, NaN where either is."""
    return (recall(counts) + specificity(counts)) / 2


PER_SAMPLE: dict[str, Callable[[Counts], Tensor]] = {
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "balanced_accuracy": balanced_accuracy,
}
STATISTICS = (*POOLED, *PER_SAMPLE)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """``part / whole``, NaN where the whole is 0.

    >>> ratio(torch.tensor([1, 0]), torch.tensor([2, 0]))
    tensor([0.5000,    nan])
    """
    return (part / whole).masked_fill(whole == 0, torch.nan)


def pooled_tags(names: Sequence[str]) -> list[str]:
    """The sums that pooled statistics need: of each class the voxels of an overlap's two sides, and its samples."""
    return [f"{kind}/{name}" for kind in ("over", "under", "present") for name in names]


def pooled_rows(counts: Counts, jaccard: bool) -> Tensor:
    """Per class and sample ``[3 C, B]``: the fraction's numerator and denominator, and 1 where the class occurs."""
    tp, fp, fn, _ = counts
    over, under = (tp, tp + fp + fn) if jaccard else (2 * tp, 2 * tp + fp + fn)
    return torch.cat([over, under, (tp + fn > 0).long()], 1).T


def pooled_values(totals: Totals, names: Sequence[str], tag: str, wanted: Sequence[str]) -> dict[str, float]:
    """``<tag>_global`` and ``<tag>_global/<class>``: the overlap of all voxels of the epoch as if of one image, which
    nnU-Net reports online; ``support/<class>``: the samples in which the class occurred."""
    values: dict[str, float] = {}
    if "global" in wanted:
        pairs = {name: (totals.sums[f"over/{name}"], totals.sums[f"under/{name}"]) for name in names}
        each = {name: over / under if under else float("nan") for name, (over, under) in pairs.items()}
        valid = [value for value in each.values() if value == value]
        values[f"{tag}_global"] = sum(valid) / len(valid) if valid else float("nan")
        values |= {f"{tag}_global/{name}": value for name, value in each.items()}
    if "support" in wanted:
        values |= {f"support/{name}": totals.sums[f"present/{name}"] for name in names}
    return values
