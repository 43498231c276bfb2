"""Print what each library does with the same fault: the right value, a wrong one, an error, or no answer at all.

``python benchmarks/faults.py [--row WORD] [--limit 20] [--markdown] [--verbose]``

Every cell is a forked process, or one per rank over gloo, with a time limit. What is right is worked out by hand from
lists of classes: for metrics that average over samples (ours, MONAI, torchmetrics) and for metrics that pool all voxels
(torcheval, Ignite), each by its own definition.

- ``ok``: right, or the error that a row asks for
- ``wrong``: a number that looks like a result and is none
- ``raises``: no number, the run ends
- ``hangs``: a rank waits beyond the limit and none has failed, so nothing ends it
- ``-``: the library has nothing for it
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import datetime
import io
import logging
import math
import multiprocessing
import multiprocessing.connection
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ |= {"MONAI_AUXOPS_COUNTS": "vectorized", "MONAI_AUXOPS_TIMEOUT": "5"}  # no compiler; 30 s by default

import torch
import torch.distributed as dist
import torcheval.metrics as te
import torchmetrics as tm
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint
from ignite.metrics import Accuracy, Average, ConfusionMatrix, DiceCoefficient
from monai.data import DataLoader, Dataset, decollate_batch
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import IgniteMetricHandler, MetricsSaver
from monai.metrics import DiceMetric
from monai.transforms import AsDiscrete, AsDiscreted, Compose
from torch import Tensor
from torcheval.metrics.toolkit import sync_and_compute
from torchmetrics.segmentation import DiceScore
from torchmetrics.wrappers import MetricTracker

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


# --- what is right, by hand --------------------------------------------------------------------------------------


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


# --- one epoch of Dice in each library ---------------------------------------------------------------------------


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
    return [*rows, half(), *counters(), two_thresholds(), output_lists()]


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


def counters() -> list[Fault]:
    """One batch of 2**24 samples, then a thousand of one."""
    many, few = 2**24, 1000
    right, bad = torch.ones(many, 1), torch.zeros(1, 1)
    batches = [(right, right.bool()), *[(bad, ~bad.bool())] * few]
    truth, mean = many / (many + few), 1000 * few / (many + few)

    def ours() -> float:
        op = ma.ComputeAccuracy("accuracy")
        for x, y in batches:
            op(x, y)
        return op.aggregate()["accuracy"]

    def updated(metric: Any, squeeze: bool = True) -> float:
        for x, y in batches:
            metric.update(x[:, 0], y[:, 0].long()) if squeeze else metric.update((x, y.long()))
        return float(metric.compute())

    class Value(ma.AuxiliaryOperation):
        def get_output_tensors(self, predictions: Tensor, label: Tensor | None, build_ctx: Any) -> dict[str, Tensor]:
            return {"value": predictions[:, 0]}

    def ours_mean() -> float:
        op = Value()
        op(torch.zeros(many, 1))
        for _ in range(few):
            op(torch.full((1, 1), 1000.0))
        return op.aggregate()["value"]

    def monai_mean() -> float:
        from monai.metrics import CumulativeAverage

        metric = CumulativeAverage()
        metric.append(0.0, count=many)
        for _ in range(few):
            metric.append(1000.0)
        return float(metric.aggregate())

    def torchmetrics_mean() -> float:
        metric = tm.MeanMetric()
        metric.update(0.0, weight=many)
        for _ in range(few):
            metric.update(1000.0)
        return float(metric.compute())

    def torcheval_mean() -> float:
        metric = te.Mean()
        metric.update(torch.zeros(1), weight=float(many))
        for _ in range(few):
            metric.update(torch.full((1,), 1000.0))
        return float(metric.compute())

    def ignite_mean() -> float:
        metric = Average()
        metric.update(torch.zeros(many, 1))
        for _ in range(few):
            metric.update(1000.0)
        return float(metric.compute())

    accuracy = {
        OURS: ours,
        "torchmetrics": lambda: updated(tm.classification.BinaryAccuracy()),
        "torcheval": lambda: updated(te.BinaryAccuracy()),
        "Ignite": lambda: updated(Accuracy(), squeeze=False),
    }
    means = {
        OURS: ours_mean,
        "MONAI": monai_mean,
        "torchmetrics": torchmetrics_mean,
        "torcheval": torcheval_mean,
        "Ignite": ignite_mean,
    }
    stuck = "float32 counter stops"
    return [
        Fault("accuracy beyond 2^24 samples", accuracy, lambda _, v: near(v, truth, 1e-7), stuck),
        Fault("mean of a value beyond 2^24", means, lambda _, v: near(v, mean, 1e-7), stuck),
    ]


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


# --- engines -----------------------------------------------------------------------------------------------------


class Scripted(torch.nn.Module):
    """Returns the prediction that stands in the image, through one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.one


