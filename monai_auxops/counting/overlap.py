"""Overlap and named statistics, all computed from the same counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from monai_auxops.counting.counts import Counts

POOLED = ("global", "support")


def overlap(counts: Counts, jaccard: bool = False, empty_value: float = math.nan) -> Tensor:
    """Return ``2 TP / (P + T)``, or with ``jaccard`` ``TP / (P + T - TP)``, per sample and class; NaN where ``T = 0``.

    If ``empty_value`` is a number, it is the value where ``P + T = 0``, and a class that is predicted but absent from
    the label scores 0.

    Examples:
        >>> from monai_auxops.counting.counts import Counts
        >>> counts = Counts(*torch.tensor([[[2, 0, 0]], [[1, 3, 0]], [[1, 0, 0]], [[6, 7, 10]]]))
        >>> overlap(counts), overlap(counts, empty_value=1.0)
        (tensor([[0.6667,    nan,    nan]]), tensor([[0.6667, 0.0000, 1.0000]]))

    Source: L. R. Dice, Measures of the amount of ecologic association between species, Ecology 26 (1945).
    """
    tp, fp, fn, _ = counts
    over = tp if jaccard else 2 * tp
    under = over + fp + fn
    empty = tp + fn == 0 if math.isnan(empty_value) else under == 0
    return (over / under.float()).masked_fill(empty, empty_value)  # integers would divide in the default dtype


def precision(counts: Counts) -> Tensor:
    """Return ``TP / (TP + FP)``, NaN where nothing was predicted."""
    return ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: Counts) -> Tensor:
    """Return ``TP / (TP + FN)``, NaN where the class is absent."""
    return ratio(counts.tp, counts.tp + counts.fn)


def specificity(counts: Counts) -> Tensor:
    """Return ``TN / (TN + FP)``, NaN where every voxel is of the class."""
    return ratio(counts.tn, counts.tn + counts.fp)


def balanced_accuracy(counts: Counts) -> Tensor:
    """Return the mean of recall and specificity, NaN where either is NaN."""
    return (recall(counts) + specificity(counts)) / 2


PER_SAMPLE: dict[str, Callable[[Counts], Tensor]] = {
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "balanced_accuracy": balanced_accuracy,
}
STATISTICS = (*POOLED, *PER_SAMPLE)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return ``part / whole`` of counts as float32, NaN where ``whole`` is 0.

    Examples:
        >>> import torch
        >>> ratio(torch.tensor([1, 0]), torch.tensor([2, 0]))
        tensor([0.5000,    nan])
    """
    return part / whole.float()  # integers would divide in the default dtype


def pooled_tags(names: Sequence[str]) -> list[str]:
    """Return the names of the sums that pooled statistics need: per class both sides of the overlap, and samples."""
    return [f"{kind}/{name}" for kind in ("over", "under", "present") for name in names]


def pooled_rows(counts: Counts, jaccard: bool) -> Tensor:
    """Return ``[3 C, B]``: per class the numerator and denominator of the overlap, and 1 where the class occurs."""
    tp, fp, fn, _ = counts
    over, under = (tp, tp + fp + fn) if jaccard else (2 * tp, 2 * tp + fp + fn)
    return torch.cat([over, under, (tp + fn > 0).long()], 1).T


def pooled_names(tag: str, names: Sequence[str], wanted: Sequence[str], prefix: str = "") -> list[str]:
    """Return the names of ``pooled_values``, in its order.

    Examples:
        >>> pooled_names("dice", ["gray", "white"], ["support", "global"])
        ['dice_global', 'dice_global/gray', 'dice_global/white', 'support/gray', 'support/white']
    """
    overlaps = [f"{tag}_global", *(f"{tag}_global/{name}" for name in names)] if "global" in wanted else []
    samples = [f"{prefix}support/{name}" for name in names] if "support" in wanted else []
    return overlaps + samples


def pooled_values(sums: Mapping[str, float], names: Sequence[str], wanted: Sequence[str]) -> list[float]:
    """Compute the statistics of the whole epoch from the sums named by ``pooled_tags``.

    ``"global"`` is the overlap of all voxels as if they were one image, as nnU-Net reports it online: its mean over
    classes, then each class. ``"support"`` is the number of samples in which each class occurred.
    """
    values: list[float] = []
    if "global" in wanted:
        each = [_quotient(sums[f"over/{name}"], sums[f"under/{name}"]) for name in names]
        valid = [value for value in each if not math.isnan(value)]
        values += [_quotient(sum(valid), len(valid)), *each]
    if "support" in wanted:
        values += [sums[f"present/{name}"] for name in names]
    return values


def _quotient(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
