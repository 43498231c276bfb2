"""Aux-ops on plain Ignite engines, and what Ignite's own handlers read from them."""

from __future__ import annotations

import io
import math

import pytest
import torch
from ignite.engine import Engine, Events
from ignite.metrics import Average
from monai.data import list_data_collate

import monai_auxops as ma
from monai_auxops.engine.hub import Hub
from tests.engines.conftest import TAGS, cases, network

try:
    from ignite.handlers import ProgressBar, TensorboardLogger
except ImportError:  # before Ignite 0.5
    from ignite.contrib.handlers import ProgressBar, TensorboardLogger


def batches(n: int = 7, size: int = 3) -> list[dict[str, torch.Tensor]]:
    items = cases(n, 0)
    return [list_data_collate(items[i : i + size]) for i in range(0, n, size)]


def engine_of(output) -> Engine:
    net = network()

    def step(engine: Engine, batch: dict[str, torch.Tensor]):
        with torch.no_grad():
            return output(net(batch["image"].float()), batch["label"])

    return Engine(step)


def expected(tag: str = "dice") -> float:
    net, op = network(), ma.DiceMaskedOutput(TAGS, skip_background=True)
    with torch.no_grad():
        for item in cases(7, 0):
            op(net(item["image"][None].float()), item["label"][None])
    return op.aggregate()[tag]


OUTPUTS = {
    "dict": (lambda x, y: {"pred": x, "label": y}, None),
    "pair": (lambda x, y: (x, y), None),
    "triple": (lambda x, y: (x, y, torch.tensor(0.5)), None),
    "transform to a pair": (lambda x, y: [x, [y]], lambda out: (out[0], out[1][0])),
    "transform to a dict": (lambda x, y: (y, x), lambda out: {"pred": out[1], "label": out[0]}),
}


@pytest.mark.parametrize(("output", "transform"), OUTPUTS.values(), ids=OUTPUTS)
def test_any_engine(output, transform):
    engine = engine_of(output)
    ma.DiceMaskedOutput(TAGS, skip_background=True).attach(engine, "train_dice", output_transform=transform)
    engine.run(batches(), max_epochs=2)
    assert set(engine.state.metrics) == {"train_dice", "train_dice_a", "train_dice_b"}
    for name, tag in {"train_dice": "dice", "train_dice_a": "dice_a", "train_dice_b": "dice_b"}.items():
        assert engine.state.metrics[name] == pytest.approx(expected(tag), abs=1e-7)


def test_without_a_name_the_tags_are_the_names():
    engine = engine_of(lambda x, y: (x, y))
    ma.DiceMaskedOutput(TAGS, skip_background=True).attach(engine)
    ma.ComputeAverage("mean_dice", "dice", is_key_metric=True).attach(engine)
    engine.run(batches())
    assert set(engine.state.metrics) == {*TAGS, "mean_dice"}
    assert engine.state.key_metric_name == "mean_dice"
    assert engine.state.metrics["mean_dice"] == engine.state.metrics["dice"]


def test_names_that_do_not_end_with_the_first_tag_are_joined():
    engine = engine_of(lambda x, y: (x, y))
    ma.DiceMaskedOutput(TAGS, skip_background=True).attach(engine, "overlap")
    engine.run(batches())
    assert set(engine.state.metrics) == {"overlap", "overlap_dice_a", "overlap_dice_b"}


def test_an_output_that_says_nothing_is_an_error_that_says_what_to_do():
    engine = engine_of(lambda x, y: x)
    ma.ComputeDice("dice").attach(engine)
    with pytest.raises(
        ValueError, match=r"ComputeDice\(tag='dice'\): expected .* got Tensor; attach with output_transform="
    ):
        engine.run(batches())


def test_an_output_that_is_no_dict_is_not_written_to():
    engine = engine_of(lambda x, y: (x, y))
    ma.ComputeDice("dice").attach(engine)
    engine.run(batches())
    assert len(engine.state.output) == 2


def test_the_context_serves_what_the_engine_knows():
    class Look(ma.AuxiliaryOperation):
        accumulated = ("rate", "given_loss")

        def get_output_tensors(self, predictions, label, build_ctx):
            seen.append(build_ctx.get("_is_train"))
            return {"rate": torch.tensor(build_ctx.must_get("_learning_rate")), "given_loss": build_ctx.get("_loss")}

    seen: list[bool | None] = []
    engine = engine_of(lambda x, y: (x, y, torch.tensor(0.25)))
    engine.optimizer = torch.optim.SGD(network().parameters(), 0.5)
    engine.network = network().eval()
    Look().attach(engine)
    engine.run(batches())
    assert engine.state.metrics == {"rate": 0.5, "given_loss": 0.25}
    assert set(seen) == {False}


