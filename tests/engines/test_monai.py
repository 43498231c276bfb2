"""Aux-ops in the metric slots of MONAI's engines."""

from __future__ import annotations

import logging
import math
import re

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.engines import EnsembleEvaluator, SupervisedEvaluator
from monai.handlers import MeanDice as MeanDiceHandler
from monai.handlers import from_engine
from monai.transforms import AsDiscreted, Compose, MeanEnsembled

import monai_auxops as ma
from tests.engines.conftest import TAGS, cases, cross_entropy, network


def dice_of(net: torch.nn.Module, items: list[dict[str, torch.Tensor]], tag: str = "dice") -> float:
    """The plain loop, one sample at a time: what an engine must find, however it batches."""
    op = ma.DiceMaskedOutput(TAGS, skip_background=True)
    with torch.no_grad():
        for item in items:
            op(net(item["image"][None].float()), item["label"][None])
    return op.aggregate()[tag]


@pytest.mark.parametrize("decollate", [True, False])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_an_evaluator_finds_what_a_plain_loop_finds(engines, decollate, batch_size):
    net = network()
    evaluator = engines.evaluator(
        net,
        batch_size,
        decollate=decollate,
        key_val_metric={"val_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)},
        additional_metrics={"val_negloss": ma.NegLoss("negloss", loss_function=cross_entropy)},
    )
    evaluator.run()
    for name, tag in {"val_dice": "dice", "val_dice_a": "dice_a", "val_dice_b": "dice_b"}.items():
        assert evaluator.state.metrics[name] == pytest.approx(dice_of(net, cases(5, 1), tag), abs=1e-7)
    with torch.no_grad():
        losses = [float(cross_entropy(net(c["image"][None].float()), c["label"][None])) for c in cases(5, 1)]
    assert evaluator.state.metrics["val_negloss"] == pytest.approx(-sum(losses) / 5, abs=1e-6)
    assert evaluator.state.best_metric == evaluator.state.metrics["val_dice"]


def test_an_engine_without_a_key_metric_takes_ops_without_epoch_value_or_name(engines):
    evaluator = engines.evaluator(network())
    assert evaluator.state.key_metric_name is None
    ma.ReduceMeanMasked("map", axis=1).attach(evaluator)
    ma.ComputeAccuracy("acc").attach(evaluator)
    evaluator.run()
    assert list(evaluator.state.metrics) == ["acc"]


@pytest.mark.parametrize("decollate", [True, False])
def test_a_trainer_measures_each_batch_before_its_step(engines, decollate):
    seen = []
    net = network()
    trainer = engines.trainer(
        net,
        max_epochs=1,
        decollate=decollate,
        key_train_metric={"train_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)},
        additional_metrics={"train_negloss": ma.NegLoss("negloss"), "train_acc": ma.ComputeAccuracy("acc")},
    )

    @trainer.on(Events.ITERATION_STARTED)
    def remember(engine: Engine) -> None:
        with torch.no_grad():
            seen.append((net(engine.state.batch["image"].float()), engine.state.batch["label"]))

    trainer.run()
    dice, accuracy = ma.DiceMaskedOutput(TAGS, skip_background=True), ma.ComputeAccuracy("acc")
    for predictions, label in seen:
        dice(predictions, label)
        accuracy(predictions, label)
    assert trainer.state.metrics["train_dice"] == pytest.approx(dice.aggregate()["dice"], abs=1e-7)
    assert trainer.state.metrics["train_dice_b"] == pytest.approx(dice.aggregate()["dice_b"], abs=1e-7)
    assert trainer.state.metrics["train_acc"] == pytest.approx(accuracy.aggregate()["acc"], abs=1e-7)
    weighted = sum(len(y) * float(cross_entropy(x, y)) for x, y in seen) / 7
    assert trainer.state.metrics["train_negloss"] == pytest.approx(-weighted, abs=1e-6)


@pytest.mark.parametrize("decollate", [True, False])
def test_outputs_are_in_the_engine_for_other_metrics(engines, decollate):
    kept: list[torch.Tensor] = []
    evaluator = engines.evaluator(
        decollate=decollate,
        key_val_metric={"val_dice": ma.ComputeDice("dice", mask_tag="mask")},
        additional_metrics={"acc": ma.ComputeAccuracy("acc")},
    )

    @evaluator.on(Events.ITERATION_COMPLETED)
    def keep(engine: Engine) -> None:
        values = from_engine(["dice"])(engine.state.output)
        kept.extend(values if decollate else values[0])

    evaluator.run()
    assert [tuple(value.shape) for value in kept] == [(1,)] * 5
    assert float(torch.stack(kept).mean()) == pytest.approx(evaluator.state.metrics["val_dice"], abs=1e-6)
    last = evaluator.state.output[0]["mask"] if decollate else evaluator.state.output["mask"][0]
    assert last.shape == (3,)


def test_the_metric_reads_whatever_the_order_of_the_slots(engines):
    evaluator = engines.evaluator(
        key_val_metric={"val_mean_dice": ma.ComputeAverage("mean_dice", "dice", is_key_metric=True)},
        additional_metrics={"val_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)},
    )
    evaluator.run()
    assert evaluator.state.metrics["val_mean_dice"] == evaluator.state.metrics["val_dice"]


@pytest.mark.parametrize("decollate", [True, False])
def test_model_is_the_prediction_after_postprocessing(engines, decollate):
    """MONAI's own MeanDice on the one-hot prediction and label says what ComputeAverageDice must say."""
    net = network()
    onehot = Compose([AsDiscreted(keys="pred", argmax=True, to_onehot=3), AsDiscreted(keys="label", to_onehot=3)])
    batched = Compose([lambda output: output | {"pred": output["pred"].softmax(1)}])  # MONAI's expect no batch axis
    evaluator = engines.evaluator(
        net,
        decollate=decollate,
        postprocessing=onehot if decollate else batched,
        key_val_metric={"avg": ma.ComputeAverageDice("avg", "model", is_one_hot_targets=decollate)},
        additional_metrics=(
            {"monai": MeanDiceHandler(include_background=False, output_transform=from_engine(["pred", "label"]))}
            if decollate
            else {"monai": ma.ComputeDice("dice", skip_background=True)}
        ),
    )
    evaluator.run()
    values = []
    for item in cases(5, 1):
        op = ma.ComputeDice("dice", skip_background=True)
        op(net(item["image"][None].float()), item["label"][None])
        values.append(op.aggregate()["dice"])
    assert evaluator.state.metrics["avg"] == pytest.approx(sum(values) / 5, abs=1e-6)
    assert evaluator.state.metrics["avg"] == pytest.approx(evaluator.state.metrics["monai"], abs=1e-6)


def test_stage_post_reads_after_postprocessing(engines):
    flipped = Compose([lambda item: item | {"label": 2 - item["label"]}])
    evaluator = engines.evaluator(
        postprocessing=flipped,
        key_val_metric={"raw": ma.ComputeAccuracy("acc")},
        additional_metrics={"post": ma.ComputeAccuracy("acc_post", stage="post")},
    )
    net, right, total = evaluator.network, 0, 0
    evaluator.run()
    for item in cases(5, 1):
        predicted = net(item["image"][None].float()).argmax(1)
        right += int((predicted == 2 - item["label"]).sum())
        total += predicted.numel()
    assert evaluator.state.metrics["post"] == pytest.approx(right / total, abs=1e-6)
    assert evaluator.state.metrics["raw"] != evaluator.state.metrics["post"]


def test_an_ensemble_is_measured_once_its_mean_is_there():
    nets = [network(0), network(1)]
    evaluator = EnsembleEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(cases(5, 1)), batch_size=2),
        networks=nets,
        pred_keys=["pred0", "pred1"],
        postprocessing=MeanEnsembled(keys=["pred0", "pred1"], output_key="pred"),
        key_val_metric={"val_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)},
    )
    evaluator.run()

    class Mean(torch.nn.Module):
        def forward(self, x):
            return (nets[0](x) + nets[1](x)) / 2

    assert evaluator.state.metrics["val_dice"] == pytest.approx(dice_of(Mean(), cases(5, 1)), abs=1e-6)


def test_a_custom_iteration_fires_no_event_of_monai_and_is_measured_all_the_same(engines):
    net = network()

    def update(engine, batch):
        return {"image": batch["image"], "label": batch["label"], "pred": net(batch["image"].float())}

    evaluator = engines.evaluator(
        net, iteration_update=update, key_val_metric={"val_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)}
    )
    evaluator.run()
    assert evaluator.state.metrics["val_dice"] == pytest.approx(dice_of(net, cases(5, 1)), abs=1e-7)


def test_deep_supervision_counts_the_first_output(engines):
    class Deep(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            out = self.net(x)
            return [out, out[..., ::2, ::2]]

    net = Deep()
    trainer = engines.trainer(
        net,
        max_epochs=1,
        decollate=False,
        loss_function=lambda predictions, label: cross_entropy(predictions[0], label),
        key_train_metric={"train_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)},
    )
    trainer.run()
    assert 0 <= trainer.state.metrics["train_dice"] <= 1


def test_of_a_stack_of_outputs_one_is_chosen(engines):
    def dice(**options):
        return ma.DiceMaskedOutput(TAGS, skip_background=True, **options)

    net = network()
    stacked = engines.evaluator(
        torch.nn.Sequential(net, Stack()),
        decollate=False,
        key_val_metric={"d": dice(output_transform=lambda out: {**out, "pred": out["pred"][:, 0]})},
    )
    plain = engines.evaluator(net, decollate=False, key_val_metric={"d": dice()})
    stacked.run()
    plain.run()
    assert stacked.state.metrics == plain.state.metrics


class Stack(torch.nn.Module):
    """Stacks outputs as MONAI's DynUNet does in training."""

    def forward(self, x):
        return torch.stack([x, -x], 1)


@pytest.mark.filterwarnings("ignore:.*all predictions lie within 0 to 1")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_no_value(engines, dtype):
    """Predictions in half precision are measured as they are, NegLoss in float32 on them."""

    class Half(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            return self.net(x).to(dtype)

    net = Half()
    evaluator = engines.evaluator(
        net,
        key_val_metric={"val_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)},
        additional_metrics={
            "val_mean": ma.ReduceMeanMasked("mean", final_activation="softmax"),
            "val_negloss": ma.NegLoss("negloss", loss_function=cross_entropy),
        },
    )
    with torch.no_grad():
        expected = [net(c["image"][None].float()).float() for c in cases(5, 1)]
    losses = [float(cross_entropy(x, c["label"][None])) for x, c in zip(expected, cases(5, 1), strict=True)]
    evaluator.run()
    assert evaluator.state.metrics["val_dice"] == pytest.approx(dice_of(net, cases(5, 1)), abs=1e-7)
    assert evaluator.state.metrics["val_mean"] == pytest.approx(1 / 3, abs=1e-6)
    assert evaluator.state.metrics["val_negloss"] == pytest.approx(-sum(losses) / 5, abs=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        op = ma.ReduceMeanMasked("mean", final_activation="sigmoid")
        op(torch.full((1, 1, 4), 0.3), None)
    assert op.aggregate()["mean"] == pytest.approx(1 / (1 + math.exp(-0.3)), abs=1e-7)


def test_an_evaluator_starts_anew_each_time_and_writes_every_key(engines):
    net = network()
    evaluator = engines.evaluator(net, key_val_metric={"val_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)})
    evaluator.run()
    first = dict(evaluator.state.metrics)
    evaluator.run()
    assert evaluator.state.metrics == first
    for parameter in net.parameters():
        torch.nn.init.constant_(parameter, math.nan)
    evaluator.run()
    assert evaluator.state.metrics == {"val_dice": 0, "val_dice_a": 0, "val_dice_b": 0}


@pytest.mark.parametrize("stop_at", [1, 3, 4])
def test_a_state_saved_in_mid_epoch_continues_it(engines, stop_at):
    """Stop after some iterations, save, load into new objects, go on with the rest of the data."""
    net, items = network(), cases(5, 1)
    whole, first, second = (ma.DiceMaskedOutput(TAGS, skip_background=True) for _ in range(3))
    run(whole, net, items)
    run(first, net, items[:stop_at])
    second.load_state_dict(first.state_dict())
    run(second, net, items[stop_at:])
    assert second.aggregate() == pytest.approx(whole.aggregate(), abs=1e-12)


def run(op: ma.AuxiliaryOperation, net: torch.nn.Module, items: list[dict[str, torch.Tensor]]) -> None:
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items), batch_size=1),
        network=net,
        key_val_metric={"val_dice": op},
    )

    @evaluator.on(Events.ITERATION_COMPLETED(once=len(items)))
    def stop_before_the_epoch_ends(engine: Engine) -> None:
        engine.terminate()

    evaluator.run()


def test_a_state_saved_after_an_epoch_does_not_leak_into_the_next(engines):
    net = network()
    op = ma.DiceMaskedOutput(TAGS, skip_background=True)
    evaluator = engines.evaluator(net, key_val_metric={"val_dice": op})
    evaluator.run()
    fresh = ma.DiceMaskedOutput(TAGS, skip_background=True)
    fresh.load_state_dict(op.state_dict())
    again = engines.evaluator(net, n=2, key_val_metric={"val_dice": fresh})
    again.run()
    assert again.state.metrics["val_dice"] == pytest.approx(dice_of(net, cases(2, 1)), abs=1e-7)


def test_a_nan_loss_makes_the_epoch_nan_and_names_the_iteration(engines):
    calls = []

    def loss(predictions, label):
        calls.append(1)
        return cross_entropy(predictions, label) * (math.nan if len(calls) == 2 else 1.0)

    trainer = engines.trainer(
        max_epochs=1, loss_function=loss, key_train_metric={"train_negloss": ma.NegLoss("negloss")}
    )
    with pytest.warns(UserWarning, match=r"NegLoss\(tag='negloss'\): the loss has been NaN since iteration 2"):
        trainer.run()
    assert math.isnan(trainer.state.metrics["train_negloss"])
    assert trainer.state.best_metric_epoch == -1


def test_gradients_are_those_without_aux_ops(engines):
    weights = []
    for ops in ({}, {"key_train_metric": {"train_dice": ma.DiceMaskedOutput("dice")}}):
        net = network()
        engines.trainer(net, **ops).run()
        weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.equal(*weights)


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
@pytest.mark.parametrize("decollate", [True, False])
@pytest.mark.parametrize("stage", ["raw", "post"])
def test_named_classes_and_a_mask_of_the_batch(engines, decollate, stage):
    items = [item | {"brain": (item["label"] >= 0) & (item["image"] > 0.2)} for item in cases(5, 1)]
    net = network()
    op = ma.ComputeDice(
        "dice", skip_background=True, class_names=["a", "b"], statistics=["global"], mask_key="brain", stage=stage
    )
    evaluator = engines.evaluator(
        net,
        val_data_loader=DataLoader(Dataset(items), batch_size=2),
        decollate=decollate,
        key_val_metric={"val_dice": op},
    )
    evaluator.run()
    truth = ma.DiceMaskedOutput(TAGS, skip_background=True)
    for item in items:
        label = item["label"].masked_fill(~item["brain"], -1)
        truth(net(item["image"][None].float()), label[None])
    found, expected = evaluator.state.metrics, truth.aggregate()
    assert [found[f"val_{name}"] for name in ("dice", "dice/a", "dice/b")] == pytest.approx(
        [*expected.values()], abs=1e-7
    )
    assert found["val_dice_global"] == pytest.approx((found["val_dice_global/a"] + found["val_dice_global/b"]) / 2)


class Raises(ma.AuxiliaryOperation):
    def get_output_tensors(self, predictions, label, build_ctx):
        return {"value": torch.zeros(3, 4) @ torch.zeros(3, 4)}


def test_an_aux_op_that_raises_names_itself_and_stops_the_run(engines, caplog):
    trainer = engines.trainer(key_train_metric={"train_bad": Raises()})
    with caplog.at_level(logging.CRITICAL), pytest.raises(RuntimeError, match=r"Raises\(\) failed: RuntimeError: mat1"):
        trainer.run()


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        (lambda: {"key_val_metric": {"p": ma.ComputeBinaryPreds()}}, "no epoch value and cannot be the key metric 'p'"),
        (
            lambda: {
                "key_val_metric": {"a": ma.ComputeDice("a")},
                "additional_metrics": {"b": ma.DiceMaskedOutput(["x", "a"])},
            },
            None,
        ),
        (
            lambda: {
                "key_val_metric": {"v_dice": ma.DiceMaskedOutput(TAGS)},
                "additional_metrics": {"v_dice_a": ma.ComputeDice("d")},
            },
            "metric name 'v_dice_a' is already taken",
        ),
    ],
    ids=["no value", "no clash: the slot's name is the prefix", "name twice"],
)
def test_slots_that_cannot_work_are_refused_when_attached(engines, slots, message):
    if message is None:
        engines.evaluator(**slots())
        return
    with pytest.raises(ValueError, match=re.escape(message)):
        engines.evaluator(**slots())


def test_one_object_for_two_engines_is_refused(engines):
    op = ma.ComputeDice("dice")
    engines.evaluator(key_val_metric={"val_dice": op})
    with pytest.raises(ValueError, match="each engine needs its own aux-op object"):
        engines.trainer(key_train_metric={"train_dice": op})


def test_a_tag_twice_is_refused_at_the_first_batch(engines, caplog):
    evaluator = engines.evaluator(
        key_val_metric={"one": ma.ComputeDice("dice")}, additional_metrics={"two": ma.ComputeDice("dice", jaccard=True)}
    )
    with caplog.at_level(logging.CRITICAL), pytest.raises(ValueError, match="'dice' was already written"):
        evaluator.run()


def test_a_contradiction_on_the_key_metric_warns_and_the_slot_wins(engines):
    with pytest.warns(UserWarning, match="the engine's key metric is 'val_dice'"):
        evaluator = engines.evaluator(
            key_val_metric={"val_dice": ma.ComputeDice("dice")},
            additional_metrics={"val_mean": ma.ComputeAverage("mean", "dice", is_key_metric=True)},
        )
    assert evaluator.state.key_metric_name == "val_dice"


@pytest.mark.filterwarnings("ignore:.*all binary predictions lie within 0 to 1")
def test_label_format_comes_from_the_engine_where_the_op_has_none():
    items = [{"image": torch.rand(4), "label": torch.tensor([i % 3, i % 2])} for i in range(6)]
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items), batch_size=4),
        network=torch.nn.Identity(),
        key_val_metric={"acc": ma.ComputeMulticlassAccuracy("acc")},
        additional_metrics={
            "preds": ma.ComputeMulticlassPreds(),
            "auc": ma.ComputeMulticlassAverage("auc", "preds", "labels"),
            "bin": ma.ComputeBinaryPreds(),
            "bin_auc": ma.ComputeAUC("bin_auc", "binary_preds", "binary_labels"),
        },
    )
    evaluator.state.data_property = {"label_format": [3, 1]}
    evaluator.run()
    images = torch.stack([item["image"] for item in items])
    right = [float(x[:3].argmax() == i % 3) + float((x[3] > 0) == i % 2) for i, x in enumerate(images)]
    assert evaluator.state.metrics["acc"] == pytest.approx(sum(right) / 12, abs=1e-6)
    assert set(evaluator.state.metrics) == {"acc", "auc", "bin_auc"}


@pytest.mark.filterwarnings("ignore:.dataloader. is empty")
def test_an_empty_loader_is_reported_by_the_op():
    with pytest.warns(UserWarning, match=r"ComputeDice\(tag='dice'\): the data loader of this SupervisedEvaluator is"):
        evaluator = SupervisedEvaluator(
            torch.device("cpu"), DataLoader([]), network(), key_val_metric={"val_dice": ma.ComputeDice("dice")}
        )
    evaluator.run()
    assert evaluator.state.metrics == {}
