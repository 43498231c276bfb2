"""Faults in values: NaN, labels outside the classes, empty batches, half precision, counters."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torcheval.metrics as te
import torchmetrics as tm
from ignite.metrics import ConfusionMatrix, DiceCoefficient
from monai.data import decollate_batch
from monai.metrics import DiceMetric, ROCAUCMetric
from monai.transforms import Activations
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
    ignite_engine,
    logits_of,
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
    return [*rows, half(), two_thresholds(), *default_dtypes(), ignored_class(), confident_scores(), output_lists()]


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


def default_dtypes() -> list[Fault]:
    """The same batch while the process' default dtype is a narrow one."""

    def under(dtype: torch.dtype, run: Callable[..., float]) -> float:
        data = [batch()]
        torch.set_default_dtype(dtype)
        return run(data, 0)

    def right(library: str, value: float) -> bool:
        return near(value, by_hand(PREDICTED, LABEL, pools(library)))

    return [
        Fault(
            f"the default dtype is {str(dtype).removeprefix('torch.')}",
            {library: lambda run=run, dtype=dtype: under(dtype, run) for library, run in DICE.items()},
            right,
            "the value is rounded",
        )
        for dtype in (torch.bfloat16, torch.float16)
    ]


def ignored_class() -> Fault:
    """Class 2 is ignored: the mean of F1 is that of classes 0 and 1, over the voxels of these classes."""
    label, predicted = [[0, 0, 1, 1, 2, 2]], [[0, 2, 1, 1, 0, 1]]
    x, y = logits_of(predicted), torch.tensor(label)[:, None]

    def ours() -> float:
        op = ma.ComputeDice("dice", ignore_index=2)
        op(x, y)
        return op.aggregate()["dice"]

    def torchmetrics() -> float:
        metric = tm.classification.MulticlassF1Score(num_classes=3, ignore_index=2, average="macro")
        metric.update(x.argmax(1), y[:, 0])
        return float(metric.compute())

    def ignite() -> float:
        metric = DiceCoefficient(ConfusionMatrix(3), ignore_index=2).mean()
        return float(ignite_engine(metric).run([(x, y)]).metrics["dice"])

    truth = (2 * 1 / (1 + 2) + 1) / 2  # class 0: one hit of one predicted and two there; class 1: all
    by = {OURS: ours, "torchmetrics": torchmetrics, "Ignite": ignite}
    return Fault("an ignored class among the classes", by, lambda _, v: near(v, truth), "its predictions still count")


def confident_scores() -> Fault:
    """Logits so large that their sigmoid is 1.0 in float32: they still rank."""
    x = torch.tensor([[20.0], [24.0], [22.0], [28.0], [26.0], [30.0]])
    y = torch.tensor([[0], [0], [1], [1], [0], [1]])
    truth = sum((p > n) for p in (22, 28, 30) for n in (20, 24, 26)) / 9

    def ours() -> float:
        context = ma.BuildContext(x, y)
        ops = [ma.ComputeBinaryPreds(), ma.ComputeAUC("auc", "binary_preds", "binary_labels")]
        for op in ops:
            op(x, y, build_ctx=context)
        return ops[1].aggregate()["auc"]

    def monai() -> float:
        metric, sigmoid = ROCAUCMetric(), Activations(sigmoid=True)
        metric([sigmoid(i) for i in decollate_batch(x)], decollate_batch(y))
        return float(metric.aggregate())

    def torchmetrics() -> float:
        metric = tm.classification.BinaryAUROC()
        metric.update(x[:, 0], y[:, 0])
        return float(metric.compute())

    def torcheval() -> float:
        metric = te.BinaryAUROC()
        metric.update(x[:, 0], y[:, 0])
        return float(metric.compute())

    by = {OURS: ours, "MONAI": monai, "torchmetrics": torchmetrics, "torcheval": torcheval}
    return Fault("AUC of confident logits", by, lambda _, value: near(value, truth), "they are ties in float32")


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
