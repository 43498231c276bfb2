"""Handlers that only show: whatever an engine has, the run ends as it would without them."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import threading
import warnings
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator
from monai.handlers import MeanDice, ValidationHandler, from_engine

import monai_auxops as ma
from monai_auxops.report.classes import class_table
from monai_auxops.report.reading import read_run

BRATS = {"is_onehot_targets": True, "is_independent_predictions": True, "final_activation": "sigmoid"}


def volume(channels=3, label_channels=1, spatial=(8, 8), classes=3, label_shape=None):
    shape = (label_channels, *spatial) if label_shape is None else label_shape
    return {"image": torch.randn(channels, *spatial), "label": torch.randint(0, classes, shape).float()}


def vector(classes=2):
    return {"image": torch.rand(classes), "label": torch.randint(0, classes, (1,))}


def post_only():
    return {"val_dice": ma.ComputeDice("dice", stage="post")}


SETUPS = {  # items, metrics, what is said, files that are there all the same
    "plain": (volume, lambda: {"val_dice": ma.ComputeDice("dice")}, [], ["worst", "matrix"]),
    "multi-label": (
        lambda: volume(label_channels=3, classes=2),
        lambda: {"val_dice": ma.ComputeDice("dice", **BRATS)},
        ["confusion matrix left out.*may overlap"],
        ["worst"],
    ),
    "one-hot": (
        lambda: {"image": torch.randn(3, 8, 8), "label": torch.eye(3)[torch.randint(0, 3, (8, 8))].movedim(-1, 0)},
        lambda: {"val_dice": ma.ComputeDice("dice", is_onehot_targets=True)},
        [],
        ["worst", "matrix"],
    ),
    "classification": (
        vector,
        lambda: {"val_acc": ma.ComputeAccuracy("acc")},
        ["pictures of the worst cases left out"],
        ["matrix"],
    ),
    "AUC only": (
        lambda: vector(2) | {"label": torch.randint(0, 2, (2,))},
        lambda: {"val_auc": ma.ComputeAUC("auc", "binary_preds", "binary_labels"), "p": ma.ComputeBinaryPreds()},
        ["confusion matrix left out.*may overlap", "pictures"],
        [],
    ),
    "a foreign metric only": (
        volume,
        lambda: {"val_dice": MeanDice(num_classes=3, output_transform=from_engine(["pred", "label"]))},
        ["pictures.*expected an aux-op that measures single cases"],
        ["matrix"],
    ),
    "post stage only": (volume, post_only, [], ["worst", "matrix"]),
    "channels last": (
        lambda: {"image": torch.randn(8, 8, 3), "label": torch.randint(0, 3, (8, 8, 1)).float()},
        lambda: {"val_dice": ma.ComputeDice("dice", data_format="channels_last")},
        [],
        ["worst", "matrix"],
    ),
    "label without channel": (
        lambda: volume(label_shape=(8, 8)),
        lambda: {"val_dice": ma.ComputeDice("dice")},
        [],
        ["worst", "matrix"],
    ),
    "3D": (lambda: volume(spatial=(8, 8, 4)), lambda: {"val_dice": ma.ComputeDice("dice")}, [], ["worst", "matrix"]),
    "1D": (
        lambda: volume(spatial=(8,)),
        lambda: {"val_dice": ma.ComputeDice("dice")},
        ["pictures need image, label and prediction"],
        ["matrix"],
    ),
    "one logit": (
        lambda: volume(channels=1, classes=2),
        lambda: {"val_dice": ma.ComputeDice("dice", final_activation="sigmoid")},
        [],
        ["worst", "matrix"],
    ),
    "no op that cuts": (
        lambda: volume(channels=1, classes=2),
        lambda: {"val_mean": ma.ReduceMeanMasked("mean")},
        ["confusion matrix left out.*threshold=", "pictures.*threshold="],
        [],
    ),
    "ignored": (
        volume,
        lambda: {"val_dice": ma.ComputeDice("dice", ignore_index=2)},
        [],
        ["worst", "matrix"],
    ),
}


class Same(torch.nn.Module):
    def forward(self, x):
        return x


def validated(tmp_path, item, metrics, decollate=False, epochs=2, **options) -> Engine:
    first, *more = metrics.items()
    judge = SupervisedEvaluator(
        torch.device("cpu"),
        DataLoader([item() for _ in range(3)], batch_size=2),
        Same(),
        key_val_metric=dict([first]),
        additional_metrics=dict(more),
        decollate=decollate,
    )
    trainer = Engine(lambda engine, batch: {"loss": torch.tensor(1.0)})
    ValidationHandler(1, judge).attach(trainer)
    ma.AuxReportHandler(judge, interval=1, log_dir=tmp_path, **options).attach(trainer)
    ma.AuxConsoleHandler(judge, io.StringIO()).attach(trainer)
    trainer.run([0], max_epochs=epochs)
    assert trainer.state.epoch == epochs
    return judge


@pytest.mark.parametrize("setup", SETUPS)
def test_whatever_the_evaluator_has(tmp_path, setup):
    item, metrics, said, files = SETUPS[setup]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        validated(tmp_path, item, metrics(), decollate=setup == "post stage only")
    ours = [str(each.message) for each in caught if str(each.message).startswith("Aux")]
    assert len(ours) == len(said), ours  # once each, in two epochs
    for pattern in said:
        assert any(re.search(pattern, text) for text in ours), (pattern, ours)
    there = {"worst": tmp_path / "worst_cases.csv", "matrix": tmp_path / "confusion_matrix.csv"}
    assert {name for name, path in there.items() if path.is_file()} == set(files)


LOGITS = torch.tensor([0.2, 0.3, 0.4, -3.0, -2.0])[:, None]
LABELS = torch.tensor([1, 1, 1, 0, 0])[:, None]
CUTS = {
    "sigmoid of accuracy": [lambda: ma.ComputeAccuracy("a", use_sigmoid=True)],
    "activation of accuracy": [lambda: ma.ComputeAccuracy("a", final_activation="sigmoid")],
    "a mean before a Dice": [
        lambda: ma.ReduceMeanMasked("m"),
        lambda: ma.ComputeDice("d", final_activation="sigmoid"),
    ],
    "scores for an AUC": [ma.ComputeBinaryPreds],
    "a label format": [lambda: ma.ComputeMulticlassAccuracy("m", label_format=[1])],
}


@pytest.mark.parametrize("ops", CUTS.values(), ids=CUTS)
def test_the_matrix_cuts_where_the_ops_cut(tmp_path, ops):
    engine = Engine(lambda engine, batch: (LOGITS, LABELS))
    for make in ops:
        make().attach(engine)
    ma.AuxConfusionHandler(1, log_dir=tmp_path).attach(engine)
    engine.run([0])
    table = [[int(row[name]) for name in "01"] for row in rows(tmp_path / "confusion_matrix.csv")]
    assert table == [[2, 0], [0, 3]]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["dict", "tuple", "supervised"])
def test_plain_ignite_has_the_trainers_epochs(tmp_path, kind):
    network = torch.nn.Conv2d(1, 3, 1)
    batch = (torch.randn(2, 1, 8, 8), torch.randint(0, 3, (2, 8, 8)))
    if kind == "supervised":
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        trainer = create_supervised_trainer(network, optimizer, torch.nn.CrossEntropyLoss())
        judge = create_supervised_evaluator(network)
    else:
        trainer = Engine(lambda engine, each: 0.5)

        def step(engine, each):
            prediction = network(each[0])
            return {"image": each[0], "pred": prediction, "label": each[1]} if kind == "dict" else (prediction, each[1])

        judge = Engine(step)
    ma.DiceMaskedOutput("dice", class_names=["a", "b", "c"], report_path=tmp_path).attach(judge, "val_dice")
    text = io.StringIO()
    ma.AuxConsoleHandler(judge, text).attach(trainer)
    ma.AuxTensorBoardStatsHandler(log_dir=tmp_path).attach(judge)
    ma.AuxReportHandler(judge, interval=1, log_dir=tmp_path).attach(trainer)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: judge.run([batch]))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Aux")
        trainer.run([batch], max_epochs=3)
    assert [row["epoch"] for row in rows(tmp_path / "dice_cases.csv")] == list("112233")
    assert sorted({row["epoch"] for row in rows(tmp_path / "worst_cases.csv")}) == list("123")
    assert len({row["picture"] for row in rows(tmp_path / "worst_cases.csv")}) == 6
    assert [row["epoch"] for row in rows(tmp_path / "confusion_matrix.csv")] == list("111222333")
    lines = [line for line in text.getvalue().splitlines() if line.strip()[:2] in ("1/", "2/", "3/")]
    assert all(len(line.split()) >= 5 for line in lines), text.getvalue()
    best = json.loads((tmp_path / "best/best.json").read_text())
    said = json.loads((tmp_path / "run.json").read_text())["best"]
    marked = [int(line.strip()[0]) for line in lines if line.endswith("best")]
    assert best["metric"] == said["metric"] == "val_dice"
    assert best["epoch"] == said["epoch"] == marked[-1]


def test_losses_in_a_dict_and_a_nan_loss():
    text = io.StringIO()
    losses = [{"dice": torch.tensor(0.25), "ce": torch.tensor(0.5)}, {"dice": torch.tensor(0.75), "ce": 0.5}]
    engine = Engine(lambda engine, batch: {"loss": losses[batch]})
    ma.AuxConsoleHandler(stream=text).attach(engine)
    engine.run([0, 1])
    header, line = text.getvalue().splitlines()
    assert header.split() == ["epoch", "loss/dice", "loss/ce"]
    assert line.split() == ["1/1", "0.5000", "0.5000"]
    text.truncate(text.seek(0))
    engine = Engine(lambda engine, batch: {"loss": torch.tensor([0.5, float("nan")][batch])})
    ma.AuxConsoleHandler(stream=text).attach(engine)
    engine.run([0, 1])
    assert text.getvalue().splitlines()[1].split() == ["1/1", "nan"]


def test_a_loss_named_like_a_tag_hides_no_running_mean(caplog):
    engine = Engine(lambda engine, batch: {"pred": torch.ones(1, 1), "label": torch.ones(1, 1)})
    ma.ComputeAccuracy("dice").attach(engine)
    handler = ma.AuxStatsHandler(True, name="both", output_transform=lambda output: {"dice": 0.25})
    handler.attach(engine)
    logging.getLogger("both").propagate = True
    with caplog.at_level(logging.INFO, logger="both"):
        engine.run([0])
    assert "dice (loss): 0.2500 dice: 1.0000" in caplog.text


def test_a_column_that_turns_up_later_gets_a_header():
    text, (trainer, judge) = io.StringIO(), (Engine(lambda engine, batch: None) for _ in range(2))
    judge.add_event_handler(Events.COMPLETED, lambda e: e.state.metrics.update(val_other=0.5))
    trainer.add_event_handler(Events.EPOCH_COMPLETED(every=2), lambda: judge.run([0]))
    ma.AuxConsoleHandler(judge, text).attach(trainer)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: e.state.metrics.update(train_a=1.5))
    trainer.run([0], max_epochs=2)
    lines = text.getvalue().splitlines()
    assert [line.split() for line in lines] == [
        lines[0].split(),
        ["epoch", "a"],
        ["1/2", "1.5000"],
        lines[3].split(),
        ["epoch", "a", "other"],
        ["2/2", "1.5000", "0.5000"],
    ]


def test_a_full_disk_ends_no_training(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("monai_auxops.handlers.run_file.replace_text", full)
    monkeypatch.setattr("monai_auxops.handlers.worst_cases.save_png", full)
    with (
        pytest.warns(UserWarning, match=r"AuxRunFactsHandler: run.json left out.*No space left"),
        pytest.warns(UserWarning, match=r"AuxWorstCasesHandler: the epoch left out.*No space left"),
    ):
        validated(tmp_path, volume, {"val_dice": ma.ComputeDice("dice")})


def test_two_evaluators_on_one_trainer_keep_apart(tmp_path):
    trainer, judges = Engine(lambda engine, batch: None), []
    for number in (1, 2):
        data = torch.randn(1, 3, 8, 8), torch.randint(0, 3, (1, 1, 8, 8))
        judge = Engine(lambda engine, batch, data=data: {"image": data[0], "pred": data[0], "label": data[1]})
        ma.ComputeDice("dice").attach(judge, f"val{number}_dice")
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine, judge=judge: judge.run([0]))
        judges.append(judge)
    ma.AuxReportHandler(judges, interval=1, log_dir=tmp_path).attach(trainer)
    trainer.run([0], max_epochs=2)
    for folder in (tmp_path, tmp_path / "2"):
        assert [row["epoch"] for row in rows(folder / "worst_cases.csv")] == ["1", "2"]
    facts = json.loads((tmp_path / "run.json").read_text())
    assert [*facts["aux_ops"]] == ["training", "validation", "validation 2"]
    run = read_run(tmp_path)
    assert run.best_set["folder"] == tmp_path / "best"  # not that of the second one
    assert run.worst is not None
    assert run.worst.path == tmp_path / "worst_cases.csv"


def test_threads_and_writers_end_with_the_training(tmp_path):
    before = threading.active_count()
    for number in range(3):
        judge = validated(tmp_path / str(number), volume, {"val_dice": ma.ComputeDice("dice")})
        handler = ma.AuxTensorBoardStatsHandler(log_dir=tmp_path / f"own{number}")
        handler.attach(judge)
        judge.run()
    assert threading.active_count() == before


def test_running_values_come_every_fiftieth_iteration(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(
        "monai_auxops.engine.hub.Hub.running_means", lambda self, flag=None: looked.append(flag) or {"running": 0.5}
    )
    engine = Engine(lambda engine, batch: (torch.ones(1, 1), torch.ones(1, 1)))
    ma.ComputeAccuracy("acc").attach(engine)
    ma.AuxStatsHandler().attach(engine)
    ma.AuxTensorBoardStatsHandler(log_dir=tmp_path).attach(engine)
    engine.run([0] * 120)
    assert looked.count("do_print") == looked.count("do_summary") == 2


def test_a_second_run_keeps_the_first_and_names_it(tmp_path):
    for _ in range(2):
        validated(tmp_path, volume, {"val_dice": ma.ComputeDice("dice", report_path=tmp_path)})
    facts = json.loads((tmp_path / "run.json").read_text())
    assert [run["run"] == facts["run"] for run in facts["older"]] == [False]
    assert len({row["run"] for row in rows(tmp_path / "dice_cases.csv")}) == 2
    assert len(rows(tmp_path / "dice_cases.csv")) == 2 * 2 * 3


def test_a_foreign_run_json_is_left_alone(tmp_path):
    (tmp_path / "run.json").write_text('{"best": 0.7}')
    with pytest.warns(UserWarning, match=r"run.json was not written by this handler and is not overwritten"):
        validated(tmp_path, volume, {"val_dice": ma.ComputeDice("dice")})
    assert (tmp_path / "run.json").read_text() == '{"best": 0.7}'


def test_a_single_class_is_shown_once(tmp_path):
    text = io.StringIO()
    op = ma.DiceMaskedOutput(
        "dice", class_names=["腫瘍"], skip_background=True, statistics=["recall"], report_path=tmp_path
    )
    data = torch.eye(2)[torch.tensor([[[0, 1, 1]]])].movedim(-1, 1), torch.tensor([[[[0, 1, 0]]]])
    judge = Engine(lambda engine, batch: {"pred": data[0], "label": data[1]})
    op.attach(judge, "val_dice")
    ma.AuxTensorBoardStatsHandler(log_dir=tmp_path).attach(judge)
    trainer = Engine(lambda engine, batch: None)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: judge.run([0]))
    ma.AuxReportHandler(judge, worst=0, matrix=False, log_dir=tmp_path).attach(trainer)
    ma.AuxConsoleHandler(judge, text).attach(trainer)
    trainer.run([0], max_epochs=2)
    assert judge.state.metrics["val_dice/腫瘍"] == judge.state.metrics["val_dice"] == pytest.approx(2 / 3)
    assert text.getvalue().splitlines()[1].split() == ["epoch", "dice", "recall"]
    run = read_run(tmp_path)
    assert set(run.series) == {"val_dice", "val_recall"}
    table = class_table(run)
    assert [(entry.name, *entry.values.values()) for entry in table.classes] == [
        ("腫瘍", pytest.approx(2 / 3, abs=1e-6))
    ]
    assert (tmp_path / "results.png").is_file()  # its font has no such characters
