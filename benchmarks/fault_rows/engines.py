"""Faults in engines: runs twice and cut short, compiled networks, accumulated gradients."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Events
from torch import Tensor

from benchmarks.fault_rows.best import best_models, duplicate_tags, watched_values
from benchmarks.fault_rows.common import Fault, ignite_engine, ignite_metric
from benchmarks.fault_rows.resumes import loops
from benchmarks.fault_rows.small import Scripted, batches_of, both, dataset, evaluator, right_epoch, trainer


def engine_faults() -> list[Fault]:
    """Faults of the run, one process."""
    return [
        *best_models(),
        *watched_values(),
        duplicate_tags(),
        Fault("the engine run twice", both(twice) | loops(repeat=2) | {"Ignite": ignite_twice}, right_epoch),
        Fault("terminate() in mid-epoch, then again", both(stopped) | {"Ignite": ignite_stopped}, right_epoch),
        Fault("network compiled by torch.compile", both(compiled), right_epoch),
        Fault("gradient accumulation", both(accumulated), right_epoch),
    ]


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
