"""What the handlers leave beside the curves, read back from the files."""

from __future__ import annotations

import csv
import json
import math
import warnings

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.handlers import ValidationHandler
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

import monai_auxops as ma
from monai_auxops.handlers.slices import most_wrong_slice, panels, size_of_panel

NAMES = ["background", "grey", "white"]


class Same(torch.nn.Module):
    def forward(self, x):
        return x


def case(name: str, wrong: int, spatial=(12, 10, 4)) -> dict[str, MetaTensor]:
    """One whose image, as scores of three classes, is wrong in ``wrong`` voxels of the third slice."""
    label = torch.arange(math.prod(spatial)).reshape(1, *spatial) % 3
    scores = torch.nn.functional.one_hot(label[0], 3).movedim(-1, 0).float()
    flat = scores[..., 2].reshape(3, -1)
    flat[:, :wrong] = flat[:, :wrong].roll(1, 0)
    scores[..., 2] = flat.reshape(3, *spatial[:2])
    return {"image": MetaTensor(scores, meta={"filename_or_obj": name}), "label": MetaTensor(label)}


def evaluator(items, handlers=(), **options) -> SupervisedEvaluator:
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items), batch_size=options.pop("batch_size", 1)),
        network=Same(),
        key_val_metric={"val_dice": ma.DiceMaskedOutput("dice", class_names=NAMES)},
        val_handlers=list(handlers),
        **options,
    )


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def events(folder) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0}).Reload()


