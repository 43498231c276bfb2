"""Faults in engines: loops, runs cut off and resumed, compiled networks, accumulated gradients."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torcheval.metrics as te
from ignite.engine import Engine, Events
from torch import Tensor
from torchmetrics.segmentation import DiceScore

import monai_auxops as ma
from benchmarks.fault_rows.best import best_models, duplicate_tags
from benchmarks.fault_rows.common import (
    OURS,
    Cell,
    Fault,
    ignite_engine,
    ignite_metric,
    torcheval_update,
    torchmetrics_dice,
)
from benchmarks.fault_rows.small import Scripted, batches_of, both, dataset, evaluator, right_epoch, trainer


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
