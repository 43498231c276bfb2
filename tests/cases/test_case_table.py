"""The table of cases: complete while it grows, worst first when the epoch ends, every case once."""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.handlers import ValidationHandler
from monai.transforms import LoadImaged

import monai_auxops as ma
from monai_auxops.cases.table import Case, CaseFile, EpochCases

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class Same(torch.nn.Module):
    def forward(self, x):
        return x


def evaluator(folder, items, *, batch_size=1, decollate=True, **ops) -> SupervisedEvaluator:
    """One that predicts its image: Dice is the overlap of image and label."""
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items), batch_size=batch_size),
        network=Same(),
        key_val_metric={"val_mean": ma.ComputeAverage("mean", "dice", report_path=folder)},
        additional_metrics={"val_dice": ma.DiceMaskedOutput(["dice"]), **ops},
        decollate=decollate,
    )


def items(overlaps) -> list[dict[str, object]]:
    """Images of ten voxels, of which ``overlap`` stand where the label is."""
    return [
        {
            "image": MetaTensor(
                torch.tensor([[1.0] * n + [0.0] * (10 - n)]), meta={"filename_or_obj": f"image_{i}.nii"}
            ),
            "label": MetaTensor(torch.ones(1, 10), meta={"filename_or_obj": f"label_{i}.nii"}),
        }
        for i, n in enumerate(overlaps)
    ]


@pytest.mark.parametrize("decollate", [True, False])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_row_per_case_worst_first(tmp_path, decollate, batch_size):
    evaluator(tmp_path, items([7, 2, 10, 5]), batch_size=batch_size, decollate=decollate).run()
    table = rows(tmp_path / "mean_cases.csv")
    assert list(table[0]) == ["epoch", "file", "label_file", "run", "val_mean"]  # val_dice is the same
    assert [row["file"] for row in table] == ["image_1.nii", "image_3.nii", "image_0.nii", "image_2.nii"]
    assert [row["label_file"] for row in table] == ["label_1.nii", "label_3.nii", "label_0.nii", "label_2.nii"]
    expected = [2 * n / (n + 10) for n in (2, 5, 7, 10)]
    assert [float(row["val_mean"]) for row in table] == pytest.approx(expected, abs=1e-6)
    assert {row["epoch"] for row in table} == {"1"}


def test_a_batchs_one_value_is_no_value_of_a_case(tmp_path):
    loss = ma.NegLoss("negloss", loss_function=lambda x, y: (x - y).abs().mean())
    evaluator(tmp_path / "two", items([1, 2]), batch_size=2, decollate=False, val_negloss=loss).run()
    assert "val_negloss" not in rows(tmp_path / "two/mean_cases.csv")[0]
    loss = ma.NegLoss("negloss", loss_function=lambda x, y: (x - y).abs().mean())
    evaluator(tmp_path / "one", items([1, 2]), val_negloss=loss).run()
    assert [float(row["val_negloss"]) for row in rows(tmp_path / "one/mean_cases.csv")] == pytest.approx([-0.9, -0.8])


def test_every_validation_of_a_training_adds_its_epoch(tmp_path):
    trainer, judge = Engine(lambda engine, batch: None), evaluator(tmp_path, items([7, 2]))
    ValidationHandler(2, judge, epoch_level=True).attach(trainer)
    trainer.run([0], max_epochs=4)
    table = rows(tmp_path / "mean_cases.csv")
    assert [(row["epoch"], row["file"]) for row in table] == [
        (epoch, file) for epoch in "24" for file in ("image_1.nii", "image_0.nii")
    ]


def test_cases_are_in_the_file_before_the_next_batch(tmp_path):
    metric, x = ma.ComputeAverage("m", "model", report_path=tmp_path), torch.tensor([[0.5], [math.nan]])
    seen = []
    for name in "ab":
        metric(x, None, build_ctx=ma.BuildContext(x, filenames=[f"{name}1", f"{name}2"]))
        seen.append([(row["file"], row["m"]) for row in rows(tmp_path / "m_cases.csv")])
    assert seen[0] == [("a1", "0.5"), ("a2", "nan")]
    assert seen[1] == seen[0] + [("b1", "0.5"), ("b2", "nan")]
    metric.aggregate()
    assert [row["file"] for row in rows(tmp_path / "m_cases.csv")] == ["a1", "b1", "a2", "b2"]


def test_a_plain_loop_numbers_its_epochs(tmp_path):
    metric = ma.ComputeAverage("m", "model", report_path=tmp_path)
    for value in (0.5, 0.25):
        x = torch.tensor([[value]])
        metric(x)
        metric.aggregate()
        metric.aggregate()  # looked at twice, written once
        metric.reset()
    table = rows(tmp_path / "m_cases.csv")
    assert [(row["epoch"], row["file"], row["m"]) for row in table] == [("1", "0", "0.5"), ("2", "0", "0.25")]


def block(epoch, cases, run="r", columns=("m",)) -> EpochCases:
    return EpochCases(epoch, run, columns, tuple(cases))


A, B = Case("a", "", (0.5,)), Case("b", "", (0.25,))


def test_a_resumed_run_sets_aside_what_it_measures_again(tmp_path):
    path = tmp_path / "m_cases.csv"
    first = CaseFile(path)
    for epoch in (1, 2, 3):
        first.append(block(epoch, [A]))
        first.finish(block(epoch, [A]))
    with path.open("a") as file:
        file.write("4,torn off in the mi")
    CaseFile(path).finish(block(3, [A, B]))
    assert [(row["epoch"], row["file"]) for row in rows(path)] == [("1", "a"), ("2", "a"), ("3", "b"), ("3", "a")]
    assert "4,torn off in the mi\n" in (tmp_path / "m_cases.old.csv").read_text()