def dataset(n: int = 7) -> list[dict[str, Tensor]]:
    return [{"image": logits_of([p])[0], "label": torch.tensor([t])} for t, p in list(zip(*CASES, strict=True))[:n]]


def loader(items: Sequence[Any], batch_size: int = 2) -> DataLoader:
    return DataLoader(Dataset(list(items)), batch_size=batch_size)


ONEHOT = Compose([AsDiscreted(keys="pred", argmax=True, to_onehot=3), AsDiscreted(keys="label", to_onehot=3)])
OUTPUT = {"output_transform": lambda output: ([o["pred"] for o in output], [o["label"] for o in output])}


def monai_handler() -> IgniteMetricHandler:
    return IgniteMetricHandler(metric_fn=DiceMetric(), **OUTPUT)


def evaluator(library: str, items: Sequence[Any], batch_size: int = 2, **more: Any) -> SupervisedEvaluator:
    """An evaluator with the library's Dice as key metric."""
    metric = ma.ComputeDice("dice") if library == OURS else monai_handler()
    arguments = {
        "device": torch.device("cpu"),
        "val_data_loader": loader(items, batch_size),
        "network": Scripted(),
        "key_val_metric": {"dice": metric},
    } | ({} if library == OURS else {"postprocessing": ONEHOT})
    return SupervisedEvaluator(**(arguments | more))


def trainer(
    library: str, batch_size: int, network: torch.nn.Module | None = None, epochs: int = 2, step: Any = None
) -> SupervisedTrainer:
    """A trainer with the library's Dice as key metric; it learns nothing, so every epoch has the same value."""
    network = network or Scripted()
    metric = ma.ComputeDice("dice") if library == OURS else monai_handler()
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=loader(dataset(), batch_size),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), 0.0),
        loss_function=lambda x, y: torch.nn.functional.cross_entropy(x, y[:, 0]),
        key_train_metric={"dice": metric},
        iteration_update=step,
        **({} if library == OURS else {"postprocessing": ONEHOT}),
    )


def batches_of(batch_size: int = 2) -> list[Batch]:
    return [(data["image"], data["label"]) for data in loader(dataset(), batch_size)]


def right_epoch(library: str, value: float) -> bool:
    """The Dice of the seven cases."""
    return near(value, by_hand(CASES[1], CASES[0], pools(library)))


def engine_faults() -> list[Fault]:
    """Faults of the run, one process."""
    return [
        *best_models(),
        duplicate_tags(),
        Fault("the engine run twice", both(twice) | loops(repeat=2) | {"Ignite": ignite_twice}, right_epoch),
        Fault("terminate() in mid-epoch, then again", both(stopped) | {"Ignite": ignite_stopped}, right_epoch),
        Fault("resume at an epoch's end", both(resumed) | loops(repeat=2) | {"Ignite": ignite_resumed}, right_epoch),
        Fault(
            "resume in mid-epoch",
            both(mid_epoch) | carried() | {"Ignite": lambda: ignite_resumed(at=2)},
            right_epoch,
            "other samples",
        ),
        Fault(
            "other batch size after resume",
            both(rebatched) | loops(repeat=2) | {"Ignite": lambda: ignite_resumed(size=3)},
            right_epoch,
            "other samples",
        ),
        Fault("network compiled by torch.compile", both(compiled), right_epoch),
        Fault("gradient accumulation", both(accumulated), right_epoch),
    ]


def both(run: Callable[[str], Any]) -> dict[str, Cell]:
    """The same in a MONAI engine, with our metric and with MONAI's."""
    return {library: lambda library=library: run(library) for library in (OURS, "MONAI")}


def loops(repeat: int) -> dict[str, Cell]:
    """A plain loop with ``reset`` between the epochs."""

    def torchmetrics() -> float:
        metric = DiceScore(3, input_format="index")
        for _ in range(repeat):
            metric.reset()
            value = torchmetrics_dice(batches_of(), metric=metric)
        return value

    def torcheval() -> float:
        metric = te.MulticlassF1Score(num_classes=3, average="macro")
        for _ in range(repeat):
            metric.reset()
            for x, y in batches_of():
                torcheval_update(metric, x, y)
        return float(metric.compute())

    return {"torchmetrics": torchmetrics, "torcheval": torcheval}


