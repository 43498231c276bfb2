"""Faults between ranks: empty shards, metrics or handlers on some ranks only, errors on one."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torcheval.metrics as te
import torchmetrics as tm
from ignite.engine import Engine
from ignite.metrics import Average
from monai.handlers import IgniteMetricHandler, MetricsSaver
from monai.metrics import CumulativeIterationMetric, DiceMetric
from torch import Tensor
from torcheval.metrics.toolkit import sync_and_compute

import monai_auxops as ma
from benchmarks.fault_rows.common import (
    LIBRARIES,
    OURS,
    Batch,
    Cell,
    Fault,
    ignite_dice,
    monai_dice,
    our_dice,
    torcheval_update,
    torchmetrics_dice,
)
from benchmarks.fault_rows.small import OUTPUT, dataset, evaluator, monai_handler, right_epoch


def shard(empty: bool = False) -> list[dict[str, Tensor]]:
    """Rank 0 has six of the seven cases, the other one; or all and none."""
    items = dataset()
    cut = 7 if empty else 6
    return items[:cut] if dist.get_rank() == 0 else items[cut:]


def shard_batches(empty: bool = False) -> list[Batch]:
    return [(item["image"][None], item["label"][None]) for item in shard(empty)]


def ranks_of(library: str, empty: bool = False) -> float:
    """The value of an epoch that is spread unevenly over two ranks."""
    if library in (OURS, "MONAI"):
        engine = evaluator(library, shard(empty))
        engine.run()
        return float(engine.state.metrics.get("dice", math.nan))
    if library == "torchmetrics":
        return torchmetrics_dice(shard_batches(empty))
    if library == "torcheval":
        metric = te.MulticlassF1Score(num_classes=3, average="macro")
        for x, y in shard_batches(empty):
            torcheval_update(metric, x, y)
        return float(sync_and_compute(metric))
    return ignite_dice(shard_batches(empty))


def on_one_rank(library: str) -> float:
    """A second metric that rank 1 does not have."""
    first = dist.get_rank() == 0
    if library in (OURS, "MONAI"):
        extra = ma.ComputeAccuracy("more") if library == OURS else monai_handler()
        engine = evaluator(library, shard(), additional_metrics={"more": extra} if first else None)
        engine.run()
        return float(engine.state.metrics["dice"])
    for _ in range(1 + first):
        value = ranks_of(library)
    return value


def plain_loop(library: str) -> float:
    """The value of a loop over each rank's own cases, as its users ask for it."""
    if library == OURS:
        return our_dice(shard_batches())
    if library == "MONAI":
        return monai_dice(shard_batches())
    return ranks_of(library)


def other_order(library: str) -> bool:
    """Two values, 1 and 100 on every rank, asked for in another order on rank 1; whether each is what it was."""

    class Value(ma.AuxiliaryOperation):
        accumulated = ("value",)

        def get_output_tensors(self, predictions: Tensor, label: Tensor | None, build_ctx: Any) -> dict[str, Tensor]:
            return {"value": predictions[:, 0]}

    def made(truth: float) -> Callable[[], float]:
        if library == OURS:
            ours = Engine(lambda *_: (torch.full((1, 1), truth), None))
            Value().attach(ours, "value")
            return lambda: float(ours.run([0]).metrics["value"])
        if library == "MONAI":
            metric = MeanOf()
            metric(torch.full((1, 1), truth))
            return lambda: float(metric.aggregate())
        if library == "torchmetrics":
            mean = tm.MeanMetric()
            mean.update(truth)
            return lambda: float(mean.compute())
        if library == "torcheval":
            total = te.Mean()
            total.update(torch.tensor([truth]))
            return lambda: float(sync_and_compute(total))
        engine = Engine(lambda *_: truth)
        Average().attach(engine, "value")
        return lambda: float(engine.run([0]).metrics["value"])

    pairs = [(truth, made(truth)) for truth in (1.0, 100.0)]
    same = [ask() == truth for truth, ask in (pairs if dist.get_rank() == 0 else pairs[::-1])]
    return all(same)


