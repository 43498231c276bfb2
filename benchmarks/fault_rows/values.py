"""Faults in values: NaN, labels outside the classes, empty batches, half precision, counters."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torcheval.metrics as te
import torchmetrics as tm
from monai.metrics import DiceMetric
from torchmetrics.segmentation import DiceScore

import monai_auxops as ma
from benchmarks.fault_rows.common import (
    DICE,
    LABEL,
    OURS,
    PREDICTED,
    Cell,
    Fault,
    batch,
    by_hand,
    dice_fault,
    near,
    pools,
    replaced,
)


def value_faults() -> list[Fault]:
    """Faults of the data, one process."""
    x, y = batch()
    nan, inf, places = x.clone(), x.clone(), [(0, 3), (1, 4)]  # predicted wrongly before
    for i, j in places:
        nan[i, LABEL[i][j], j] = math.nan
        inf[i, LABEL[i][j], j] = math.inf
    healed = [
        [t if (i, j) in places else p for j, (p, t) in enumerate(zip(*rows, strict=True))]
        for i, rows in enumerate(zip(PREDICTED, LABEL, strict=True))
    ]
    nowhere = [[None] * 12] * 2
    outside = [(0, 3), (0, 7), (1, 0)]
    no_two, no_two_predicted = ([[min(c, 1) for c in row] for row in rows] for rows in (LABEL, PREDICTED))
    zero = [[0] * 12] * 2
    rows = [
        dice_fault(
            "NaN in some logits",
            [(nan, y)],
            (replaced(PREDICTED, None, *places), LABEL),
            at_most=True,
            wrong="NaN counts as a hit",
        ),
        dice_fault("Inf in some logits", [(inf, y)], (healed, LABEL)),
        dice_fault(
            "all logits NaN",
            [(torch.full_like(x, math.nan), y)],
            (nowhere, LABEL),
            at_most=True,
            wrong="a dead network scores",
        ),
        *(
            dice_fault(
                f"label {value} outside the classes",
                [(x, torch.tensor(replaced(LABEL, value, *outside))[:, None])],
                (PREDICTED, replaced(LABEL, None, *outside)),
                wrong="counted as a class",
            )
            for value in (255, -1, math.nan)
        ),
        dice_fault("empty batch", [(x, y), (x[:0], y[:0])], (PREDICTED, LABEL)),
        dice_fault(
            "class absent from a batch",
            [batch(PREDICTED[:1], LABEL[:1]), batch(no_two_predicted[1:], no_two[1:])],
            ([PREDICTED[0], no_two_predicted[1]], [LABEL[0], no_two[1]]),
        ),
        dice_fault(
            "class absent from the epoch",
            [batch(no_two_predicted, no_two)],
            (no_two_predicted, no_two),
            wrong="absent class counts as 0",
        ),
        dice_fault(
            "nothing to find in the epoch", [batch(zero, zero)], (zero, zero), first=1, wrong="a number of nothing"
        ),
    ]
    return [*rows, half(), two_thresholds(), output_lists()]


def half() -> Fault:
    """Multi-label float16 targets of 64³ voxels: more than float16 can count."""
    make = torch.Generator().manual_seed(0)
    p, t = (torch.rand(1, 2, 64, 64, 64, generator=make) < 0.6 for _ in range(2))
    truth = float((2 * (p & t).sum((2, 3, 4)) / (p.sum((2, 3, 4)) + t.sum((2, 3, 4)))).mean())

    def ours() -> float:
        op = ma.ComputeDice("dice", is_onehot_targets=True, is_independent_predictions=True)
        op(p.half(), t.half())
        return op.aggregate()["dice"]

    def monai() -> float:
        metric = DiceMetric()
        metric(p.half(), t.half())
        return metric.aggregate().item()

    def torchmetrics() -> float:
        metric = DiceScore(2, input_format="one-hot")
        metric.update(p.half(), t.half())
        return metric.compute().item()

    by = {OURS: ours, "MONAI": monai, "torchmetrics": torchmetrics}
    return Fault("float16 beyond 65,504 voxels", by, lambda _, value: near(value, truth), "float16 overflows")


def two_thresholds() -> Fault:
    """Two metrics that differ in a threshold and agree on the first batch."""
    scores = [[0.9, 0.9, 0.1, 0.1], [0.6, 0.9, 0.6, 0.1]]
    label = [[1, 1, 0, 0], [1, 1, 0, 0]]
    data = [(torch.tensor([s])[:, None], torch.tensor([t])[:, None]) for s, t in zip(scores, label, strict=True)]

    def ours() -> list[float]:
        ops = [ma.ComputeDice("low", threshold=0.5), ma.ComputeDice("high", threshold=0.8)]
        for x, y in data:
            ctx = ma.BuildContext(x, y)
            for op in ops:
                op(x, y, build_ctx=ctx)
        return [value for op in ops for value in op.aggregate().values()]

    def monai() -> list[float]:
        metrics = {0.5: DiceMetric(), 0.8: DiceMetric()}
        for x, y in data:
            for threshold, metric in metrics.items():
                metric((x > threshold).float(), y)
        return [metric.aggregate().item() for metric in metrics.values()]

    def torchmetrics() -> list[float]:
        make = tm.classification.BinaryF1Score
        metrics = tm.MetricCollection({"low": make(threshold=0.5), "high": make(threshold=0.8)})
        for x, y in data:
            metrics.update(x.flatten(), y.flatten())
        return [float(metrics.compute()[name]) for name in ("low", "high")]

    def torcheval() -> list[float]:
        metrics = [te.BinaryF1Score(threshold=0.5), te.BinaryF1Score(threshold=0.8)]
        for x, y in data:
            for metric in metrics:
                metric.update(x.flatten(), y.flatten())
        return [float(metric.compute()) for metric in metrics]

    by = {OURS: ours, "MONAI": monai, "torchmetrics": torchmetrics, "torcheval": torcheval}

    def right(library: str, values: list[float]) -> bool:
        hard = ([[int(v > threshold) for v in row] for row in scores] for threshold in (0.5, 0.8))
        pooled = library in ("torcheval", "torchmetrics")
        return all(near(v, by_hand(p, label, pooled, first=1)) for v, p in zip(values, hard, strict=True))

    return Fault("two metrics alike on the first batch", by, right, "taken for one")


def output_lists() -> Fault:
    """A network with deep supervision returns a list of outputs, the full resolution first."""
    x, y = batch()

    def listed(run: Callable[..., float]) -> Cell:
        return lambda: run([([x, x[..., ::2]], y)], 0)

    return Fault(
        "a list of outputs (deep supervision)",
        {library: listed(run) for library, run in DICE.items()},
        lambda library, value: near(value, by_hand(PREDICTED, LABEL, pools(library))),
    )
