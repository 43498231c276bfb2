"""``report_path=`` and ``case_key=`` on every aux-op: a row per case, in a loop and on engines."""

from __future__ import annotations

import copy
import csv
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, MetaTensor
from monai.engines import SupervisedEvaluator

import monai_auxops as ma

OPS = {
    "ComputeDice": lambda **o: ma.ComputeDice("dice", **o),
    "DiceMaskedOutput": lambda **o: ma.DiceMaskedOutput("dice", class_names=["a", "b"], **o),
    "ComputeAccuracy": lambda **o: ma.ComputeAccuracy("acc", **o),
    "ComputeMulticlassAccuracy": lambda **o: ma.ComputeMulticlassAccuracy("acc", label_format=[2], **o),
    "ComputeBinaryPreds": lambda **o: ma.ComputeBinaryPreds(label_format=[1, 1], **o),
    "ComputeMulticlassPreds": lambda **o: ma.ComputeMulticlassPreds(label_format=[2], **o),
    "ReduceMeanMasked": lambda **o: ma.ReduceMeanMasked("mean", **o),
    "NegLoss": lambda **o: ma.NegLoss("negloss", loss_function=lambda x, y: x.mean(), **o),
}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table_of(folder: Path) -> list[dict[str, str]]:
    (path,) = folder.glob("*_cases.csv")
    return rows(path)


def batch_for(name: str, size: int):
    predictions = torch.randn(size, 2)
    label = torch.randint(0, 2, (size, 2 if name == "ComputeBinaryPreds" else 1))
    return predictions, label


@pytest.mark.parametrize("name", OPS)
def test_a_plain_ignite_engine(tmp_path, name):
    """The names are the batch's; the epochs are the trainer's."""

    def step(engine, batch):
        predictions, label = batch_for(name, 1)
        return {"pred": predictions, "label": label}

    trainer, evaluator = Engine(lambda engine, batch: None), Engine(step)
    OPS[name](report_path=tmp_path, case_key="who").attach(evaluator, "val")
    cases = [{"who": ["p1"]}, {"who": ["p2"]}]
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(cases))
    trainer.run([0], max_epochs=2)
    table = table_of(tmp_path)
    assert sorted((row["epoch"], row["file"]) for row in table) == [(e, p) for e in "12" for p in ("p1", "p2")]
    assert len({row["run"] for row in table}) == 1
    assert all(float(row[column]) is not None for row in table for column in list(row)[4:])


@pytest.mark.parametrize("name", [name for name in OPS if name != "NegLoss"])
def test_a_plain_loop(tmp_path, name):
    op = OPS[name](report_path=tmp_path, case_key="who")
    for who in (["a", "b"], ["c"]):
        predictions, label = batch_for(name, len(who))
        op(predictions, label, build_ctx=ma.BuildContext(predictions, label, batch={"who": who}))
    op.aggregate()
    assert sorted(row["file"] for row in table_of(tmp_path)) == ["a", "b", "c"]


def evaluator(items, metric, **more) -> SupervisedEvaluator:
    return SupervisedEvaluator(
        torch.device("cpu"),
        DataLoader(items, batch_size=2),
        torch.nn.Identity(),
        key_val_metric={"val_dice": metric},
        additional_metrics=more,
        decollate=False,
    )


def item(name: str) -> dict[str, object]:
    image = MetaTensor(torch.randn(2, 6), meta={"filename_or_obj": name})
    return {"image": image, "label": torch.randint(0, 2, (1, 6)), "case": f"patient {name}"}


def test_later_ops_have_a_column_and_equal_ones_are_shown_once(tmp_path):
    dice = ma.DiceMaskedOutput("dice", class_names=["a", "b"], report_path=tmp_path)
    more = {"val_acc": ma.ComputeAccuracy("acc"), "val_mean": ma.ComputeAverage("mean", "dice")}
    evaluator([item("x"), item("y"), item("z")], dice, **more).run()
    (row, *_) = rows(tmp_path / "dice_cases.csv")
    assert list(row)[4:] == ["val_dice", "val_dice/a", "val_dice/b", "val_acc"]


