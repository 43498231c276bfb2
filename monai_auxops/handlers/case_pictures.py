"""Slices of cases of one epoch, kept on their device: the worst, the best, and a sample for the median."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

SAMPLE = 64  # cases kept for the median; beyond that every second one is dropped, repeatedly


@dataclass(frozen=True)
class KeptCases:
    """Cases ``[n]``: how bad each is (less is worse), its number in the epoch, its slice and panels."""

    values: Tensor
    numbers: Tensor
    slices: Tensor
    pictures: Tensor

    def at(self, index: Tensor) -> KeptCases:
        """Return the cases at ``index``."""
        return KeptCases(self.values[index], self.numbers[index], self.slices[index], self.pictures[index])

    def cpu(self) -> KeptCases:
        """Copy to the host."""
        return KeptCases(self.values.cpu(), self.numbers.cpu(), self.slices.cpu(), self.pictures.cpu())

    @classmethod
    def concatenate(cls, one: KeptCases | None, other: KeptCases) -> KeptCases:
        """Concatenate both, in order."""
        if one is None:
            return other
        pairs = [
            torch.cat([getattr(one, name), getattr(other, name)])
            for name in ("values", "numbers", "slices", "pictures")
        ]
        return cls(*pairs)


@dataclass
class CasePictures:
    """A selection from all cases of an epoch. NaN is neither bad nor good, so such a case is not shown.

    Args:
        number: how many of the worst cases to keep.
    """

    number: int
    count: int = 0
    worst: KeptCases | None = None
    best: KeptCases | None = None
    sample: KeptCases | None = None
    stride: int = 1
    files: list[str] = field(default_factory=list)

    def add(self, cases: KeptCases) -> None:
        """Add the cases of a batch, numbered from ``count`` on."""
        self.worst = lowest_cases(KeptCases.concatenate(self.worst, cases), self.number, math.inf)
        self.best = highest_cases(KeptCases.concatenate(self.best, cases), 1)
        chosen = [i for i in range(len(cases.values)) if (self.count + i) % self.stride == 0]
        if chosen:
            self.sample = KeptCases.concatenate(self.sample, cases.at(torch.tensor(chosen, device=cases.values.device)))
        self.count += len(cases.values)
        while self.sample is not None and len(self.sample.values) > SAMPLE:
            self.sample, self.stride = self.sample.at(torch.arange(0, len(self.sample.values), 2)), self.stride * 2

    def median(self) -> KeptCases | None:
        """Return the sampled case nearest to the sample's median, which approximates that of more than 64 cases."""
        if self.sample is None:
            return None
        kept = self.sample.cpu()
        distance = (kept.values - kept.values.nanmedian()).abs().nan_to_num(math.inf)
        return None if not bool(distance.isfinite().any()) else kept.at(distance.argmin()[None])


def lowest_cases(cases: KeptCases, number: int, stand_in: float) -> KeptCases:
    """Return the ``number`` cases with the smallest values."""
    _, index = cases.values.nan_to_num(stand_in).topk(min(number, len(cases.values)), largest=False)
    return cases.at(index)


def highest_cases(cases: KeptCases, number: int) -> KeptCases:
    """Return the ``number`` cases with the largest values."""
    _, index = cases.values.nan_to_num(-math.inf).topk(min(number, len(cases.values)))
    return cases.at(index)
