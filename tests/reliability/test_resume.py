"""A run that was cut off: the epoch values after the resume are the uninterrupted run's."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from ignite.engine import Engine, Events
from monai.handlers import CheckpointLoader, CheckpointSaver

import monai_auxops as ma
from monai_auxops.engine.hub import Hub
from tests.engines.conftest import TAGS, Engines, network
from tests.reliability.worker import Continuing

EPOCHS, SIZE = 3, 3  # of seven cases: 3 iterations an epoch


def trained(**kwargs):
    """A trainer that learns nothing, so that an epoch's value does not depend on how it was reached."""
    net = network()
    op = ma.DiceMaskedOutput(TAGS, skip_background=True)
    slots = {"key_train_metric": {"train_dice": op}, "additional_metrics": {"train_preds": ma.ComputeAccuracy("acc")}}
    options = {"max_epochs": EPOCHS, "optimizer": torch.optim.SGD(net.parameters(), 0.0)} | slots | kwargs
    trainer = Engines().trainer(net, **options)
    values: list[dict[str, float]] = []
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: values.append(dict(engine.state.metrics)))
    return trainer, values


def states(trainer: Engine) -> dict[str, object]:
    hub = Hub.of(trainer)
    return copy.deepcopy({"trainer": trainer.state_dict(), "ops": [e.op.state_dict() for e in hub.attachments]})


def stopped_at(iteration: int, **kwargs) -> dict[str, object]:
    """The states of a run that ended after so many iterations."""
    trainer, _ = trained(**kwargs)
    saved: dict[str, object] = {}

    @trainer.on(Events.ITERATION_COMPLETED(once=iteration))
    def stop(engine: Engine) -> None:
        saved.update(states(engine))
        if isinstance(engine.data_loader, Continuing):
            saved["loader"] = engine.data_loader.state_dict()
        engine.terminate()

    trainer.run()
    return saved


def restore(trainer: Engine, saved, ops: bool = True) -> None:
    trainer.load_state_dict(saved["trainer"])
    for entry, state in zip(Hub.of(trainer).attachments if ops else (), saved["ops"], strict=False):
        entry.op.load_state_dict(state)


@pytest.fixture(scope="module")
def whole():
    trainer, values = trained()
    trainer.run()
    return values


def same(values, whole):
    for mine, theirs in zip(values, whole[-len(values) :], strict=True):
        assert mine == pytest.approx(theirs, abs=1e-7)


@pytest.mark.parametrize("ops", [True, False], ids=["ops restored", "ops not saved"])
@pytest.mark.parametrize("at", range(1, EPOCHS * 3))
def test_any_moment(whole, at, ops):
    saved = stopped_at(at)
    trainer, values = trained()
    restore(trainer, saved, ops)
    if at % 3:
        with pytest.warns(UserWarning, match=f"saved after {at % 3} of 3 iterations.*restarting epoch {at // 3 + 1}"):
            trainer.run()
    else:
        trainer.run()
    assert len(values) == EPOCHS - at // 3
    same(values, whole)