@pytest.mark.parametrize("decollate", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_worst_cases_are_drawn_and_named(tmp_path, decollate, batch_size):
    items = [case(f"case_{i}.nii", wrong) for i, wrong in enumerate([3, 50, 0, 90, 20])]
    handler = ma.AuxWorstCasesHandler(1, number=2, log_dir=tmp_path)
    evaluator(items, [handler], decollate=decollate, batch_size=batch_size).run()
    table = rows(tmp_path / "worst_cases.csv")
    assert [(row["epoch"], row["place"], row["file"]) for row in table] == [
        ("1", "1", "case_3.nii"),
        ("1", "2", "case_1.nii"),
    ]
    pixels = np.asarray(Image.open(tmp_path / table[0]["picture"]))
    height, width = size_of_panel((12, 10))
    assert pixels.shape == (width, 4 * height, 3)  # x to the right, y up
    label, predicted = pixels[:, height : 2 * height], pixels[:, 2 * height : 3 * height]
    assert (label != predicted).any(-1).mean() == pytest.approx(90 / 120, abs=0.05)
    images = events(tmp_path).Images("worst/1")
    assert [image.step for image in images] == [1]


def test_the_slice_shown_is_the_one_with_most_errors_within_the_label():
    label, predicted = torch.zeros(2, 4, 4, 3), torch.zeros(2, 4, 4, 3)
    label[0, :, :, 1] = 1  # labeled, and unseen
    predicted[0, :, :, 2] = 1  # nothing but errors, where nothing is labeled
    predicted[1, 0, 0, 2] = 1  # no label at all
    assert most_wrong_slice(label, predicted).tolist() == [1, 2]


def test_classes_survive_the_drawing():
    label = torch.randint(0, 3, (2, 7, 5))
    three, _ = panels(torch.rand(2, 7, 5), label, label, size=14)
    assert torch.equal(three[:, 1, :14:2, :10:2], label.float())
    assert torch.equal(three[:, 1], three[:, 2])


def test_an_unknown_tag_is_reported_and_ends_nothing(tmp_path):
    handler = ma.AuxWorstCasesHandler(1, tag="acc", log_dir=tmp_path)
    with pytest.warns(UserWarning, match=r"AuxWorstCasesHandler: pictures .*expected 'acc' on this engine.*val_dice"):
        evaluator([case("a", 1)], [handler]).run()
    assert not (tmp_path / "worst_cases.csv").exists()


def test_a_confusion_matrix_per_interval(tmp_path):
    handler = ma.AuxConfusionHandler(2, NAMES, log_dir=tmp_path)
    judge = evaluator([case("a", 0), case("b", 30)], [handler])
    trainer = Engine(lambda engine, batch: None)
    ValidationHandler(1, judge).attach(trainer)
    trainer.run([0], max_epochs=4)
    table = rows(tmp_path / "confusion_matrix.csv")
    assert [(row["epoch"], row["label"]) for row in table] == [(e, name) for e in "24" for name in NAMES]
    counts = np.array([[int(row[name]) for name in NAMES] for row in table[:3]])
    assert counts.sum() == 2 * 12 * 10 * 4
    assert counts.sum() - counts.trace() == 30
    assert counts[0, 1] == counts[1, 2] == counts[2, 0] == 10  # rolled by one class
    assert [image.step for image in events(tmp_path).Images("confusion")] == [2, 4]


def test_names_that_do_not_match_the_classes(tmp_path):
    handler = ma.AuxConfusionHandler(1, ["a"], log_dir=tmp_path)
    with pytest.warns(UserWarning, match=r"AuxConfusionHandler.*expected a name for each of 3 classes, got 1"):
        evaluator([case("a", 1)], [handler]).run()


def test_names_of_the_foreground_are_enough(tmp_path):
    evaluator([case("a", 1)], [ma.AuxConfusionHandler(1, ["gray", "white"], log_dir=tmp_path)]).run()
    assert [row["label"] for row in rows(tmp_path / "confusion_matrix.csv")] == ["background", "gray", "white"]


@pytest.mark.parametrize("shape", [(6, 1), (6,)])
def test_one_score_is_a_class_and_its_absence(shape, tmp_path):
    scores = torch.tensor([0.9, 0.8, 0.2, 0.1, 0.6, 0.4]).reshape(shape)
    label = torch.tensor([1, 0, 1, 0, 1, 0]).reshape(shape)
    engine = Engine(lambda engine, batch: (scores, label))
    ma.ComputeAccuracy("acc").attach(engine)
    ma.AuxConfusionHandler(1, log_dir=tmp_path).attach(engine)
    engine.run([0])
    table = [[int(row[name]) for name in "01"] for row in rows(tmp_path / "confusion_matrix.csv")]
    assert table == [[2, 1], [1, 2]]


@pytest.mark.parametrize("make", [ma.AuxConfusionHandler, ma.AuxWorstCasesHandler, ma.AuxReportHandler])
def test_an_interval_below_one_epoch(make, tmp_path):
    with pytest.raises(ValueError, match="expected interval to be at least 1 epoch, got 0"):
        make(interval=0, log_dir=tmp_path)


def test_one_handler_for_the_whole_report(tmp_path):
    judge = evaluator([case("a", 0), case("b", 30)])
    trainer = Engine(lambda engine, batch: {"pred": batch, "label": torch.zeros(1, 1, 2)})
    ma.DiceMaskedOutput("dice", class_names=["grey", "white"]).attach(trainer, "train_dice")
    ValidationHandler(1, judge).attach(trainer)
    config = tmp_path / "train.json"
    config.write_text('{"epochs": 5}')
    ma.AuxReportHandler(judge, 2, NAMES, config=config, log_dir=tmp_path / "run").attach(trainer)
    trainer.run([torch.zeros(1, 2, 2)], max_epochs=5)
    facts = json.loads((tmp_path / "run/run.json").read_text())
    assert facts["versions"]["torch"] == torch.__version__
    assert sorted(facts["seconds"]) == list("12345")
    best = {"metric": "val_dice", "epoch": 1, "value": judge.state.best_metric, "higher_is_better": True}
    assert facts["best"] == best
    assert facts["config"] == '{"epochs": 5}'
    assert facts["finished"] is not None
    assert {row["epoch"] for row in rows(tmp_path / "run/worst_cases.csv")} == {"2", "4", "5"}  # the last one, too
    charts = layout(tmp_path / "run")
    assert charts["classes"]["val_dice"] == ["^val/dice$"]
    assert charts["train and val"]["dice"] == ["^train/dice$", "^val/dice$"]
    assert (tmp_path / "run/results.png").stat().st_size > 5_000


def layout(folder) -> dict[str, dict[str, list[str]]]:
    """The layout of custom scalars, as TensorBoard reads it."""
    (event,) = events(folder).Tensors("custom_scalars__config__")
    read = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    return {category.title: {c.title: list(c.multiline.tag) for c in category.chart} for category in read.category}


def test_a_killed_run_has_its_facts(tmp_path):
    trainer = Engine(lambda engine, batch: 1 / (2 - engine.state.epoch))  # fails in the second epoch
    ma.AuxRunFactsHandler(log_dir=tmp_path).attach(trainer)
    with pytest.raises(ZeroDivisionError):
        trainer.run([0], max_epochs=3)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert list(facts["seconds"]) == ["1"]
    assert facts["finished"] is None


def watched(tmp_path, device):
    """A plain engine with both handlers of pictures, on ``device``."""
    output = {key: torch.zeros(2, c, 8, 8, 4, device=device) for key, c in (("image", 1), ("label", 1), ("pred", 3))}
    engine = Engine(lambda engine, batch: dict(output))
    ma.DiceMaskedOutput("dice").attach(engine)
    for handler in (ma.AuxWorstCasesHandler, ma.AuxConfusionHandler):
        handler(1, log_dir=tmp_path).attach(engine)
    return engine


def test_nothing_is_read_on_the_host_between_draws(tmp_path):
    """On the ``meta`` device there is no value to read: whatever needs one raises."""
    engine = watched(tmp_path, "meta")
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda e: e.interrupt())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.run([0] * 4)
    assert engine.state.iteration == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_waits_for_no_picture(tmp_path):
    engine = watched(tmp_path, "cuda")
    engine.add_event_handler(Events.ITERATION_STARTED(once=2), lambda: torch.cuda.set_sync_debug_mode("error"))
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=4), lambda: torch.cuda.set_sync_debug_mode("default"))
    engine.run([0] * 4)


