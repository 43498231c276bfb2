"""Faults of counters: beyond 2^24 float32 stops, beyond 2^31 int32 turns negative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torcheval.metrics as te
import torchmetrics as tm
from ignite.metrics import Accuracy, Average
from monai.metrics import CumulativeAverage
from torch import Tensor

import monai_auxops as ma
from benchmarks.fault_rows.common import OURS, Cell, Fault, near

FEW, STUCK = 1000, "float32 counter stops"


def counter_faults() -> list[Fault]:
    """A great many samples, then a thousand of one that still have to count."""
    many = 2**24
    rows = [Fault("accuracy beyond 2^24 samples", accuracies(many), near_to(many / (many + FEW)), STUCK)]
    for exponent in (24, 31):
        many = 2**exponent
        truth = near_to(1000 * FEW / (many + FEW))
        rows.append(Fault(f"mean of a value beyond 2^{exponent} samples", means(many), truth, STUCK))
    return rows


def near_to(truth: float) -> Callable[[str, Any], bool]:
    """Relative, for a mean of so many is small: float32 rounds by 6e-8, a counter that stops at 2^31 errs by 5e-7."""
    return lambda _, value: near(float(value) / truth, 1.0, 2e-7)


def accuracies(many: int) -> dict[str, Cell]:
    """The share of right samples: many right ones in one batch, then a few wrong ones."""
    right, bad = torch.ones(many, 1), torch.zeros(1, 1)
    batches = [(right, right.bool()), *[(bad, ~bad.bool())] * FEW]

    def ours() -> float:
        op = ma.ComputeAccuracy("accuracy")
        for x, y in batches:
            op(x, y)
        return op.aggregate()["accuracy"]

    def updated(metric: Any, squeeze: bool = True) -> float:
        for x, y in batches:
            metric.update(x[:, 0], y[:, 0].long()) if squeeze else metric.update((x, y.long()))
        return float(metric.compute())

    return {
        OURS: ours,
        "torchmetrics": lambda: updated(tm.classification.BinaryAccuracy()),
        "torcheval": lambda: updated(te.BinaryAccuracy()),
        "Ignite": lambda: updated(Accuracy(), squeeze=False),
    }


class Value(ma.AuxiliaryOperation):
    """The prediction itself."""

    accumulated = ("value",)

    def get_output_tensors(self, predictions: Tensor, label: Tensor | None, build_ctx: Any) -> dict[str, Tensor]:
        return {"value": predictions[:, 0]}


def means(many: int) -> dict[str, Cell]:
    """The mean of many zeros, as the metric's own weight or state says it, and of a few values of 1000."""

    def ours() -> float:
        op = Value()
        op(torch.zeros(1, 1))
        state = op.state_dict()
        state["states"][0]["counts"].fill_(many)
        op.load_state_dict(state)
        for _ in range(FEW):
            op(torch.full((1, 1), 1000.0))
        return op.aggregate()["value"]

    def monai() -> float:
        metric = CumulativeAverage()
        metric.append(0.0, count=many)
        for _ in range(FEW):
            metric.append(1000.0)
        return float(metric.aggregate())

    def torchmetrics() -> float:
        metric = tm.MeanMetric()
        metric.update(0.0, weight=many)
        for _ in range(FEW):
            metric.update(1000.0)
        return float(metric.compute())

    def torcheval() -> float:
        metric = te.Mean()
        metric.update(torch.zeros(1), weight=float(many))
        for _ in range(FEW):
            metric.update(torch.full((1,), 1000.0))
        return float(metric.compute())

    def ignite() -> float:
        metric = Average()
        metric.update(0.0)
        metric.num_examples = many
        for _ in range(FEW):
            metric.update(1000.0)
        return float(metric.compute())

    return {OURS: ours, "MONAI": monai, "torchmetrics": torchmetrics, "torcheval": torcheval, "Ignite": ignite}
