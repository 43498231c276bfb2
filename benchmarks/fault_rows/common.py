"""Rows and their outcomes, what is right by hand, and one epoch of Dice in each library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
import torcheval.metrics as te
from ignite.engine import Engine
from ignite.metrics import ConfusionMatrix, DiceCoefficient
from monai.data import decollate_batch
from monai.metrics import DiceMetric
from monai.transforms import AsDiscrete
from torch import Tensor
from torchmetrics.segmentation import DiceScore

import monai_auxops as ma

OURS = "ours"
LIBRARIES = (OURS, "MONAI", "torchmetrics", "torcheval", "Ignite")
PACKAGES = ("monai-auxops", "monai", "torchmetrics", "torcheval", "pytorch-ignite", "torch")
GRACE = 8  # seconds that the other ranks have once one has failed
Batch = tuple[Tensor, Tensor]
Cell = Callable[[], Any]


@dataclass
class Fault:
    """One row: what is done by whom, and which answer is right."""

    name: str
    by: dict[str, Cell]
    right: Callable[[str, Any], bool]
    wrong: str = "differs"  # why a wrong value is wrong, in a word or two
    may_raise: bool = False  # an error is right, too, and better than a number
    world: int = 1


@dataclass
class Outcome:
    """What one cell did."""

    kind: str
    word: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.word}" if self.word else self.kind


def by_hand(predicted: Sequence[Sequence[Any]], label: Sequence[Sequence[Any]], pooled: bool, first: int = 0) -> float:
    """Dice of lists of classes: the mean over samples of the mean over present classes, or of all voxels pooled."""
    if pooled:
        predicted, label = [[*chain(*predicted)]], [[*chain(*label)]]
    means = []
    for p, t in zip(predicted, label, strict=True):
        pairs = [(a, b) for a, b in zip(p, t, strict=True) if b in (0, 1, 2)]
        values = [
            2 * sum(a == b == c for a, b in pairs) / (sum(a == c for a, _ in pairs) + sum(b == c for _, b in pairs))
            for c in range(first, 3)
            if any(b == c for _, b in pairs)
        ]
        means += [sum(values) / len(values)] if values else []
    return sum(means) / len(means) if means else math.nan


def near(value: Any, truth: float, tolerance: float = 1e-6) -> bool:
    """Equal, NaN for NaN."""
    value = float(value)
    return math.isnan(value) if math.isnan(truth) else abs(value - truth) <= tolerance * max(1, abs(truth))


def pools(library: str) -> bool:
    """Whether the library's Dice is that of all voxels together."""
    return library in ("torcheval", "Ignite")


def logits_of(predicted: Sequence[Sequence[int]]) -> Tensor:
    """Scores whose argmax is ``predicted``."""
    return 4.0 * torch.nn.functional.one_hot(torch.tensor(predicted), 3).movedim(-1, 1).float()


def our_dice(batches: Sequence[Batch], first: int = 0) -> float:
    op = ma.ComputeDice("dice", skip_background=bool(first))
    for x, y in batches:
        op(x, y)
    return op.aggregate()["dice"]


def monai_update(metric: DiceMetric, x: Tensor, y: Tensor) -> None:
    """The chain of MONAI's tutorials."""
    hard, onehot = AsDiscrete(argmax=True, to_onehot=3), AsDiscrete(to_onehot=3)
    metric([hard(i) for i in decollate_batch(x)], [onehot(i) for i in decollate_batch(y)])


def monai_dice(batches: Sequence[Batch], first: int = 0) -> float:
    metric = DiceMetric(include_background=not first)
    for x, y in batches:
        monai_update(metric, x, y)
    return metric.aggregate().item()


def torchmetrics_dice(batches: Sequence[Batch], first: int = 0, metric: Any = None) -> float:
    metric = metric or DiceScore(3, include_background=not first, input_format="index")
    for x, y in batches:
        metric.update(x.argmax(1), y[:, 0].long())
    return metric.compute().item()


def torcheval_update(metric: Any, x: Tensor, y: Tensor) -> None:
    metric.update(x.movedim(1, -1).flatten(0, -2), y[:, 0].flatten().long())


def torcheval_dice(batches: Sequence[Batch], first: int = 0) -> float:
    metric = te.MulticlassF1Score(num_classes=3, average=None if first else "macro")
    for x, y in batches:
        torcheval_update(metric, x, y)
    return metric.compute()[first:].mean().item() if first else metric.compute().item()


def ignite_metric(first: int = 0) -> Any:
    return DiceCoefficient(ConfusionMatrix(3), ignore_index=0 if first else None).mean()


def ignite_engine(metric: Any) -> Engine:
    engine = Engine(lambda _, batch: (batch[0], batch[1][:, 0].long()))
    metric.attach(engine, "dice")
    return engine


def ignite_dice(batches: Sequence[Batch], first: int = 0) -> float:
    return float(ignite_engine(ignite_metric(first)).run(list(batches)).metrics["dice"])


DICE = {
    OURS: our_dice,
    "MONAI": monai_dice,
    "torchmetrics": torchmetrics_dice,
    "torcheval": torcheval_dice,
    "Ignite": ignite_dice,
}

LABEL = [[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 0], [0, 0, 1, 1, 1, 1, 2, 2, 0, 0, 0, 0]]
PREDICTED = [[0, 0, 0, 1, 1, 1, 0, 2, 2, 2, 0, 0], [0, 0, 1, 1, 2, 1, 2, 2, 0, 0, 1, 0]]
CASES = [[LABEL[i % 2][i:] + LABEL[i % 2][:i] for i in range(7)], [PREDICTED[i % 2][::-1] for i in range(7)]]


def batch(predicted: Sequence[Sequence[int]] = PREDICTED, label: Sequence[Sequence[float]] = LABEL) -> Batch:
    return logits_of(predicted), torch.tensor(label)[:, None]


def dice_fault(
    name: str,
    batches: Sequence[Batch],
    hand: tuple[Sequence[Sequence[Any]], Sequence[Sequence[Any]]],
    first: int = 0,
    at_most: bool = False,
    **more: Any,
) -> Fault:
    """A row of Dice values; ``at_most``: a lower one is as right, and so is NaN."""

    def right(library: str, value: float) -> bool:
        truth = by_hand(*hand, pooled=pools(library), first=first)
        return near(value, truth) or (at_most and not value > truth)

    return Fault(name, {lib: lambda run=run: run(batches, first) for lib, run in DICE.items()}, right, **more)


def replaced(rows: Sequence[Sequence[Any]], value: Any, *places: tuple[int, int]) -> list[list[Any]]:
    """A copy of ``rows`` with ``value`` in some places."""
    found = [list(row) for row in rows]
    for i, j in places:
        found[i][j] = value
    return found