def carried() -> dict[str, Cell]:
    """A plain loop that saves its metric after two batches and goes on in a new one with the rest."""

    def torchmetrics() -> float:
        first, second = DiceScore(3, input_format="index"), DiceScore(3, input_format="index")
        for metric in (first, second):
            metric.persistent(True)
        torchmetrics_dice(batches_of()[:2], metric=first)
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        return torchmetrics_dice(batches_of()[2:], metric=second)

    def torcheval() -> float:
        first, second = (te.MulticlassF1Score(num_classes=3, average="macro") for _ in range(2))
        for x, y in batches_of()[:2]:
            torcheval_update(first, x, y)
        second.load_state_dict(first.state_dict())
        for x, y in batches_of()[2:]:
            torcheval_update(second, x, y)
        return float(second.compute())

    return {"torchmetrics": torchmetrics, "torcheval": torcheval}


def twice(library: str) -> float:
    engine = evaluator(library, dataset())
    engine.run()
    engine.run()
    return float(engine.state.metrics["dice"])


def ignite_twice() -> float:
    engine = ignite_engine(ignite_metric())
    engine.run(batches_of())
    return float(engine.run(batches_of()).metrics["dice"])


def stopped(library: str) -> float:
    engine = evaluator(library, dataset())
    with engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda engine: engine.terminate()):
        engine.run()
    engine.run()
    return float(engine.state.metrics["dice"])


def ignite_stopped() -> float:
    engine = ignite_engine(ignite_metric())
    with engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda engine: engine.terminate()):
        engine.run(batches_of())
    engine.state.max_epochs = None
    return float(engine.run(batches_of()).metrics["dice"])


def resumed(library: str, size: int = 2, at: int | None = None) -> float:
    """Save after an epoch, or in the second one's middle, and go on in new objects."""
    first, second = trainer(library, 2), trainer(library, size)
    saved: dict[str, Any] = {}

    def save(engine: Engine) -> None:
        saved["engine"] = copy.deepcopy(engine.state_dict())
        if first_op is not None:
            saved["op"] = copy.deepcopy(first_op.state_dict())
        engine.terminate()

    first_op, second_op = (hub_op(engine) if library == OURS else None for engine in (first, second))
    where = Events.EPOCH_COMPLETED(once=1) if at is None else Events.ITERATION_COMPLETED(once=4 + at)
    first.add_event_handler(where, save)
    first.run()
    second.load_state_dict(saved["engine"])
    if second_op is not None:
        second_op.load_state_dict(saved["op"])
    second.run()
    return float(second.state.metrics["dice"])


def hub_op(engine: Engine) -> ma.AuxiliaryOperation:
    from monai_auxops.hub import Hub

    hub = Hub.of(engine)
    assert hub is not None
    op = hub.entries[0].op
    assert isinstance(op, ma.AuxiliaryOperation)
    return op


def mid_epoch(library: str) -> float:
    return resumed(library, at=2)


def rebatched(library: str) -> float:
    return resumed(library, size=3)


def ignite_resumed(size: int = 2, at: int | None = None) -> float:
    first, second = (ignite_engine(ignite_metric()) for _ in range(2))
    saved: dict[str, Any] = {}

    def save(engine: Engine) -> None:
        saved.update(copy.deepcopy(engine.state_dict()))
        engine.terminate()

    first.add_event_handler(
        Events.EPOCH_COMPLETED(once=1) if at is None else Events.ITERATION_COMPLETED(once=4 + at), save
    )
    first.run(batches_of(), max_epochs=2)
    second.load_state_dict(saved)
    return float(second.run(batches_of(size), max_epochs=2).metrics["dice"])


def compiled(library: str) -> float:
    engine = evaluator(library, dataset(), network=torch.compile(Scripted(), backend="aot_eager"))
    engine.run()
    return float(engine.state.metrics["dice"])


def accumulated(library: str) -> float:
    """An optimizer step every second iteration, as a custom update of a trainer does it."""

    def step(engine: Any, data: dict[str, Tensor]) -> dict[str, Any]:
        pred = engine.network(data["image"])
        loss = engine.loss_function(pred, data["label"])
        (loss / 2).backward()
        if engine.state.iteration % 2 == 0:
            engine.optimizer.step()
            engine.optimizer.zero_grad()
        engine.state.output = {**data, "pred": pred, "loss": loss}
        from monai.engines.utils import IterationEvents

        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    engine = trainer(library, 2, epochs=1, step=step)
    engine.run()
    return float(engine.state.metrics["dice"])


