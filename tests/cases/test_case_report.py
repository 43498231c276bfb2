"""The two report files, as Clara wrote them."""

import math

import numpy as np
import pytest
import torch
from reference import mean_of_valid

from monai_auxops import BuildContext, ComputeAUC, ComputeAverage, ComputeAverageDice

VALUES = [[0.25, math.nan, 1.0], [0.5], [0.125, 0.0]]


def fed(metric, batches=VALUES, named=True):
    for i, values in enumerate(batches):
        predictions = torch.tensor(values)[:, None]
        files = [f"case_{i}{j}.nii.gz" for j in range(len(values))] if named else None
        metric(predictions, None, build_ctx=BuildContext(predictions, filenames=files))
    return metric


def test_one_line_per_case(tmp_path):
    fed(ComputeAverage("val_dice", "model", report_path=tmp_path / "new" / "folder")).aggregate()
    lines = (tmp_path / "new" / "folder" / "val_dice_raw_results.txt").read_text().splitlines()
    assert lines == [
        "case_00.nii.gz\t0.25",
        "case_01.nii.gz\tnan",
        "case_02.nii.gz\t1.0",
        "case_10.nii.gz\t0.5",
        "case_20.nii.gz\t0.125",
        "case_21.nii.gz\t0.0",
    ]


def test_cases_without_a_file_are_numbered(tmp_path):
    fed(ComputeAverage("val_dice", "model", report_path=tmp_path), named=False).aggregate()
    lines = (tmp_path / "val_dice_raw_results.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == list("012345")


def test_summary_of_the_valid_cases(tmp_path):
    fed(ComputeAverage("val_dice", "model", report_path=tmp_path)).aggregate()
    valid = sorted(value for values in VALUES for value in values if not math.isnan(value))
    mean = mean_of_valid(valid)
    std = math.sqrt(sum((value - mean) ** 2 for value in valid) / len(valid))  # of the population
    tenth = valid[0] + 0.4 * (valid[1] - valid[0])  # 10 % of the way through five values, between the neighbors
    numbers = [mean, valid[2], valid[-1], valid[0], tenth, std]
    assert (tmp_path / "val_dice_summary_results.txt").read_text().splitlines() == [
        "val_dice (statistics of 5 valid cases):",
        "    mean  median     max     min   90percent   std",
        "".join(f"{number:8.3f}" for number in numbers[:5]) + f"{numbers[5]:10.3f}",
        "",
    ]


@pytest.mark.parametrize("seed", range(3))
def test_90percent_is_the_10th_percentile(tmp_path, seed):
    values = np.random.default_rng(seed).random(50).astype(np.float32)
    fed(ComputeAverage("dice", "model", report_path=tmp_path), [values.tolist()]).aggregate()
    row = (tmp_path / "dice_summary_results.txt").read_text().splitlines()[2].split()
    assert float(row[4]) == pytest.approx(np.percentile(values, 10), abs=5e-4)
    assert float(row[4]) < float(row[1]) < np.percentile(values, 90)


@pytest.mark.filterwarnings("ignore:.*nothing to measure")
@pytest.mark.parametrize("batches", [[], [[math.nan]]], ids=["no_case", "no_valid_case"])
def test_nothing_valid_is_nan(tmp_path, batches):
    fed(ComputeAverage("dice", "model", report_path=tmp_path), batches).aggregate()
    lines = (tmp_path / "dice_summary_results.txt").read_text().splitlines()
    assert lines[0] == "dice (statistics of 0 valid cases):"
    assert lines[2].split() == ["nan"] * 6


def test_a_new_epoch_has_a_new_report(tmp_path):
    metric = fed(ComputeAverage("dice", "model", report_path=tmp_path))
    metric.reset()
    fed(metric, [[0.75]]).aggregate()
    assert (tmp_path / "dice_raw_results.txt").read_text() == "case_00.nii.gz\t0.75\n"


def test_dice_of_each_case(tmp_path):
    predictions, label = torch.tensor([[[0.9, 0.8]], [[0.9, 0.9]]]), torch.tensor([[[1, 1]], [[0, 0]]])
    metric = ComputeAverageDice("dice", "model", report_path=tmp_path)
    ctx = BuildContext(predictions, label, filenames=["a.nii", "b.nii"])
    metric(predictions, label, build_ctx=ctx)
    metric.aggregate()
    assert (tmp_path / "dice_raw_results.txt").read_text() == "a.nii\t1.0\nb.nii\tnan\n"


def test_scores_and_labels_of_an_auc(tmp_path):
    x, y = torch.tensor([[0.25, 0.5], [0.75, 0.5]]), torch.tensor([[0, 1], [1, 0]])
    metric = ComputeAUC("auc", "model", "label", report_path=str(tmp_path))
    metric(x, y, build_ctx=BuildContext(x, y, filenames=["a.nii", "b.nii"]))
    assert metric.aggregate() == {"auc": 0.75}
    assert (tmp_path / "auc_raw_results.txt").read_text().splitlines() == [
        "a.nii\t0.25,0.5\t0.0,1.0",
        "b.nii\t0.75,0.5\t1.0,0.0",
    ]
    assert (tmp_path / "auc_summary_results.txt").read_text().splitlines() == ["auc (of 2 cases):", "0.750"]


def test_a_folder_that_cannot_be_is_refused_at_construction(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match=r"ComputeAverage\(name='dice'.*expected report_path to be a folder .*got"):
        ComputeAverage("dice", "model", report_path=file / "folder")
