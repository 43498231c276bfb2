"""NaN stays NaN in state.metrics, and nothing that chooses takes it for the best."""

from __future__ import annotations

import contextlib
import functools
import math
import warnings

import pytest
import torch
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, EarlyStopping, ModelCheckpoint
from monai.handlers import CheckpointSaver, EarlyStopHandler, LrScheduleHandler, ValidationHandler

import monai_auxops as ma
from monai_auxops.engine.choosing import nan_loses, prefers_larger
from tests.engines.conftest import network

pytestmark = pytest.mark.filterwarnings("ignore:.*nothing to measure")
NAN = math.nan
DIRECTIONS = {"more": (1, lambda new, best: new > best), "less": (-1, lambda new, best: new < best)}
# Values where more is better, and the epoch whose value is the best.
RUNS = {
    "first": ([NAN, 0.5, 0.7, 0.6], 3),
    "in the middle": ([0.5, NAN, 0.7, 0.6], 3),
    "after the best": ([0.5, 0.7, NAN, 0.6], 2),
    "last": ([0.5, 0.7, 0.6, NAN], 2),
    "but once": ([NAN, NAN, 0.5, NAN], 3),
    "always": ([NAN] * 4, None),
}
runs = pytest.mark.parametrize(("values", "best"), RUNS.values(), ids=RUNS)
directions = pytest.mark.parametrize(("sign", "compare"), DIRECTIONS.values(), ids=DIRECTIONS)


class Scripted(ma.AuxiliaryOperation):
    """The value of each run, one after another; its second tag is the same."""

    accumulated = ("score", "score/liver")

    def __init__(self, values, sign=1):
        super().__init__()
        self.values, self.higher_is_better = [sign * value for value in values], sign > 0
        self.runs = 0

    def get_output_tensors(self, predictions, label, build_ctx):
        value = torch.tensor(self.values[self.runs], dtype=torch.float64)
        return {"score": value, "score/liver": value}

    def epoch_completed(self):
        super().epoch_completed()
        self.runs += 1


def validated(engines, values, sign=1, handlers=(), **kwargs):
    """A trainer that validates once an epoch, and what state.metrics held."""
    net = network()
    trainer = engines.trainer(net, n=1, max_epochs=len(values))
    evaluator = engines.evaluator(net, n=1, val_handlers=list(handlers), **kwargs)
    seen: list[float] = []
    evaluator.add_event_handler(Events.COMPLETED, lambda e: seen.append(next(iter(e.state.metrics.values()))))
    ValidationHandler(1, evaluator).attach(trainer)
    return trainer, evaluator, seen


def same(seen, values):
    torch.testing.assert_close(torch.tensor(seen).double(), torch.tensor(values).double(), equal_nan=True)


@runs
@directions
def test_monais_best_metric(engines, values, best, sign, compare):
    op = Scripted(values, sign)
    trainer, evaluator, seen = validated(engines, values, sign, key_val_metric={"val_score": op}, metric_cmp_fn=compare)
    trainer.run()
    same(seen, op.values)
    assert evaluator.state.best_metric_epoch == (best or -1)
    assert evaluator.state.best_metric == (op.values[best - 1] if best else -1)


def test_a_comparison_given_later_and_a_nan_of_a_checkpoint(engines):
    """``metric_cmp_fn`` is an attribute, and a checkpoint of stock MONAI may hold NaN as the best."""
    values = [0.5, 0.7]
    trainer, evaluator, _ = validated(engines, values, key_val_metric={"val_score": Scripted(values, -1)})
    evaluator.metric_cmp_fn = DIRECTIONS["less"][1]
    evaluator.state.best_metric, evaluator.state.best_metric_epoch = NAN, 3
    trainer.run()
    assert evaluator.state.best_metric_epoch == 2