def test_an_epoch_that_is_not_due_costs_no_look(tmp_path, monkeypatch):
    handler, looked = ma.AuxWorstCasesHandler(2, log_dir=tmp_path), []
    monkeypatch.setattr(handler, "read_batch", looked.append)
    evaluator([case("a", 1)], [handler]).run()
    assert looked == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("errors", "shown"),
    [
        ([7], [("only case", 0)]),
        ([3, 50], [("worst", 1), ("best", 0)]),
        ([4, 4], [("worst", 1), ("best", 0)]),  # equally good
        ([3, 50, 0], [("worst", 1), ("median", 0), ("best", 2)]),
        ([3, 50, 0, 90], [("worst", 3), ("median", 1), ("best", 2)]),  # the lower one in the middle
        ([3, 50, 0, 90, 20], [("worst", 3), ("worst", 1), ("median", 4), ("best", 2)]),
        ([3, 50, 0, 90, 20, 5, 7], [("worst", 3), ("worst", 1), ("worst", 4), ("median", 6), ("best", 2)]),
    ],
)
def test_each_case_is_drawn_once(tmp_path, errors, shown):
    judge = evaluator([case(f"case_{i}", wrong) for i, wrong in enumerate(errors)])
    trainer = Engine(lambda engine, batch: None)
    ValidationHandler(1, judge).attach(trainer)
    ma.AuxReportHandler(judge, log_dir=tmp_path).attach(trainer)
    trainer.run([0])
    drawn = json.loads((tmp_path / "best/best.json").read_text())["cases"]
    assert [(each["place"], each["file"]) for each in drawn] == [(place, f"case_{number}") for place, number in shown]


def test_a_report_without_an_evaluator_says_what_it_lacks(tmp_path):
    trainer = Engine(lambda engine, batch: {"loss": 1.0})
    with pytest.warns(UserWarning, match=r"AuxReportHandler: pictures and confusion matrix left out.*evaluator="):
        ma.AuxReportHandler(log_dir=tmp_path).attach(trainer)
    ma.AuxReportHandler([], log_dir=tmp_path).attach(Engine(lambda engine, batch: {"loss": 1.0}))


def test_a_report_without_pictures_and_matrix(tmp_path):
    judge = evaluator([case("a", 3)])
    trainer = Engine(lambda engine, batch: None)
    ValidationHandler(1, judge).attach(trainer)
    ma.AuxReportHandler(judge, worst=0, matrix=False, log_dir=tmp_path).attach(trainer)
    trainer.run([0], max_epochs=2)
    assert {path.name.partition(".out")[0] for path in tmp_path.iterdir()} == {"run.json", "results.png", "events"}
    assert json.loads((tmp_path / "run.json").read_text())["best"]["metric"] == "val_dice"


@pytest.mark.parametrize(("last", "best"), [(0.25, 2), (0.75, 2), (1.0, 3)])
def test_a_resumed_training_knows_the_best_epoch_before(tmp_path, last, best):
    values = [0.5, 0.75, last]

    def step(engine, batch):
        return (torch.arange(4)[:, None] < 4 * values[engine.state.epoch - 1]).float(), torch.ones(4, 1)

    for done, epochs in ((0, 2), (2, 3)):
        trainer = Engine(step)
        ma.ComputeAccuracy("acc").attach(trainer)
        ma.AuxReportHandler([], log_dir=tmp_path).attach(trainer)
        if done:
            trainer.load_state_dict({"epoch": done, "max_epochs": epochs, "epoch_length": 1})
        trainer.run([0], max_epochs=epochs)
    facts = json.loads((tmp_path / "run.json").read_text())
    expected = {"metric": "acc", "epoch": best, "value": values[best - 1], "higher_is_better": True}
    assert (facts["best"], facts["older"]) == (expected, [])