def test_ignites_own_metric_reads_a_published_output():
    engine = engine_of(lambda x, y: {"pred": x, "label": y})
    ma.ComputeAccuracy("acc").attach(engine)
    Average(output_transform=lambda output: output["acc"]).attach(engine, "ignite")
    engine.run(batches())
    assert float(engine.state.metrics["ignite"]) == pytest.approx(engine.state.metrics["acc"], abs=1e-6)


def test_ignites_progress_bar_shows_the_epoch_values():
    engine, text = engine_of(lambda x, y: (x, y)), io.StringIO()
    ma.ComputeAccuracy("acc").attach(engine)
    bar = ProgressBar(file=text, persist=True)
    bar.attach(engine, metric_names=["acc"], event_name=Events.EPOCH_COMPLETED, closing_event_name=Events.COMPLETED)
    engine.run(batches(), max_epochs=1)
    assert f"acc={engine.state.metrics['acc']:.3g}".rstrip("0") in text.getvalue()


def test_ignites_tensorboard_logger_writes_the_epoch_values(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    engine, seen = engine_of(lambda x, y: (x, y)), []
    ma.ComputeAccuracy("acc").attach(engine, "train_acc")
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append(e.state.metrics["train_acc"]))
    with TensorboardLogger(log_dir=str(tmp_path)) as logger:
        logger.attach_output_handler(engine, Events.EPOCH_COMPLETED, "training", metric_names=["train_acc"])
        engine.run(batches(), max_epochs=2)
    reader = accumulator.EventAccumulator(str(tmp_path))
    reader.Reload()
    assert [event.value for event in reader.Scalars("training/train_acc")] == pytest.approx(seen, abs=1e-6)


def test_running_values_are_the_means_so_far():
    engine = engine_of(lambda x, y: (x, y))
    ma.DiceMaskedOutput(TAGS, skip_background=True).attach(engine, "train_dice")
    seen = []
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(Hub.of(e).running_means()["train_dice"]))
    engine.run(batches())
    net, op = network(), ma.ComputeDice("dice", skip_background=True)
    for batch, running in zip(batches(), seen, strict=True):
        op(net(batch["image"].float()), batch["label"])
        assert running == pytest.approx(op.aggregate()["dice"], abs=1e-6)


def test_a_run_that_ends_in_mid_epoch_starts_the_next_one_anew():
    engine = engine_of(lambda x, y: (x, y))
    ma.DiceMaskedOutput(TAGS, skip_background=True).attach(engine)
    with engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda e: e.terminate()):
        engine.run(batches())
    assert engine.state.metrics == {}
    engine.state.max_epochs = None
    engine.run(batches(), max_epochs=1)
    assert engine.state.metrics["dice"] == pytest.approx(expected(), abs=1e-7)


def test_undeclared_tags_of_a_users_op_are_decided_at_the_first_batch():
    class Share(ma.AuxiliaryOperation):
        def get_output_tensors(self, predictions, label, build_ctx):
            return {"share": (label > 0).flatten(1).float().mean(1), "map": predictions}

    class Twice(ma.AuxiliaryOperation):
        def get_output_tensors(self, predictions, label, build_ctx):
            return {"twice": 2 * build_ctx.must_get("share")}

    engine = engine_of(lambda x, y: {"pred": x, "label": y})
    Share().attach(engine, "train_share")
    Twice().attach(engine)
    engine.run(batches())
    truth = sum(float((c["label"] > 0).float().mean()) for c in cases(7, 0)) / 7
    assert engine.state.metrics == {
        "train_share": pytest.approx(truth, abs=1e-6),
        "twice": pytest.approx(2 * truth, abs=1e-6),
    }
    assert engine.state.output["map"].shape == (1, 3, 8, 8)


def test_nothing_valid_in_the_epoch_is_nan():
    engine = Engine(lambda engine, batch: (torch.rand(2, 2, 4), torch.zeros(2, 1, 4)))
    ma.DiceMaskedOutput(["dice"], skip_background=True).attach(engine)
    with pytest.warns(UserWarning, match="nothing to measure in a whole epoch.*masks of 0 and 255"):
        engine.run([0, 1])
    assert math.isnan(engine.state.metrics["dice"])


def test_one_warning_does_not_silence_another():
    labels = [torch.tensor([[[0.0, 1, 255, 255]]]), torch.zeros(1, 1, 4)]
    engine = Engine(lambda engine, batch: (torch.rand(1, 2, 4), labels[engine.state.epoch - 1]))
    ma.ComputeDice("dice", skip_background=True).attach(engine)
    with pytest.warns(UserWarning, match="not class indices"), pytest.warns(UserWarning, match="nothing to measure"):
        engine.run([0], max_epochs=2)


def labeled(value):
    """Batches with two voxels of background and two of ``value`` in each sample."""
    return Engine(lambda engine, batch: (torch.rand(3, 2, 4), torch.tensor([[[0.0, 0, value, value]]] * 3)))


