"""Which run is shown, which epoch is best, and what other tools wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from monai_auxops.cli import main
from monai_auxops.report.command import read_runs
from monai_auxops.report.events import read_events
from monai_auxops.report.reading import read_run
from tests.report.test_report import Parsed, data_in, write_run


def write_events(folder: Path, curves: dict[str, dict[int, float]], start: float = 1000.0, name: str = "1") -> Path:
    """An event file whose scalars are a second apart."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = sorted({step for curve in curves.values() for step in curve})
    with (folder / f"events.out.tfevents.{name}").open("wb") as file:
        writer, time = RecordWriter(file), start
        writer.write(Event(wall_time=time, file_version="brain.Event:2").SerializeToString())
        for step in steps:
            for tag, curve in curves.items():
                if step in curve:
                    time += 1
                    value = Summary.Value(tag=tag, simple_value=curve[step])
                    writer.write(Event(wall_time=time, step=step, summary=Summary(value=[value])).SerializeToString())
    return folder


def epochs(*values: float) -> dict[int, float]:
    return dict(enumerate(values, 1))


def test_a_run_started_anew_in_the_same_folder_is_shown_alone(tmp_path):
    old = {"val/dice": epochs(0.1, 0.9, 1.0), "train/loss": epochs(3, 2, 1)}
    write_events(tmp_path, old, 1000, "1")
    write_events(tmp_path, {"val/dice": epochs(0.2, 0.3), "train/loss": epochs(5, 4)}, 5000, "2")
    series, _, remarks = read_events(tmp_path)
    assert series["val_dice"].values.tolist() == pytest.approx([0.2, 0.3])
    assert remarks == ["events.out.tfevents.1: not shown, because it belongs to another run in this folder."]


def test_a_resumed_run_continues_its_curves(tmp_path):
    write_events(tmp_path, {"val/dice": epochs(0.1, 0.2, 0.3), "hp_metric": {0: -1.0}}, 1000, "1")
    write_events(tmp_path, {"val/dice": {3: 0.4, 4: 0.5}, "hp_metric": {0: -1.0}}, 5000, "2")
    series, _, remarks = read_events(tmp_path)
    assert series["val_dice"].values.tolist() == pytest.approx([0.1, 0.2, 0.4, 0.5])
    assert remarks == []


def test_writers_of_one_run_belong_together(tmp_path):
    write_events(tmp_path, {"train/dice": epochs(0.1, 0.2)}, 1000, "1")
    write_events(tmp_path, {"val/dice": epochs(0.3, 0.4)}, 1000.5, "2")
    write_events(tmp_path / "classes/liver", {"val/dice": epochs(0.5, 0.6)}, 1000.7)
    series, _, remarks = read_events(tmp_path)
    assert set(series) == {"train_dice", "val_dice", "val_dice/liver"}
    assert remarks == []


def test_an_evaluation_afterwards_does_not_replace_the_training(tmp_path):
    write_events(tmp_path, {"val/dice": epochs(0.1, 0.9, 0.5)}, 1000, "1")
    write_events(tmp_path, {"val/dice": epochs(0.2)}, 5000, "2")
    series, _, remarks = read_events(tmp_path)
    assert series["val_dice"].values.tolist() == pytest.approx([0.1, 0.9, 0.5])
    assert len(remarks) == 1


def test_what_ended_before_the_run_started_is_older(tmp_path):
    write_events(tmp_path, {"val/dice": epochs(0.1, 0.9)}, 1000, "1")
    write_events(tmp_path, {"val/dice": {5: 0.2, 6: 0.3}}, 5000, "2")
    assert set(read_events(tmp_path, 4000.0)[0]["val_dice"].steps.tolist()) == {5, 6}


def test_the_parent_of_folds_is_its_folds(tmp_path):
    for fold in range(3):
        write_run(tmp_path / f"fold{fold}/eval", {"val_dice": [0.1 * fold, 0.5]})
    runs = read_runs([tmp_path])
    assert [run.name for run in runs] == ["fold0/eval", "fold1/eval", "fold2/eval"]
    assert all(sum(seconds for _, seconds in run.seconds) == 8.0 for run in runs)


def test_a_bundle_with_one_run_is_that_run(tmp_path):
    write_run(tmp_path / "bundle/eval", {"val_dice": [0.1, 0.5]})
    (run,) = read_runs([tmp_path / "bundle"])
    assert run.best is not None
    assert run.best.step == 2


def test_equal_names_are_distinguished_by_folders_above(tmp_path):
    for name in ("a/x/eval", "b/x/eval"):
        write_run(tmp_path / name)
    names = [run.name for run in read_runs([tmp_path / "a/x/eval", tmp_path / "b/x/eval"])]
    assert names == ["a/x/eval", "b/x/eval"]


