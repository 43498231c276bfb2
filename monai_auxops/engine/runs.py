"""The run that a value belongs to: one training with its validations, or one evaluation on its own."""

from __future__ import annotations

import datetime
import itertools
import os
from typing import TYPE_CHECKING

from monai_auxops.engine.epochs import trainer_of, training_epoch

if TYPE_CHECKING:
    from ignite.engine import Engine

_number = itertools.count(1)


def training_of(engine: Engine) -> Engine:
    """Return the trainer in whose handler ``engine`` runs, or ``engine`` itself."""
    return trainer_of(engine) or engine


def note_start(engine: Engine) -> None:
    """Record at an engine's start whether it continues an earlier run."""
    if trainer_of(engine) is None:
        engine._auxops_resumed = engine.state.epoch > 0


def is_resumed(engine: Engine) -> bool:
    """Tell whether the training of ``engine`` continues an earlier one, starting after its first epoch."""
    return bool(getattr(training_of(engine), "_auxops_resumed", False))


def run_id(engine: Engine) -> str:
    """Return the id of the run that ``engine`` belongs to; the first call creates it."""
    trainer = training_of(engine)
    if known_run(engine) is None:
        trainer._auxops_run = new_run_id()
    return str(trainer._auxops_run)


def known_run(engine: Engine) -> str | None:
    """Return the id of the run that ``engine`` belongs to; None if it has none yet."""
    run = getattr(training_of(engine), "_auxops_run", None)
    return None if run is None else str(run)


def continue_run(engine: Engine, run: str) -> None:
    """Record that the training of ``engine`` continues ``run``."""
    training_of(engine)._auxops_run = run


def new_run_id() -> str:
    """Return a unique id: start time, process, and a number from the second run of a process on."""
    at, number = datetime.datetime.now().strftime("%Y%m%d-%H%M%S"), next(_number)
    suffix = f"-{number}" if number > 1 else ""
    return f"{at}-{os.getpid()}{suffix}"


def training_step(engine: Engine) -> int:
    """Return the iterations of ``engine`` over the whole training; an evaluator's own counter restarts in each run.

    Examples:
        >>> from ignite.engine import Engine, Events
        >>> trainer, evaluator, seen = Engine(lambda engine, batch: None), Engine(lambda engine, batch: None), []
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([0, 1]))
        >>> _ = evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(training_step(e)))
        >>> _ = trainer.run([0], max_epochs=2)
        >>> seen
        [1, 2, 3, 4]
    """
    state = engine.state
    if training_of(engine) is engine or not state.epoch_length:
        return int(state.iteration)
    length = int(state.epoch_length)
    return (training_epoch(engine) - 1) * length + (int(state.iteration) - 1) % length + 1