def test_the_summary_is_of_the_same_cases_as_the_value(tmp_path):
    run = evaluator([item("x")] * 3, ma.ComputeDice("dice", report_path=tmp_path, case_key="case"))
    run.run()
    first, _, numbers, _ = (tmp_path / "dice_summary_results.txt").read_text().split("\n", 3)
    assert first == "dice (statistics of 3 valid cases):"
    assert float(numbers.split()[0]) == pytest.approx(run.state.metrics["val_dice"], abs=5e-4)
    assert [row["file"] for row in rows(tmp_path / "dice_cases.csv")] == ["patient x"] * 3


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("one.nii", ["one.nii"] * 4),
        (["a", "b", "c", "d"], ["a", "b", "c", "d"]),
        ([("a1", "b1", "c1", "d1"), ("a2", "b2", "c2", "d2")], ["a1,a2", "b1,b2", "c1,c2", "d1,d2"]),
        (None, ["0", "1", "2", "3"]),
        (["a", "b"], ["0", "1", "2", "3"]),
    ],
    ids=["one file", "one each", "two each", "none", "wrong number"],
)
def test_names_of_a_batch_of_four(tmp_path, names, expected):
    image = MetaTensor(torch.randn(4, 2, 6), meta={} if names is None else {"filename_or_obj": names})
    engine = Engine(lambda engine, batch: {"image": image, "pred": image, "label": torch.ones(4, 1, 6)})
    ma.ComputeDice("dice", report_path=tmp_path).attach(engine)
    engine.run([0])
    assert sorted(row["file"] for row in rows(tmp_path / "dice_cases.csv")) == expected
    raw = (tmp_path / "dice_raw_results.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in raw] == expected


def test_a_key_that_is_not_in_the_batch_is_reported(tmp_path):
    run = evaluator([item("x")], ma.ComputeDice("dice", report_path=tmp_path, case_key="nobody"))
    with pytest.warns(UserWarning, match=r"case_key='nobody': expected the batch to hold a name for each of 1 cases"):
        run.run()
    assert [row["file"] for row in rows(tmp_path / "dice_cases.csv")] == ["x"]


def test_a_metric_name_with_a_slash_or_rank_in_it(tmp_path):
    for name in ("frank/dice", "rank", "a:b"):
        x = torch.rand(2, 1)
        metric = ma.ComputeAverage(name, "model", report_path=tmp_path)
        metric(x)
        metric.aggregate()
    found = sorted(path.name for path in tmp_path.glob("*_cases.csv"))
    assert found == ["a%3Ab_cases.csv", "frank%2Fdice_cases.csv", "rank_cases.csv"]


def test_two_evaluators_of_one_name_keep_apart(tmp_path):
    trainer = Engine(lambda engine, batch: None)
    for value in (0.25, 0.75):
        output = {"pred": torch.full((1, 1), value)}
        judge = Engine(lambda engine, batch, output=output: output)
        ma.ReduceMeanMasked("mean", report_path=tmp_path).attach(judge)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine, judge=judge: judge.run([0]))
    trainer.run([0], max_epochs=2)
    for name, value in (("mean", "0.25"), ("mean_2", "0.75")):
        assert [(row["epoch"], row["mean"]) for row in rows(tmp_path / f"{name}_cases.csv")] == [
            ("1", value),
            ("2", value),
        ]
        assert f"0\t{value}\n" in (tmp_path / f"{name}_raw_results.txt").read_text()


def resumable(folder, values, interrupt_at=None):
    """An evaluator whose cases are ``values``, killed after ``interrupt_at`` of them."""
    engine = Engine(lambda engine, batch: {"pred": torch.tensor([[batch]])})
    op = ma.ReduceMeanMasked("mean", report_path=folder)
    op.attach(engine)
    if interrupt_at is not None:
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=interrupt_at), lambda e: e.terminate())
    return engine, op


def test_a_resume_in_mid_epoch_has_every_case_once(tmp_path):
    values = [0.125, 0.25, 0.5, 0.75]
    killed, op = resumable(tmp_path, values, interrupt_at=2)
    killed.run(values)
    saved = copy.deepcopy(op.state_dict())
    torch.save(saved, tmp_path / "state.pt")
    engine, op = resumable(tmp_path, values)
    op.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    engine.run(values[2:])
    assert engine.state.metrics["mean"] == pytest.approx(sum(values) / 4)
    table = rows(tmp_path / "mean_cases.csv")
    assert [float(row["mean"]) for row in table] == values
    assert len({row["run"] for row in table}) == 1
    assert "(statistics of 4 valid cases)" in (tmp_path / "mean_summary_results.txt").read_text()


def test_an_evaluation_in_a_trainings_folder_keeps_its_rows(tmp_path):
    values = [0.25, 0.5]
    trainer, (judge, _) = Engine(lambda engine, batch: None), resumable(tmp_path, values)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: judge.run(values))
    trainer.run([0], max_epochs=3)
    resumable(tmp_path, values)[0].run(values)
    table = rows(tmp_path / "mean_cases.csv")
    assert [row["epoch"] for row in table] == list("11223311")
    assert len({row["run"] for row in table}) == 2


def test_a_trainer_that_resumes_without_the_ops_state_continues_the_table(tmp_path):
    def training(done: int, until: int) -> None:
        trainer, (judge, _) = Engine(lambda engine, batch: None), resumable(tmp_path, [0.5])
        ma.ReduceMeanMasked("mean").attach(trainer, output_transform=lambda output: (torch.ones(1, 1), None))
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: judge.run([0.5]))
        if done:
            trainer.load_state_dict({"epoch": done, "epoch_length": 1, "max_epochs": until, "rng_states": None})
        trainer.run([0], max_epochs=until)

    training(0, 3)
    training(2, 4)
    table = rows(tmp_path / "mean_cases.csv")
    assert [row["epoch"] for row in table] == list("1234")
    assert len({row["run"] for row in table}) == 1
    assert [row["epoch"] for row in rows_without_header(tmp_path / "mean_cases.old.csv", table)] == []


def rows_without_header(path: Path, table) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    return [dict(zip(table[0], line.split(","), strict=True)) for line in path.read_text().splitlines()]


def test_a_full_disk_ends_no_training(tmp_path, monkeypatch):
    engine, _ = resumable(tmp_path, [0.5])

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("monai_auxops.cases.table.CaseFile.append", full)
    with pytest.warns(UserWarning, match="cannot write the report of 'mean'.*No space left"):
        engine.run([0.5, 0.25])
    assert len(rows(tmp_path / "mean_cases.csv")) == 2  # there is space again at the epoch's end


def test_copies_and_pickles_are_of_no_engine(tmp_path):
    engine, op = resumable(tmp_path, [0.5])
    engine.run([0.5])
    for other in (copy.deepcopy(op), pickle.loads(pickle.dumps(op))):
        assert other._report.engine is None


def test_patches_of_one_volume_are_all_cases(tmp_path):
    image = MetaTensor(torch.tensor([[0.5], [0.5], [0.25]]), meta={"filename_or_obj": ["v.nii"] * 3})
    engine = Engine(lambda engine, batch: {"image": image, "pred": image})
    ma.ReduceMeanMasked("mean", report_path=tmp_path).attach(engine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.run([0])
    assert [row["mean"] for row in rows(tmp_path / "mean_cases.csv")] == ["0.25", "0.5", "0.5"]