def best_models() -> list[Fault]:
    """The epoch whose model is kept, of a run with these scores."""
    nan = math.nan
    rows = {"first": [nan, 0.5, 0.7, 0.6], "in the middle": [0.5, nan, 0.7, 0.6], "always": [nan] * 3}

    def right(_: str, best: Any) -> bool:
        return best == 0.7 or best is None or math.isnan(best) or best == -math.inf

    faults = []
    for name, scores in rows.items():
        by = {
            OURS: lambda scores=scores: best_of(scores, ours=True),
            "MONAI": lambda scores=scores: best_of(scores, ours=False),
            "torchmetrics": lambda scores=scores: tracked(scores),
            "Ignite": lambda scores=scores: checkpointed(scores),
        }
        check = right if name == "always" else lambda _, best: best == 0.7
        faults.append(Fault(f"key metric NaN {name}", by, check, "NaN stays the best"))
    return faults


def best_of(scores: Sequence[float], ours: bool) -> float:
    """The best metric of an evaluator that ran once for each score."""

    class Score(ma.AuxiliaryOperation):
        accumulated = ("score",)

        def get_output_tensors(self, predictions: Tensor, label: Tensor | None, build_ctx: Any) -> dict[str, Tensor]:
            return {"score": torch.tensor(now[0], dtype=torch.float64)}

    now: list[float] = []
    metric = Score() if ours else Average(output_transform=lambda _: now[0])
    engine = evaluator(OURS, dataset(2), key_val_metric={"score": metric})
    for score in scores:
        now[:] = [score]
        engine.run()
    return round(float(engine.state.best_metric), 6)


def tracked(scores: Sequence[float]) -> float | None:
    tracker = MetricTracker(tm.MeanMetric(nan_strategy="disable"), maximize=True)
    for score in scores:
        tracker.increment()
        tracker.update(score)
    best = tracker.best_metric()
    return None if best is None else round(best, 6)


def checkpointed(scores: Sequence[float]) -> float:
    """The score of the checkpoint that Ignite keeps."""
    engine = Engine(lambda _, batch: batch)
    saver = Checkpoint(
        {"engine": engine}, lambda *_: None, score_function=lambda e: scores[e.state.epoch - 1], n_saved=1
    )
    engine.add_event_handler(Events.EPOCH_COMPLETED, saver)
    engine.run([0], max_epochs=len(scores))
    kept = [item.priority for item in saver._saved]
    return float(kept[0])


def duplicate_tags() -> Fault:
    """Two different metrics under one name: an error, or else one of them is lost without a word."""

    def attached(library: str) -> int:
        engine = evaluator(library, dataset())
        second = ma.ComputeAccuracy("accuracy") if library == OURS else monai_handler()
        second.attach(engine, "dice")
        engine.run()
        return len(engine.state.metrics)

    def torchmetrics() -> int:
        metrics = [DiceScore(3, input_format="index"), DiceScore(3, include_background=False, input_format="index")]
        return len(tm.MetricCollection(metrics).compute())

    def ignite() -> int:
        engine = ignite_engine(ignite_metric())
        ignite_metric(first=1).attach(engine, "dice")
        return len(engine.run(batches_of()).metrics)

    by = both(attached) | {"torchmetrics": torchmetrics, "Ignite": ignite}
    return Fault("two metrics of one name", by, lambda _, n: n == 2, "one lost silently", may_raise=True)


# --- ranks -------------------------------------------------------------------------------------------------------


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
        Fault("handlers cut on rank 1", by(cut_handlers, OURS, "MONAI"), right_epoch, world=2),
        Fault("a user's metric raises on rank 1", by(raising_op), lambda *_: False, may_raise=True, world=2),
    ]


# --- running a cell ----------------------------------------------------------------------------------------------


Answers = list[tuple[str, Any] | None]  # by rank: ("value", v), ("error", text), or None of one that hangs


