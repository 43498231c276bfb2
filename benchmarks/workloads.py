"""The six batches that are measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Workload:
    """Random scores and labels, as an untrained network and an even label map give: no branch can be guessed."""

    key: str
    batch: int
    classes: int
    spatial: tuple[int, ...]
    independent: bool = False  # scores are thresholded, the label is one-hot float32; else int64 indices

    @property
    def text(self) -> str:
        size = (
            f"{self.spatial[0]}^{len(self.spatial)}"
            if len(set(self.spatial)) == 1
            else "x".join(map(str, self.spatial))
        )
        return f"{self.key}: B{self.batch} C{self.classes} {size}{' sigmoid' if self.independent else ''}"

    @property
    def logits(self) -> int:
        return self.batch * self.classes * math.prod(self.spatial)

    def make(self) -> tuple[Tensor, Tensor]:
        make = torch.Generator().manual_seed(0)
        x = torch.randn(self.batch, self.classes, *self.spatial, generator=make)
        if self.independent:
            return x, torch.randint(0, 2, x.shape, generator=make).float()
        return x, torch.randint(0, self.classes, (self.batch, 1, *self.spatial), generator=make)


WORKLOADS = {
    w.key: w
    for w in (
        Workload("a", 2, 14, (96, 96, 96)),
        Workload("b", 4, 2, (96, 96, 96)),
        Workload("c", 1, 3, (128, 128, 128), independent=True),
        Workload("d", 1, 14, (160, 160, 160)),
        Workload("e", 16, 4, (512, 512)),
        Workload("t", 1, 105, (96, 96, 96)),
    )
}