def test_another_run_leaves_every_row(tmp_path):
    path = tmp_path / "m_cases.csv"
    for epoch in (1, 2):
        CaseFile(path).finish(block(epoch, [A, B]))
    CaseFile(path).finish(block(1, [A], run="evaluation"))
    found = [(row["epoch"], row["run"]) for row in rows(path)]
    assert found == [("1", "r")] * 2 + [("2", "r")] * 2 + [("1", "evaluation")]


def test_two_processes_at_once_keep_all_rows(tmp_path):
    path = tmp_path / "m_cases.csv"
    one, two = CaseFile(path), CaseFile(path)
    for epoch in (1, 2):
        one.append(block(epoch, [A], "one"))
        two.append(block(epoch, [B], "two"))
        one.append(block(epoch, [B], "one"))
        one.finish(block(epoch, [A, B], "one"))
        two.finish(block(epoch, [B], "two"))
    expected = [(str(e), run, name) for e in (1, 2) for run, name in (("one", "a"), ("one", "b"), ("two", "b"))]
    assert sorted((row["epoch"], row["run"], row["file"]) for row in rows(path)) == expected


def test_a_new_column_is_added_and_a_missing_one_is_blank(tmp_path):
    path = tmp_path / "m_cases.csv"
    CaseFile(path).append(block(1, [A]))
    wide = CaseFile(path)
    wide.append(block(1, [Case("b", "", (1.0, 0.75))], "s", ("n", "m")))
    wide.append(block(1, [Case("c", "", (1.0,))], "s", ("o",)))
    wide.finish(block(1, [Case("b", "", (1.0, 0.75))], "s", ("n", "m")))
    assert [(row["file"], row["m"], row["n"], row["o"]) for row in rows(path)] == [
        ("a", "0.5", "", ""),
        ("b", "0.75", "1", ""),
    ]


def test_a_foreign_table_is_set_aside_under_a_free_name(tmp_path):
    path = tmp_path / "m_cases.csv"
    (tmp_path / "m_cases.old.csv").write_text("mine")
    path.write_text("patient,dice\n1,0.5\n")
    CaseFile(path).append(block(1, [A]))
    assert [row["file"] for row in rows(path)] == ["a"]
    assert (tmp_path / "m_cases.old.csv").read_text() == "mine"
    assert (tmp_path / "m_cases.old2.csv").read_text() == "patient,dice\n1,0.5\n"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ('a, "b".nii', 'a, "b".nii'),
        ("two\nlines.nii", "two lines.nii"),
        ("ünï.nii", "ünï.nii"),
        ("a\udce9.nii", "a\\udce9.nii"),
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-3", "-3"),
    ],
)
def test_any_file_name_is_one_field_and_no_formula(tmp_path, name, written):
    CaseFile(tmp_path / "c.csv").finish(block(1, [Case(name, "", (0.5,))]))
    assert [row["file"] for row in rows(tmp_path / "c.csv")] == [written]


KILLED = """
import sys, time, torch, monai_auxops as ma
from tests.cases.test_case_table import evaluator, items
from ignite.engine import Events
run = evaluator(sys.argv[1], items([7, 2, 10, 5]))
run.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda engine: (print("three", flush=True), time.sleep(60)))
run.run()
"""


def test_a_killed_run_keeps_the_cases_it_had(tmp_path):
    environment = os.environ | {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "three\n"
        run.send_signal(signal.SIGKILL)
    assert [row["file"] for row in rows(tmp_path / "mean_cases.csv")] == ["image_0.nii", "image_1.nii", "image_2.nii"]


RANKS = """
import sys, torch.distributed as dist
from torch.utils.data import DistributedSampler
from monai.data import DataLoader
from tests.cases.test_case_table import evaluator, items
dist.init_process_group("gloo")
run = evaluator(sys.argv[1], items([7, 2, 10, 5, 4]))
loader = run.data_loader
run.data_loader = DataLoader(loader.dataset, batch_size=1, sampler=DistributedSampler(loader.dataset, shuffle=False))
run.state.epoch_length = len(run.data_loader)
for _ in range(2):
    run.run()
dist.destroy_process_group()
"""


def test_two_ranks_write_every_case_once(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RANKS)
    environment = os.environ | {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", str(script)]
    done = subprocess.run(
        [*command, str(tmp_path / "out")], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    table = rows(tmp_path / "out/mean_cases.csv")
    assert [row["file"] for row in table] == [f"image_{i}.nii" for i in (1, 4, 3, 0, 2)]  # the sampler repeats image_0
    assert len((tmp_path / "out/mean_raw_results.txt").read_text().splitlines()) == 5
    assert not list((tmp_path / "out").glob("*rank*"))


def test_files_of_images_that_monai_loaded(tmp_path):
    for name in ("image", "label"):
        nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)), tmp_path / f"{name}.nii.gz")
    files = {name: str(tmp_path / f"{name}.nii.gz") for name in ("image", "label")}
    data = [LoadImaged(["image", "label"], ensure_channel_first=True)(files)]
    evaluator(tmp_path, data).run()
    (row,) = rows(tmp_path / "mean_cases.csv")
    assert (row["file"], row["label_file"]) == (files["image"], files["label"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_waits_for_no_case(tmp_path):
    metric, x = ma.ComputeAverage("m", "model", report_path=tmp_path), torch.rand(2, 1, device="cuda")
    metric(x)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            metric(x)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    metric.aggregate()
    assert len(rows(tmp_path / "m_cases.csv")) == 12