class MeanOf(CumulativeIterationMetric):
    """MONAI's way to write a metric: a value per sample, gathered."""

    def _compute_tensor(self, y_pred: Tensor, y: Any = None, **_: Any) -> Tensor:
        return y_pred

    def aggregate(self) -> Tensor:
        return self.get_buffer().mean()


def beside_ddp(library: str) -> float:
    """Rank 0 alone asks for a value while rank 1 takes the next training step; then both are right, or say why not."""
    net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
    if dist.get_rank() == 0:
        plain_loop(library)
    net(torch.ones(2, 4)).sum().backward()
    return float(net.module.bias.grad)


def cut_handlers(library: str) -> float:
    """Values per case in a report, and handlers of which rank 1 gets none."""
    with tempfile.TemporaryDirectory() as folder:
        first = dist.get_rank() == 0
        if library == OURS:
            report = ma.ComputeAverageDice("report", "model", report_path=folder)
            engine = evaluator(OURS, shard(), additional_metrics={"report": report})
            if first:
                ma.AuxStatsHandler().attach(engine)
        else:
            engine = evaluator("MONAI", shard())
            if first:
                MetricsSaver(folder, metrics="dice", metric_details="*").attach(engine)
        engine.run()
        return float(engine.state.metrics["dice"])


def raising_op(library: str) -> float:
    """A user's metric raises on rank 1 alone."""

    def maybe() -> None:
        if dist.get_rank() == 1:
            raise ZeroDivisionError("a user's mistake")

    class OurOp(ma.AuxiliaryOperation):
        accumulated = ("mine",)

        def get_output_tensors(self, predictions: Tensor, label: Tensor | None, build_ctx: Any) -> dict[str, Tensor]:
            maybe()
            return {"mine": torch.zeros(())}

    class MonaiOp(DiceMetric):
        def _compute_tensor(self, *args: Any, **kwargs: Any) -> Any:
            maybe()
            return super()._compute_tensor(*args, **kwargs)

    class TorchOp(tm.MeanMetric):
        def update(self, *args: Any, **kwargs: Any) -> None:
            maybe()
            super().update(*args, **kwargs)

    class IgniteOp(Average):
        def update(self, output: Any) -> None:
            maybe()
            super().update(output)

    if library in (OURS, "MONAI"):
        metric = OurOp() if library == OURS else IgniteMetricHandler(metric_fn=MonaiOp(), **OUTPUT)
        engine = evaluator(library, shard(), key_val_metric={"mine": metric})
        engine.run()
        return 0.0
    if library == "torchmetrics":
        torch_op = TorchOp()
        torch_op.update(1.0)
        return float(torch_op.compute())
    if library == "torcheval":
        mean = te.Mean()
        maybe()
        mean.update(torch.ones(1))
        return float(sync_and_compute(mean))
    engine = Engine(lambda *_: 1.0)
    IgniteOp().attach(engine, "mine")
    return float(engine.run(range(2)).metrics["mine"])


def rank_faults() -> list[Fault]:
    """Faults of one rank of two."""

    def by(run: Callable[..., float], *libraries: str, **options: Any) -> dict[str, Cell]:
        return {library: lambda library=library: run(library, **options) for library in libraries or LIBRARIES}

    return [
        Fault("a rank with fewer batches", by(ranks_of), right_epoch, world=2),
        Fault("a rank with no batch", by(ranks_of, empty=True), right_epoch, may_raise=True, world=2),
        Fault("a metric on one rank only", by(on_one_rank), right_epoch, may_raise=True, world=2),
        Fault("a plain loop", by(plain_loop), right_epoch, "each rank its own", world=2),
        Fault("values in another order on rank 1", by(other_order), lambda _, same: same, "two values mixed", True, 2),
        Fault("a value on one rank beside DDP", by(beside_ddp), lambda _, grad: grad == 2, may_raise=True, world=2),
        Fault("handlers cut on rank 1", by(cut_handlers, OURS, "MONAI"), right_epoch, world=2),
        Fault("a user's metric raises on rank 1", by(raising_op), lambda *_: False, may_raise=True, world=2),
    ]