@pytest.mark.parametrize("value", [255, -1, 0.5, math.nan])
def test_labels_that_are_no_class_are_reported_once(value):
    """Such a Dice is that of the background alone, and looks good."""
    engine = labeled(value)
    ma.ComputeAccuracy("accuracy").attach(engine)  # counts first
    ma.ComputeDice("dice").attach(engine)
    ma.ComputeDice("jaccard", jaccard=True).attach(engine)
    with pytest.warns(UserWarning, match="not class indices") as said:
        engine.run([0, 1], max_epochs=3)
    assert [str(w.message).partition(" are")[0] for w in said] == ["ComputeAccuracy(tag='accuracy'): 12 labels"]


@pytest.mark.parametrize(
    "options", [{"ignore_index": 255}, {"mask_key": "valid"}, {"is_onehot_targets": True}], ids=str
)
def test_declared_labels_are_not_reported(options, recwarn):
    label = torch.tensor([[[0.0, 0, 255, 255]]] * 3)
    label = label.expand(3, 2, 4) if "is_onehot_targets" in options else label
    dice = ma.ComputeDice("dice", **options)
    context = ma.BuildContext(torch.rand(3, 2, 4), label, batch={"valid": torch.tensor([[[1, 1, 0, 0]]] * 3)})
    dice.measure(context)
    dice.aggregate()
    assert not [w for w in recwarn if "not class indices" in str(w.message)]


def test_one_epoch_with_something_to_measure_says_nothing(recwarn):
    engine = Engine(lambda engine, batch: (torch.rand(2, 2, 4), torch.full((2, 1, 4), batch)))
    ma.DiceMaskedOutput(["dice"], skip_background=True).attach(engine)
    engine.run([0, 1])
    assert not [w for w in recwarn if "nothing to measure" in str(w.message)]


def test_a_key_metric_that_turns_out_to_have_no_epoch_value_is_refused():
    class Maps(ma.AuxiliaryOperation):
        def get_output_tensors(self, predictions, label, build_ctx):
            return {"map": predictions.flatten(2).mean(2)}

    engine = engine_of(lambda x, y: (x, y))
    engine.state.key_metric_name = "train_map"
    Maps().attach(engine, "train_map")
    with pytest.warns(UserWarning, match="no output has"), pytest.raises(ValueError, match="cannot be the key metric"):
        engine.run(batches())


def test_a_list_of_samples_is_measured_sample_by_sample():
    """As MONAI's tutorials leave it: ``[post(i) for i in decollate_batch(y_pred)]``, the labels likewise."""
    sizes = [(6, 5), (4, 8)]
    pred = [torch.nn.functional.one_hot(torch.ones(size, dtype=torch.long), 2).movedim(-1, 0).float() for size in sizes]
    label = [torch.ones(1, *sizes[0]), torch.zeros(1, *sizes[1])]
    for output in ((pred, label), {"pred": pred, "label": label}):
        engine = Engine(lambda engine, batch, output=output: output)
        ma.ComputeAccuracy("accuracy").attach(engine)
        ma.ComputeAverage("mean", "accuracy").attach(engine)
        engine.run([0])
        assert engine.state.metrics["accuracy"] == engine.state.metrics["mean"] == 0.5
        if isinstance(output, dict):
            assert output["accuracy"].tolist() == [[1.0], [0.0]]


def test_monais_metric_handler_takes_an_aux_op_as_its_function():
    from monai.handlers import IgniteMetricHandler

    engine = Engine(lambda engine, batch: batch)
    engine.state.metric_details = {}
    IgniteMetricHandler(metric_fn=ma.ComputeDice("dice")).attach(engine, "val_dice")
    engine.run([(torch.tensor([[[0.9, 0.1]]]), torch.tensor([[[1, 0]]]))])
    assert engine.state.metrics["dice"] == 1.0


def test_what_has_no_batch_axis_is_not_published_as_a_sample():
    engine = Engine(lambda engine, batch: {"pred": batch, "label": None})
    ma.ReduceMeanMasked("mean", axis=0).attach(engine)
    engine.run([torch.rand(3, 3)])  # as many channels as samples
    assert "mean" not in engine.state.output


def test_an_epoch_without_a_batch_is_reported():
    engine = engine_of(lambda scores, label: {"pred": scores, "label": label})
    ma.ComputeDice("dice").attach(engine, "dice")
    ma.ComputeAccuracy("acc").attach(engine, "acc")
    said = r"no batch came in epoch 1, so the values of ComputeDice\(tag='dice'\), ComputeAccuracy\(tag='acc'\) are NaN"
    with pytest.warns(UserWarning, match=said):
        engine.run(iter([]))
    assert math.isnan(engine.state.metrics["dice"])
