"""What an engine's hub promises beside the values: outputs, samples and batches alike, micro-batches, detaching."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint
from monai.engines.utils import IterationEvents
from monai.transforms import Compose

import monai_auxops as ma
from monai_auxops.engine.hub import Hub
from tests.engines.conftest import TAGS, cases, cross_entropy, network


class Twice(ma.AuxiliaryOperation):
    """Reads what another op wrote, and leaves something that is no tensor."""

    accumulated = ("twice",)

    def __init__(self, field="dice", tag="twice", **options):
        super().__init__(**options)
        self.field, self.tag, self.accumulated = field, tag, (tag,)

    def get_output_tensors(self, predictions, label, build_ctx):
        return {self.tag: 2 * build_ctx.must_get(self.field).reshape(-1)}


# --- decollated or not ---


@pytest.mark.parametrize("reads", ["raw", "post"])
def test_an_op_after_postprocessing_reads_the_same_with_and_without_decollation(engines, reads):
    found = []
    for decollate in (True, False):
        evaluator = engines.evaluator(
            decollate=decollate,
            key_val_metric={"dice": ma.ComputeDice("dice", stage=reads)},
            additional_metrics={
                "twice": Twice(stage="post"),
                "mean": ma.ComputeAverage("mean", "twice"),
                "jaccard": ma.ComputeDice("jaccard", jaccard=True, stage="post"),
            },
        )
        evaluator.run()
        found.append(dict(evaluator.state.metrics))
    assert found[0] == pytest.approx(found[1], abs=1e-7)
    assert found[0]["twice"] == pytest.approx(2 * found[0]["dice"], abs=1e-6)
    assert found[0]["mean"] == found[0]["twice"]


@pytest.mark.parametrize("decollate", [True, False])
@pytest.mark.parametrize("stages", [("raw", "raw"), ("raw", "post"), ("post", "post")], ids=str)
def test_a_tag_twice_is_refused_at_any_stage(engines, caplog, decollate, stages):
    caplog.set_level("CRITICAL")
    evaluator = engines.evaluator(
        decollate=decollate,
        key_val_metric={"one": ma.ComputeDice("dice", stage=stages[0])},
        additional_metrics={"two": ma.ComputeDice("dice", jaccard=True, stage=stages[1])},
    )
    with pytest.raises(ValueError, match="'dice' was already written"):
        evaluator.run()


def test_samples_of_other_sizes_and_lists_of_outputs_are_measured_one_by_one(engines):
    """Deep supervision, decollated: each sample of each output gets its batch axis back."""

    class Deep(torch.nn.Module):
        def forward(self, x):
            out = network()(x)
            return [out, out[..., ::2, ::2]]

    values = []
    for decollate in (True, False):
        evaluator = engines.evaluator(
            Deep(), decollate=decollate, key_val_metric={"dice": ma.ComputeDice("dice", stage="post")}
        )
        evaluator.run()
        values.append(evaluator.state.metrics["dice"])
    assert values[0] == pytest.approx(values[1], abs=1e-7)


@pytest.mark.parametrize("decollate", [True, False])
def test_values_of_a_batch_that_are_not_its_samples_stay_whole(engines, decollate):
    """What has no batch axis is there for each sample as it is."""

    class Shared(ma.AuxiliaryOperation):
        accumulated = ()

        def get_output_tensors(self, predictions, label, build_ctx):
            build_ctx.set("names", ["a", "b"])
            return {"table": torch.arange(21.0).view(7, 3)}

    class Reads(ma.AuxiliaryOperation):
        accumulated = ("read",)

        def get_output_tensors(self, predictions, label, build_ctx):
            assert build_ctx.must_get("names") == ["a", "b"]
            return {"read": build_ctx.must_get("table").sum().expand(len(predictions))}

    evaluator = engines.evaluator(
        decollate=decollate, key_val_metric={"read": Reads(stage="post")}, additional_metrics={"shared": Shared()}
    )
    evaluator.run()
    assert evaluator.state.metrics["read"] == 210


# --- outputs ---


@pytest.mark.parametrize("stage", ["raw", "post"])
def test_an_output_of_the_engine_is_not_overwritten(stage):
    engine = Engine(lambda engine, batch: {"pred": torch.rand(1, 3, 4), "label": torch.ones(1, 1, 4), "score": 5})
    ma.ComputeAccuracy("score", stage=stage).attach(engine)
    with pytest.raises(
        ValueError, match=r"ComputeAccuracy\(tag='score'.*the engine's output already has a key 'score'"
    ):
        engine.run([0])


def test_a_step_may_return_the_same_dict_each_time():
    output = {"pred": torch.rand(1, 3, 4), "label": torch.ones(1, 1, 4)}
    engine = Engine(lambda engine, batch: output)
    ma.ComputeAccuracy("score").attach(engine)
    engine.run([0, 1], max_epochs=2)
    assert set(engine.state.metrics) == {"score"}


@pytest.mark.parametrize(("key", "value"), [("out", 1.0), ("aux", 0.0), (-1, 1.0)])
def test_a_key_or_index_says_which_part_of_the_predictions_is_meant(key, value):
    label = torch.arange(3.0).expand(2, 1, 3)
    right = torch.eye(3).expand(2, 3, 3)
    wrong = right.flip(1) + torch.tensor([[0.0, 2, 0]]).T
    pred = {"out": right, "aux": wrong.roll(1, 1)} if isinstance(key, str) else [wrong, right]
    engine = Engine(lambda engine, batch: (pred, label))
    ma.ComputeAccuracy("acc", output_transform=key).attach(engine)
    engine.run([0])
    assert (engine.state.metrics["acc"] == 1.0) == (value == 1.0)


@pytest.mark.parametrize("key", ["nothing", 7])
def test_a_part_that_is_not_there_is_named(key):
    engine = Engine(lambda engine, batch: ({"out": torch.rand(1, 3)}, torch.ones(1, 1)))
    ma.ComputeAccuracy("acc", output_transform=key).attach(engine)
    with pytest.raises(ValueError, match=rf"output_transform={key!r} to be in the network's output, got \['out'\]"):
        engine.run([0])


# --- events ---


def test_values_are_there_for_handlers_that_were_added_before():
    engine, seen = Engine(lambda engine, batch: (torch.rand(1, 3, 4), torch.ones(1, 1, 4))), []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: seen.append(engine.state.metrics["acc"]))
    ma.ComputeAccuracy("acc").attach(engine)
    engine.run([0], max_epochs=2)
    assert len(seen) == 2


def micro_batched(engines, size=2, post=None, **slots):
    """A trainer that fires BACKWARD_COMPLETED for each half of a batch."""

    def step(engine, batch):
        for part in range(0, len(batch["image"]), size):
            output = {key: batch[key][part : part + size] for key in ("image", "label")}
            output["pred"] = engine.network(output["image"].float())
            output["loss"] = engine.loss_function(output["pred"], output["label"])
            engine.state.output = output
            output["loss"].backward()
            engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    return engines.trainer(
        network(),
        n=8,
        batch_size=4,
        max_epochs=1,
        iteration_update=step,
        decollate=False,
        postprocessing=post,
        key_train_metric={"train_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)},
        additional_metrics=slots,
    )


def test_metrics_see_each_micro_batch(engines):
    trainer = micro_batched(engines, train_mean=ma.ComputeAverage("mean", "dice"))
    trainer.run()
    truth, net = ma.DiceMaskedOutput(TAGS, skip_background=True), network()
    for case in cases(8, 0):
        truth(net(case["image"][None].float()), case["label"][None])
    assert trainer.state.metrics["train_dice"] == pytest.approx(truth.aggregate()["dice"], abs=1e-6)
    assert trainer.state.metrics["train_mean"] == trainer.state.metrics["train_dice"]


def test_what_is_read_after_postprocessing_says_that_it_is_the_last_micro_batch(engines):
    trainer = micro_batched(
        engines, post=Compose([lambda output: output]), train_case=ma.ComputeAverageDice("case", "model")
    )
    with pytest.warns(UserWarning, match=r"ComputeAverageDice\(.*several micro-batches in an iteration"):
        trainer.run()


# --- detaching and copies ---


def test_detaching_the_last_op_leaves_the_engine_as_it_was(engines):
    evaluator = engines.evaluator()
    best = Checkpoint({"net": network()}, lambda *_: None, score_function=lambda engine: math.nan)
    evaluator.add_event_handler(Events.COMPLETED, best)
    before = {event: list(handlers) for event, handlers in evaluator._event_handlers.items()}
    ops = [ma.ComputeDice("dice"), ma.ComputeAverage("mean", "dice", is_key_metric=True)]
    for op in ops:
        op.attach(evaluator)
    evaluator.run()
    assert evaluator.state.key_metric_name == "mean"
    for op in ops:
        op.detach()
        op.detach()  # not attached: nothing to undo
    after = {event: list(handlers) for event, handlers in evaluator._event_handlers.items() if handlers}
    assert after == {event: handlers for event, handlers in before.items() if handlers}
    assert type(best) is Checkpoint
    assert Hub.of(evaluator) is None
    assert evaluator.state.key_metric_name is None
    assert "load_state_dict" not in vars(evaluator)


def test_a_comparison_of_monai_is_put_back(engines):
    op = ma.ComputeDice("dice")
    evaluator = engines.evaluator(key_val_metric={"val_dice": op})
    before = [handler for handler, _, _ in evaluator._event_handlers[Events.EPOCH_COMPLETED]]
    evaluator.run()
    op.detach()
    after = [handler for handler, _, _ in evaluator._event_handlers[Events.EPOCH_COMPLETED]]
    assert after == before[1:]  # without the hub's


def test_an_op_that_was_detached_measures_elsewhere(engines):
    op = ma.ComputeDice("dice")
    values = []
    for _ in range(2):
        evaluator = engines.evaluator()
        op.attach(evaluator, "val_dice")
        evaluator.run()
        values.append(evaluator.state.metrics["val_dice"])
        op.detach()
    assert values[0] == values[1]


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda op: pickle.loads(pickle.dumps(op))])
def test_a_copy_of_an_attached_op_is_fresh(engines, copied):
    op = ma.DiceMaskedOutput(TAGS, skip_background=True)
    evaluator = engines.evaluator(key_val_metric={"val_dice": op})
    stop = evaluator.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda engine: engine.terminate())
    evaluator.run()
    stop.remove()
    fresh = copied(op)
    assert math.isnan(fresh.aggregate()["dice"])
    again = engines.evaluator(key_val_metric={"val_dice": fresh})
    again.run()
    evaluator.run()
    assert again.state.metrics == evaluator.state.metrics


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda op: pickle.loads(pickle.dumps(op))])
def test_a_copy_of_an_op_in_a_plain_loop_goes_on_with_its_samples(copied):
    op = ma.ComputeDice("dice")
    op(torch.rand(2, 3, 4), torch.ones(2, 1, 4))
    assert copied(op).aggregate() == op.aggregate()


def test_the_loss_of_a_shared_network_is_copied_with_it():
    """A deep copy is independent: what its options hold is copied, too."""
    op = ma.NegLoss("negloss", loss_function=torch.nn.CrossEntropyLoss(weight=torch.ones(3)))
    other = copy.deepcopy(op)
    assert other.loss_function is not op.loss_function
    assert copy.deepcopy(ma.NegLoss("n", loss_function=cross_entropy)).loss_function is cross_entropy