@pytest.mark.parametrize(
    ("curves", "word", "metric"),
    [
        ({"val_loss": epochs(0.9, 0.1)}, None, None),
        ({"val_hausdorff": epochs(17, 3)}, None, None),
        ({"val_hausdorff": epochs(17, 3), "val_dice": epochs(0.2, 0.9)}, "highest", "val_dice"),
        ({"val_dice_loss": epochs(0.9, 0.1)}, None, None),
        ({"val/score": epochs(1, 2)}, None, None),
        ({"train/dice": epochs(0.1, 0.9)}, None, None),
    ],
)
def test_no_guess_is_shown_as_a_fact(tmp_path, curves, word, metric):
    run = read_run(write_events(tmp_path, curves))
    assert run.judge.metric == metric
    assert (run.best is None) == (word is None)
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "class='card best'" not in page
    marks = {chart["best"]["word"] for chart in data_in(page)["charts"] if chart.get("best")}
    assert marks == ({word} if word else set())
    if word:
        assert f"{word} {metric}" in Parsed(page).text


@pytest.mark.parametrize(("options", "step"), [((), 1), (("--lower",), 2)])
def test_the_command_line_says_which_way_is_better(tmp_path, options, step):
    write_events(tmp_path, {"val/score": epochs(0.9, 0.1, 0.5)})
    run = read_run(tmp_path, "val/score", lower=bool(options))
    assert run.best is not None
    assert (run.best.step, run.judge.said) == (step, True)
    assert main(["report", str(tmp_path), "--metric", "val_score", *options]) == 0


def test_a_loss_that_is_named_has_no_best_without_its_direction(tmp_path):
    write_events(tmp_path, {"val_loss": epochs(0.9, 0.1)})
    assert read_run(tmp_path, "val_loss").best is None
    assert "The run does not say whether more or less of val_loss is better" in " ".join(
        read_run(tmp_path, "val_loss").remarks
    )


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        ({"best": {"metric": "val_dist", "higher_is_better": False}}, 2),
        ({"best": {"metric": "val_dist"}, "higher_is_better": {"val_dist": False}}, 2),
        ({"best": {"metric": "val_dist", "higher_is_better": None}, "higher_is_better": {"val_dist": True}}, 1),
        ({"best": {"metric": None}, "higher_is_better": {"val_dist": False}}, 2),
    ],
)
def test_the_direction_that_a_run_declares(tmp_path, facts, step):
    write_events(tmp_path, {"val/dist": epochs(9, 1, 5)})
    (tmp_path / "run.json").write_text(
        json.dumps({"started": "1970-01-01T00:00:00+00:00", "seconds": {"3": 1}, **facts})
    )
    best = read_run(tmp_path).best
    assert best is not None
    assert best.step == step


def test_an_epoch_without_a_value_is_never_the_best(tmp_path):
    write_events(tmp_path, {"val/dice": epochs(0.5, math.nan, math.inf, 0.4)})
    best = read_run(tmp_path, "val_dice").best
    assert best is not None
    assert best.step == 1


NNUNET = """2024-01-01 10:00:00.1: Epoch 0
2024-01-01 10:00:00.2: Current learning rate: 0.01
2024-01-01 10:01:00.1: train_loss -0.1
2024-01-01 10:01:00.2: val_loss -0.2
2024-01-01 10:01:00.3: Pseudo dice [np.float32(0.5), np.float32(0.7)]
2024-01-01 10:01:00.4: Epoch time: 60.5 s
2024-01-01 10:01:01.0: Epoch 1
2024-01-01 10:02:00.1: train_loss -0.3
2024-01-01 10:02:00.2: val_loss -0.4
2024-01-01 10:02:00.3: Pseudo dice [0.6, nan]
2024-01-01 10:02:00.4: Epoch time: 59.5 s
"""


def test_a_log_of_nnunet_and_its_summary(tmp_path):
    folder = tmp_path / "fold_0"
    (folder / "validation").mkdir(parents=True)
    (folder / "training_log_2024_1_1.txt").write_text(NNUNET)
    metrics = {
        "1": {"Dice": 0.8, "IoU": 0.7, "TP": 8, "FP": 2, "FN": 2},
        "2": {"Dice": 0.0, "IoU": 0.0, "TP": 0, "FP": 3, "FN": 0},
    }
    case = {"metrics": metrics, "prediction_file": "/x/case_1.nii.gz"}
    (folder / "validation/summary.json").write_text(json.dumps({"metric_per_case": [case]}))
    run = read_run(folder)
    assert run.series["val_dice/class 1"].values.tolist() == [0.5, 0.6]
    assert run.series["val_dice"].values.tolist() == pytest.approx([0.6, 0.6])
    assert run.seconds == [(1, 60.5), (2, 59.5)]
    assert (run.unit, run.epochs, run.judge.metric, run.judge.said) == ("epoch", 2, "val_dice", True)
    assert main(["report", str(folder)]) == 0
    text = Parsed((folder / "report.html").read_text()).text
    assert "Read from files that nnU-Net wrote." in text
    assert "class 2" in text