@runs
@directions
@pytest.mark.parametrize("slot", ["key", "another tag", "additional"])
def test_monais_checkpoint_saver(engines, tmp_path, values, best, sign, compare, slot):
    op, net = Scripted(values, sign), network()
    watched = {"key": None, "another tag": "val_score/liver", "additional": "val_score"}[slot]
    saver = CheckpointSaver(
        str(tmp_path), {"net": net}, save_key_metric=True, key_metric_name=watched, key_metric_negative_sign=sign < 0
    )
    slots = {"key_val_metric": {"val_score": op}, "metric_cmp_fn": compare}
    if slot == "additional":
        slots = {"key_val_metric": {"acc": ma.ComputeAccuracy("acc")}, "additional_metrics": {"val_score": op}}
    trainer, _, _ = validated(engines, values, handlers=[saver], **slots)
    trainer.run()
    expected = [f"net_key_metric={sign * op.values[best - 1]:.4f}.pt"] if best else []
    assert [path.name for path in tmp_path.iterdir()] == expected


def test_a_saver_of_several_models_keeps_no_nan(engines, tmp_path):
    values = [NAN, 0.5, NAN, 0.7]
    saver = CheckpointSaver(str(tmp_path), {"net": network()}, save_key_metric=True, key_metric_n_saved=3)
    trainer, _, _ = validated(engines, values, handlers=[saver], key_val_metric={"val_score": Scripted(values)})
    trainer.run()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"net_key_metric={x}.pt" for x in ("0.5000", "0.7000")]


def plain(values, sign=1):
    """A plain Ignite trainer that runs an evaluator in each epoch."""
    trainer, evaluator = Engine(lambda engine, batch: None), Engine(lambda engine, batch: {"pred": torch.zeros(1, 1)})
    Scripted(values, sign).attach(evaluator, "val_score")
    return trainer, evaluator


def wrapped(function):
    return lambda engine: function(engine)  # noqa: PLW0108 (the function that wraps)


WATCHERS = {
    "the evaluator's end": lambda trainer, evaluator, act: evaluator.add_event_handler(Events.COMPLETED, act),
    "its epoch's end": lambda trainer, evaluator, act: evaluator.add_event_handler(Events.EPOCH_COMPLETED, act),
    "an event with a filter": lambda trainer, evaluator, act: evaluator.add_event_handler(
        Events.EPOCH_COMPLETED(every=1), act
    ),
    "the trainer": lambda trainer, evaluator, act: trainer.add_event_handler(Events.EPOCH_COMPLETED, act),
    "a partial": lambda trainer, evaluator, act: trainer.add_event_handler(
        Events.EPOCH_COMPLETED, functools.partial(lambda act, engine: act(engine), act)
    ),
    "an argument": lambda trainer, evaluator, act: trainer.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine, act: act(engine), act
    ),
    "a function of a function": lambda trainer, evaluator, act: trainer.add_event_handler(
        Events.EPOCH_COMPLETED,
        wrapped(lambda engine: act(engine)),  # noqa: PLW0108
    ),
    "a function of the trainer": lambda trainer, evaluator, act: trainer.add_event_handler(
        Events.EPOCH_COMPLETED,
        lambda engine: act(engine),  # noqa: PLW0108
    ),
}


@runs
@pytest.mark.parametrize("early", [True, False], ids=["before the op", "after the op"])
@pytest.mark.parametrize("watcher", WATCHERS.values(), ids=WATCHERS)
def test_ignites_checkpoint(values, best, watcher, early):
    trainer, evaluator = plain(values)
    op = evaluator._auxops_hub.attachments[0].op
    if early:
        op.detach()
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: evaluator.run([0]))
    kept = Checkpoint(
        {"trainer": trainer}, lambda *_: None, score_function=lambda _: evaluator.state.metrics["val_score"]
    )
    watcher(trainer, evaluator, kept)
    if early:
        op.attach(evaluator, "val_score")
    trainer.run([0], max_epochs=len(values))
    assert [item.priority for item in kept._saved] == ([values[best - 1]] if best else [])
    assert type(kept).__call__ is not Checkpoint.__call__
    op.detach()
    assert type(kept) is Checkpoint


def test_ignites_model_checkpoint_by_name(tmp_path):
    values = [NAN, 0.5, NAN]
    trainer, evaluator = plain(values)
    kept = ModelCheckpoint(str(tmp_path), "best", score_name="val_score", create_dir=True)
    evaluator.add_event_handler(Events.COMPLETED, kept, {"net": network()})
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: evaluator.run([0]))
    trainer.run([0], max_epochs=3)
    assert [path.name for path in tmp_path.iterdir()] == ["best_net_val_score=0.5000.pt"]


