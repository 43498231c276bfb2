"""Faults of runs that were cut off and go on from what was saved: at any moment, by a signal, with other batches."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torcheval.metrics as te
from ignite.engine import Engine, Events
from torchmetrics.segmentation import DiceScore

import monai_auxops as ma
from benchmarks.fault_rows.common import (
    OURS,
    Cell,
    Fault,
    ignite_engine,
    ignite_metric,
    torcheval_update,
    torchmetrics_dice,
)
from benchmarks.fault_rows.small import batches_of, both, right_epoch, trainer

if TYPE_CHECKING:
    from monai.engines import SupervisedTrainer


def resume_faults() -> list[Fault]:
    """Saved at one moment, gone on from there in new objects; the last two in another process."""
    ignite = {"Ignite": ignite_resumed}
    mid = both(mid_epoch) | carried() | {"Ignite": lambda: ignite_resumed(at=2)}
    other = both(rebatched) | loops(repeat=2) | {"Ignite": lambda: ignite_resumed(size=3)}
    why = "other samples"
    return [
        Fault("resume at an epoch's end", both(resumed) | loops(repeat=2) | ignite, right_epoch),
        Fault("resume in mid-epoch", mid, right_epoch, why),
        Fault("other batch size after resume", other, right_epoch, why),
        Fault("SIGTERM in mid-epoch, restarted", both(terminated), right_epoch, why),
        Fault("kill -9 in mid-epoch, restarted", both(killed), right_epoch, why),
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


def resumed(library: str, size: int = 2, at: int | None = None) -> float:
    """Save after an epoch, or in the second one's middle, and go on in new objects."""
    saved: dict[str, Any] = {}

    def save(engine: Engine) -> None:
        saved.update(copy.deepcopy(parts_of(library, engine)))
        engine.terminate()

    first = trainer(library, 2)
    where = Events.EPOCH_COMPLETED(once=1) if at is None else Events.ITERATION_COMPLETED(once=4 + at)
    first.add_event_handler(where, save)
    first.run()
    return gone_on(library, saved, size)


def parts_of(library: str, engine: Engine) -> dict[str, Any]:
    """What a user saves: the engine's state, and the metric's where it has one."""
    return {"engine": engine.state_dict()} | ({"op": hub_op(engine).state_dict()} if library == OURS else {})


def gone_on(library: str, saved: dict[str, Any], size: int = 2) -> float:
    """The last epoch's value of a run that continues in new objects."""
    second: SupervisedTrainer = trainer(library, size)
    second.load_state_dict(saved["engine"])
    if library == OURS:
        hub_op(second).load_state_dict(saved["op"])
    second.run()
    return float(second.state.metrics["dice"])


def hub_op(engine: Engine) -> ma.AuxiliaryOperation:
    from monai_auxops.engine.hub import Hub

    hub = Hub.of(engine)
    assert hub is not None
    op = hub.attachments[0].op
    assert isinstance(op, ma.AuxiliaryOperation)
    return op


def until_a_signal(library: str, file: Path, number: int) -> None:
    """Train, save after each iteration, and send this process a signal in the second epoch's middle."""
    engine = trainer(library, 2)

    @engine.on(Events.ITERATION_COMPLETED)
    def save(engine: Engine) -> None:
        torch.save(parts_of(library, engine), file)
        if engine.state.iteration == 4 + 2:
            os.kill(os.getpid(), number)

    engine.run()


def signalled(library: str, number: int) -> float:
    """Another process ends by the signal; this one goes on from its last checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "checkpoint.pt"
        process = multiprocessing.get_context("fork").Process(target=until_a_signal, args=(library, file, number))
        process.start()
        process.join()
        if process.exitcode != -number:
            raise RuntimeError(f"expected the run to end by signal {number}, it ended with {process.exitcode}")
        return gone_on(library, torch.load(file, weights_only=True))


def terminated(library: str) -> float:
    return signalled(library, signal.SIGTERM)


def killed(library: str) -> float:
    return signalled(library, signal.SIGKILL)


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