def child(cell: Cell, rank: int, world: int, store: str, pipe: Any, over: Any) -> None:
    """Run one cell in this process; a rank that is done lives on, as one that goes to its next work."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            if world > 1:
                os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
                dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
            pipe.send(("value", cell()))
            over.wait()
        except BaseException as error:
            pipe.send(("error", f"{type(error).__name__}: {error}"))
    os._exit(0)


def run_cell(cell: Cell, world: int, limit: float) -> Answers:
    """The answers of all ranks, as far as they came within ``limit`` seconds."""
    context = multiprocessing.get_context("fork")
    over, pipes, children = context.Event(), [], []
    with tempfile.TemporaryDirectory() as folder:
        for rank in range(world):
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=child, args=(cell, rank, world, f"{folder}/store", theirs, over))
            process.start()
            theirs.close()
            pipes.append(mine)
            children.append(process)
        answers = listen(pipes, limit)
        over.set()
        for process in children:
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()
    return answers


def listen(pipes: list[Any], limit: float) -> Answers:
    """What each rank says; as a launcher does, do not wait long for the others once one has failed."""
    said: dict[Any, tuple[str, Any]] = {}
    deadline = time.monotonic() + limit
    while len(said) < len(pipes) and time.monotonic() < deadline:
        waiting: list[Any] = [pipe for pipe in pipes if pipe not in said]
        for pipe in multiprocessing.connection.wait(waiting, deadline - time.monotonic()):
            try:
                said[pipe] = pipe.recv()  # type: ignore[union-attr]
            except EOFError:
                said[pipe] = ("error", "died")
            if said[pipe][0] == "error":
                deadline = min(deadline, time.monotonic() + GRACE)
    return [said.get(pipe) for pipe in pipes]


def judge(fault: Fault, library: str, answers: Answers) -> Outcome:
    """One word for what happened: the worst of the ranks."""
    said = [answer for answer in answers if answer is not None]
    errors = [value for kind, value in said if kind == "error"]
    if errors:  # torchrun ends the ranks that still wait
        return Outcome("ok", "error") if fault.may_raise else Outcome("raises", errors[0].split(":")[0])
    if len(said) < len(answers):
        return Outcome("hangs")
    if all(fault.right(library, value) for _, value in said):
        return Outcome("ok")
    return Outcome("wrong", fault.wrong)


def table(faults: Sequence[Fault], limit: float, verbose: bool = False) -> dict[str, dict[str, Outcome]]:
    """Run everything."""
    found: dict[str, dict[str, Outcome]] = {}
    for fault in faults:
        found[fault.name] = {}
        for library in LIBRARIES:
            if library not in fault.by:
                found[fault.name][library] = Outcome("-")
                continue
            answers = run_cell(fault.by[library], fault.world, limit)
            found[fault.name][library] = judge(fault, library, answers)
            if verbose:
                print(f"{fault.name} | {library} | {answers}", file=sys.stderr)
    return found


def render(found: dict[str, dict[str, Outcome]], markdown: bool) -> str:
    """The table, for a terminal (red and green where it is one) or as Markdown."""
    colours = {"ok": 32, "wrong": 31, "raises": 33, "hangs": 31}
    if markdown:
        lines = [f"| fault | {' | '.join(LIBRARIES)} |", f"| --- |{' --- |' * len(LIBRARIES)}"]
        lines += [
            f"| {name} | {' | '.join(str(row[library]) for library in LIBRARIES)} |" for name, row in found.items()
        ]
        return "\n".join(lines)
    width = max(len(str(cell)) for row in found.values() for cell in row.values()) + 2
    lines = [" " * 40 + "".join(library.ljust(width) for library in LIBRARIES)]
    for name, row in found.items():
        cells = [str(row[library]).ljust(width) for library in LIBRARIES]
        if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
            cells = [
                f"\x1b[{colours.get(row[lib].kind, 0)}m{cell}\x1b[0m"
                for lib, cell in zip(LIBRARIES, cells, strict=True)
            ]
        lines.append(f"{name:40}" + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def only_ours(row: dict[str, Outcome]) -> bool:
    """Green for us, and for no peer that has something for it."""
    peers = [cell for library, cell in row.items() if library != OURS and cell.kind != "-"]
    return row[OURS].kind == "ok" and bool(peers) and all(cell.kind != "ok" for cell in peers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", help="only rows whose name holds this text")
    parser.add_argument("--limit", type=float, default=20, help="seconds after which a cell hangs")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="show what every rank said")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    faults = [f for f in (*value_faults(), *engine_faults(), *rank_faults()) if (options.row or "") in f.name]
    found = table(faults, options.limit, options.verbose)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    print(f"{datetime.date.today()} · Python {platform.python_version()} · {versions}\n")
    print(render(found, options.markdown))
    red = [name for name, row in found.items() if row[OURS].kind != "ok"]
    ahead = [name for name, row in found.items() if only_ours(row)]
    silent = [name for name in ahead if any(cell.kind in ("wrong", "hangs") for cell in found[name].values())]
    print(
        f"\nours: {len(found) - len(red)} of {len(found)} rows ok; {len(ahead)} rows ok only for ours, "
        f"in {len(silent)} of them a peer gives a wrong number or hangs"
    )
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