@pytest.mark.parametrize("at", [1, 4, 5, 6])
def test_a_loader_that_can_continue_does(whole, at):
    saved = stopped_at(at, train_data_loader=Continuing(7, SIZE))
    loader, seen = Continuing(7, SIZE), []
    trainer, values = trained(train_data_loader=loader)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: seen.append(engine.state.iteration))
    restore(trainer, saved)
    loader.load_state_dict(saved["loader"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trainer.run()
    assert seen == [*range(at + 1, EPOCHS * 3 + 1)]
    same(values, whole)


def test_a_loader_that_continues_without_the_ops_state_covers_a_whole_epoch(whole):
    """The aux-ops never saw the epoch's beginning: the epoch is run in full."""
    saved = stopped_at(4, train_data_loader=Continuing(7, SIZE))
    trainer, values = trained(train_data_loader=Continuing(7, SIZE))
    restore(trainer, saved, ops=False)
    with pytest.warns(UserWarning, match="restarting epoch 2"):
        trainer.run()
    same(values, whole)


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("at", [3, 4])
def test_another_batch_size(whole, at, size):
    saved = stopped_at(at)
    trainer, values = trained(batch_size=size)
    restore(trainer, saved)
    with pytest.warns(UserWarning, match=rf"have 3 iterations and this run's have {-(-7 // size)}: restarting epoch 2"):
        trainer.run()
    assert trainer.state.iteration == EPOCHS * -(-7 // size)
    same(values, whole)


def test_monais_own_checkpoint_handlers(whole, tmp_path):
    """CheckpointLoader restores in STARTED, after our handlers; weights_only files are enough."""
    trainer, _ = trained()
    op = Hub.of(trainer).attachments[0].op
    saver = CheckpointSaver(str(tmp_path), {"trainer": trainer, "dice": op}, save_interval=4, epoch_level=False)
    saver.attach(trainer)
    trainer.run()
    file = next(tmp_path.glob("*iteration=4.pt"))
    assert set(torch.load(file, weights_only=True)) == {"trainer", "dice"}
    trainer, values = trained()
    op = Hub.of(trainer).attachments[0].op
    CheckpointLoader(str(file), {"trainer": trainer, "dice": op}).attach(trainer)
    with pytest.warns(UserWarning, match="saved after 1 of 3 iterations"):
        trainer.run()
    assert len(values) == 2
    same(values, whole)


def test_a_state_saved_after_an_epochs_last_batch_does_not_leak_into_the_next(whole):
    """Saved between the last ITERATION_COMPLETED and EPOCH_COMPLETED: the state is of a whole epoch."""
    saved = stopped_at(3)
    assert all(state["open"] for state in saved["ops"])
    trainer, values = trained()
    restore(trainer, saved)
    trainer.run()
    assert len(values) == 2
    same(values, whole)


def test_terminate_then_run_again_is_not_a_resume(whole):
    trainer, values = trained()
    with trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda engine: engine.terminate()):
        trainer.run()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trainer.run()
    assert len(values) == 2
    same(values, whole)


def test_an_iterable_without_a_length_begins_anew():
    op = ma.ComputeAccuracy("acc")
    engine = Engine(lambda engine, batch: batch)
    op.attach(engine)
    data = [(torch.tensor([[float(i > 2)]]), torch.ones(1, 1)) for i in range(4)]
    engine.load_state_dict({"epoch_length": 4, "max_epochs": 2, "iteration": 6})
    with pytest.warns(UserWarning, match="saved after 2 of 4"):
        engine.run((pair for pair in data), max_epochs=2)
    assert engine.state.metrics["acc"] == 0.25


def test_another_length_set_by_hand_is_not_a_resume(whole):
    """``state.epoch_length`` may be changed after the aux-ops are there: no checkpoint was loaded."""
    trainer, values = trained(batch_size=1)
    trainer.state.epoch_length, trainer.state.max_epochs = 2, 2
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trainer.run()
        trainer.state.max_epochs = 4
        trainer.run()
    assert trainer.state.iteration == 8
    assert len(values) == 4


@pytest.mark.parametrize("at", [2, 3])
def test_a_shorter_epoch_set_by_hand_is_resumed_with_its_own_length(at):
    def short(**kwargs):
        trainer, values = trained(batch_size=1, **kwargs)
        trainer.state.epoch_length = 2
        return trainer, values

    first, _ = short()
    saved: dict[str, object] = {}
    first.add_event_handler(
        Events.ITERATION_COMPLETED(once=at), lambda engine: (saved.update(states(engine)), engine.terminate())
    )
    first.run()
    trainer, values = short()
    restore(trainer, saved)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        trainer.run()
    assert [str(w.message)[:48] for w in said if "checkpoint" in str(w.message)] == (
        ["the checkpoint was saved after 1 of 2 iterations"] if at % 2 else []
    )
    assert trainer.state.iteration == EPOCHS * 2
    assert len(values) == EPOCHS - 1