@pytest.mark.filterwarnings("ignore:'(min_delta|cumulative_delta)' is deprecated")
@pytest.mark.parametrize(
    ("values", "stops"),
    [
        ([NAN, 0.5, 0.4, 0.3, 0.2, 0.1], 4),  # the first is replaced, then two without improvement
        ([0.5, NAN, 0.4, 0.6, 0.7, 0.8], 3),  # NaN is no improvement
        ([0.5, NAN, 0.6, NAN, 0.7, NAN], 6),
        ([NAN] * 6, 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("monais", [True, False])
def test_early_stopping(values, stops, monais):
    trainer, evaluator = plain(values)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: evaluator.run([0]))
    arguments = {"patience": 2, "score_function": lambda e: e.state.metrics["val_score"], "trainer": trainer}
    if monais:
        EarlyStopHandler(**arguments).attach(evaluator)
    else:
        evaluator.add_event_handler(Events.COMPLETED, EarlyStopping(**arguments))
    trainer.run([0], max_epochs=len(values))
    assert trainer.state.epoch == stops


def test_two_that_choose_in_one_function():
    """One is skipped, what follows is not."""
    values, done = [0.5, NAN, 0.4], []
    trainer, evaluator = plain(values)
    score = {"score_function": lambda _: evaluator.state.metrics["val_score"]}
    kept = Checkpoint({"trainer": trainer}, lambda *_: None, **score)
    stopper = EarlyStopping(patience=2, trainer=trainer, **score)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        evaluator.run([0])
        kept(engine)
        stopper(engine)
        done.append(engine.state.epoch)

    trainer.run([0], max_epochs=3)
    assert done == [1, 2, 3]
    assert stopper.counter == 2
    assert [item.priority for item in kept._saved] == [0.5]


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
@pytest.mark.parametrize("monais", [True, False])
def test_a_plateau_scheduler_ignores_nan(engines, mode, sign, monais):
    values = [NAN, 0.5, NAN, 0.7, 0.6, 0.6, 0.6]
    op = Scripted(values, sign)
    trainer, evaluator, _ = validated(engines, values, key_val_metric={"val_score": op}, metric_cmp_fn=lambda *_: False)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(trainer.optimizer, mode=mode, factor=0.5, patience=2)
    if monais:
        LrScheduleHandler(plateau, step_transform=lambda e: e.state.metrics["val_score"]).attach(evaluator)
    else:
        evaluator.add_event_handler(Events.COMPLETED, lambda e: plateau.step(e.state.metrics["val_score"]))
    trainer.run()
    assert plateau.best == sign * 0.7
    assert trainer.optimizer.param_groups[0]["lr"] == 0.025  # after the third epoch without improvement


@pytest.mark.parametrize(
    ("sign", "compare", "told"),
    [
        (-1, None, "smaller is better, but the engine keeps the larger value"),
        (1, DIRECTIONS["less"][1], "larger is better, but the engine keeps the smaller value"),
        (-1, DIRECTIONS["less"][1], None),
        (1, None, None),
        (-1, lambda new, best: new > best + 2, None),  # cannot be told
        (-1, lambda new, best: new["a"] > best, None),
    ],
)
def test_a_comparison_the_other_way_is_reported_once(engines, sign, compare, told):
    evaluator = engines.evaluator(
        n=1,
        key_val_metric={"val_score": Scripted([0.5, 0.6], sign)},
        additional_metrics={"val_acc": ma.ComputeAccuracy("acc")},
        **({} if compare is None else {"metric_cmp_fn": compare}),
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            with contextlib.suppress(TypeError):  # the last one's own mistake
                evaluator.run()
    assert [told in str(w.message) for w in said if "is better" in str(w.message)] == ([] if told is None else [True])


def test_a_script_that_compares_by_itself():
    engine = Engine(lambda engine, batch: None)
    engine.state.metrics = {"a": NAN, "b": 0.5}
    assert nan_loses(lambda e: e.state.metrics["a"])(engine) == -math.inf
    assert nan_loses(lambda e: e.state.metrics["b"])(engine) == 0.5


def test_a_direction_is_named_only_if_it_is_known():
    assert prefers_larger(lambda new, best: new >= best) is True
    assert prefers_larger(lambda new, best: abs(new) < abs(best)) is False
    assert prefers_larger(lambda new, best: True) is None
    assert prefers_larger(None) is None
