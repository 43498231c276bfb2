"""Epochs are the trainer's, whatever an evaluator's own counter says."""

from __future__ import annotations

import gc
import weakref

import pytest
from ignite.engine import Engine, Events

from monai_auxops.engine.epochs import link, trainer_of, training_epoch, training_iteration


def idle() -> Engine:
    return Engine(lambda engine, batch: None)


def told(evaluator: Engine, event=Events.COMPLETED) -> list[tuple[int, int]]:
    """Epoch and iteration of the training, as each run of ``evaluator`` saw them."""
    seen: list[tuple[int, int]] = []
    evaluator.add_event_handler(event, lambda e: seen.append((training_epoch(e), training_iteration(e))))
    return seen


@pytest.mark.parametrize("event", [Events.STARTED, Events.EPOCH_STARTED, Events.ITERATION_COMPLETED, Events.COMPLETED])
def test_an_evaluator_run_in_a_handler_has_the_trainers_epoch(event):
    trainer, evaluator = idle(), idle()
    seen = told(evaluator, event)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([0]))
    trainer.run([0, 1], max_epochs=3)
    assert seen == [(1, 2), (2, 4), (3, 6)]


def test_in_mid_epoch_and_every_second_epoch():
    trainer, evaluator = idle(), idle()
    seen = told(evaluator)
    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=3), lambda: evaluator.run([0]))
    trainer.run([0, 1], max_epochs=3)
    assert seen == [(2, 3), (3, 6)]


def test_several_evaluators_on_one_trainer(engines):
    trainer, plain, monais = idle(), idle(), engines.evaluator(n=1)
    seen = told(plain), told(monais)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: (plain.run([0]), monais.run()))
    trainer.run([0], max_epochs=2)
    assert seen == ([(1, 1), (2, 2)], [(1, 1), (2, 2)])


def test_without_a_trainer_the_engines_own_epoch(engines):
    engine, evaluator = idle(), engines.evaluator(n=1)
    seen = told(engine), told(evaluator)
    engine.run([0], max_epochs=2)
    evaluator.run(7)
    assert seen == ([(2, 2)], [(7, 1)])


def test_a_linked_evaluator_outside_the_trainers_handlers():
    trainer, evaluator = idle(), idle()
    link(evaluator, trainer)
    seen = told(evaluator)
    for epochs in (1, 2):
        trainer.run([0], max_epochs=epochs)
        evaluator.run([0])
    assert seen == [(1, 1), (2, 2)]


def test_a_link_keeps_no_trainer_alive():
    trainer, evaluator = idle(), idle()
    link(evaluator, trainer)
    there = weakref.ref(trainer)
    del trainer
    gc.collect()
    assert there() is None
    assert trainer_of(evaluator) is None