def test_lightnings_csv_and_its_tensorboard_logger(tmp_path):
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv/metrics.csv").write_text("epoch,step,train_loss_step,val_dice\n0,9,0.5,\n0,19,,0.6\n1,39,,0.7\n")
    run = read_run(tmp_path / "csv")
    assert run.series["val_dice"].steps.tolist() == [1, 2]
    assert run.series["train_loss_step"].steps.tolist() == [9]
    steps = {"epoch": {9: 0.0, 19: 1.0}, "val_dice": {9: 0.6, 19: 0.7}, "train_loss_step": {4: 1.0, 9: 0.9, 14: 0.8}}
    run = read_run(write_events(tmp_path / "tb", steps))
    assert run.series["val_dice"].steps.tolist() == [1, 2]
    assert len(run.series["train_loss_step"].steps) == 3
    assert run.tool == "Lightning"


def test_the_learning_rate_is_drawn(tmp_path):
    folder = write_run(tmp_path, learning_rate={"1": 0.1, "2": 0.05})
    assert main(["report", str(folder)]) == 0
    assert "learning rate" in (folder / "report.html").read_text()


def test_a_running_run_can_be_reloaded_and_a_finished_one_not(tmp_path):
    for name, finished in (("goes_on", None), ("ended", "2024-01-02T00:00:00+00:00")):
        folder = write_run(tmp_path / name, finished=finished)
        assert main(["report", str(folder)]) == 0
        assert ("reload every" in Parsed((folder / "report.html").read_text()).text) == (finished is None)


def test_thinned_curves_keep_their_mean():
    from monai_auxops.report.curves import thin_curve
    from monai_auxops.report.events import Curve

    values = np.random.default_rng(0).random(1200)
    steps, means = thin_curve(Curve(np.arange(1200), values, values), 300)
    assert len(steps) == 300
    assert np.mean(means) == pytest.approx(values.mean())


def test_a_key_metric_without_a_curve_is_named(tmp_path):
    write_events(tmp_path, {"train/dice": epochs(0.5, 0.6, 0.7)})
    best = {"metric": "val_dice", "epoch": 2, "value": 0.875, "higher_is_better": True}
    (tmp_path / "run.json").write_text(json.dumps({"started": "1970-01-01", "seconds": {"3": 1}, "best": best}))
    run = read_run(tmp_path)
    assert (run.best.step, run.best.value, run.judge.word) == (2, 0.875, "best")
    assert main(["report", str(tmp_path)]) == 0
    text = Parsed((tmp_path / "report.html").read_text()).text
    assert "No curve of the key metric val_dice; AuxTensorBoardStatsHandler, attached to its engine, writes it." in text
    assert "best val_dice" in text


def test_a_key_metric_that_never_had_a_value_is_named(tmp_path):
    write_events(tmp_path, {"train/dice": epochs(0.5, 0.6), "val/dice": epochs(math.nan, math.nan)})
    best = {"metric": "val_dice", "epoch": None, "value": None, "higher_is_better": True}
    (tmp_path / "run.json").write_text(json.dumps({"started": "1970-01-01", "seconds": {"2": 1}, "best": best}))
    run = read_run(tmp_path)
    assert run.best is None
    assert "val_dice has no value in any epoch, so there is no best epoch." in run.remarks


def test_a_loss_that_is_no_number_is_reported(tmp_path):
    write_events(tmp_path, {"train/loss": epochs(0.5, math.nan, math.inf, 0.25), "val/dice": epochs(math.nan, 0.5)})
    assert read_run(tmp_path).gaps[-1] == "train_loss: 2 of 4 values are NaN or infinite, first in step 2."


def test_what_would_add_cases_is_named(tmp_path):
    write_events(tmp_path, {"val/dice": epochs(0.25, 0.5)})
    assert "Read from files that TensorBoard wrote; AuxReportHandler would add" in read_run(tmp_path).remarks[0]
    facts = {"started": "1970-01-01", "seconds": {"2": 1}, "aux_ops": {"validation": {"val_dice": "ComputeDice()"}}}
    (tmp_path / "run.json").write_text(json.dumps(facts))
    (remark,) = read_run(tmp_path).remarks
    assert remark == "No table of cases: pass report_path= to an aux-op of the validation."


def test_the_folder_above_a_single_run_is_enough(tmp_path):
    write_run(tmp_path / "results/output_1")
    (run,) = read_runs([tmp_path / "results"])
    assert run.folder == tmp_path / "results/output_1"
    assert "val_dice" in run.series
    assert main(["report", str(tmp_path / "results")]) == 0
    assert (tmp_path / "results/report.html").is_file()


def test_a_run_in_two_folders_is_one(tmp_path):
    write_events(tmp_path / "log/val", {"dice": epochs(0.5, 0.6)})
    write_events(tmp_path / "eval", {"loss": epochs(0.5, 0.6)})
    (run,) = read_runs([tmp_path])
    assert run.folder == tmp_path
    assert set(run.series) == {"val/dice", "loss"}
