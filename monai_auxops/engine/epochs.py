"""The training epoch that a value belongs to: an evaluator's own counter does not tell it."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterator

from ignite.engine import Engine

_LINK = "_auxops_trainer"


def training_epoch(engine: Engine) -> int:
    """Return the epoch that a value of ``engine`` belongs to: the trainer's epoch, not an evaluator's own.

    A plain Ignite evaluator starts with epoch 1 in each of its runs, and several evaluators may run within one epoch of
    a trainer. The trainer is the engine in whose event handler ``engine`` runs, or the one set by ``link``.
    Without a trainer the engine's own epoch is returned.

    Call it in a handler of ``engine`` (or of its trainer).

    Examples:
        >>> from ignite.engine import Events
        >>> trainer, evaluator, seen = Engine(lambda engine, batch: None), Engine(lambda engine, batch: None), []
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([0]))
        >>> _ = evaluator.add_event_handler(Events.COMPLETED, lambda engine: seen.append(training_epoch(engine)))
        >>> _ = trainer.run([0], max_epochs=3)
        >>> seen
        [1, 2, 3]
    """
    trainer = trainer_of(engine)
    return int((engine if trainer is None else trainer).state.epoch)


def training_iteration(engine: Engine) -> int:
    """Return the iterations that the training has completed, like ``training_epoch`` but for curves over steps."""
    trainer = trainer_of(engine)
    return int((engine if trainer is None else trainer).state.iteration)


def trainer_of(engine: Engine) -> Engine | None:
    """Return the engine that runs ``engine`` in one of its handlers, or the one it is linked to; otherwise None."""
    for outer in enclosing_engines():
        if outer is not engine:
            return outer
    linked = getattr(engine, _LINK, None)
    return None if linked is None else linked()


def link(evaluator: Engine, trainer: Engine) -> None:
    """Record that ``evaluator`` validates the model of ``trainer``, for runs outside the trainer's own handlers."""
    setattr(evaluator, _LINK, weakref.ref(trainer))


def enclosing_engines() -> Iterator[Engine]:
    """Yield the engines whose event handlers are being executed, the innermost first.

    They are read from the call stack, because an evaluator does not know who runs it, and a trainer without aux-ops has
    no hook that could tell. This takes a few microseconds, once per run of an evaluator.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is Engine._fire_event.__code__:
            yield frame.f_locals["self"]
        frame = frame.f_back
