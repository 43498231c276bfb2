"""Metrics of MONAI and torchmetrics as aux-ops: their own values, per case and class, in every place."""

from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser
from monai.metrics import (
    CalibrationErrorMetric,
    ConfusionMatrixMetric,
    DiceMetric,
    HausdorffDistanceMetric,
    MeanIoU,
    MSEMetric,
    ROCAUCMetric,
    SurfaceDiceMetric,
)

import monai_auxops as ma

pytestmark = pytest.mark.filterwarnings("ignore:the (ground truth|prediction) of class .* is all 0")  # MONAI

NAMES = ["left", "right"]


def batches(sizes=(2, 1)):
    for size in sizes:
        label = torch.randint(0, 3, (size, 1, 6, 6))
        label[0, 0][label[0, 0] == 2] = 0  # a class that is absent in one case
        yield torch.randn(size, 3, 6, 6), label


def masks(scores, label):
    both = (scores.argmax(1), label[:, 0])
    return [torch.nn.functional.one_hot(x, 3).movedim(-1, 1).float() for x in both]


@pytest.mark.parametrize(
    "make",
    [
        lambda: DiceMetric(include_background=False),
        lambda: MeanIoU(include_background=False),
        lambda: HausdorffDistanceMetric(include_background=False, percentile=95),
        lambda: SurfaceDiceMetric([1.0, 1.0], include_background=False),
    ],
    ids=["dice", "iou", "hausdorff", "surface dice"],
)
def test_values_are_the_metrics_own(make):
    op, metric, data = ma.MetricOp(make(), "m", class_names=NAMES), make(), list(batches())
    for scores, label in data:
        op(scores, label)
        metric(*masks(scores, label))
    each = metric.get_buffer()
    expected = [float(each.nanmean(1).nanmean()), *each.nanmean(0).tolist()]
    assert op.aggregate() == pytest.approx(dict(zip(["m", "m/left", "m/right"], expected, strict=True)), nan_ok=True)
    assert op.metric._buffers is None  # nothing grows
    op.reset()
    assert all(math.isnan(value) for value in op.aggregate().values())


def test_other_batches_give_the_same_number():
    scores, label = next(batches((6,)))
    values = []
    for size in (1, 2, 6):
        op = ma.MetricOp(HausdorffDistanceMetric(), "hd")
        for part in zip(scores.split(size), label.split(size), strict=True):
            op(*part)
        values.append(op.aggregate()["hd"])
    assert values == pytest.approx([values[0]] * 3)


def test_a_table_of_cases_on_an_engine(tmp_path):
    data = list(batches((2, 2)))
    engine = Engine(lambda engine, batch: batch)
    op = ma.MetricOp(HausdorffDistanceMetric(include_background=False), "hd", class_names=NAMES, report_path=tmp_path)
    op.attach(engine, "val_hd")
    engine.run(data)
    with (tmp_path / "hd_cases.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0])[4:] == ["val_hd", "val_hd/left", "val_hd/right"]
    values = [float(row["val_hd/left"]) for row in table]
    assert engine.state.metrics["val_hd/left"] == pytest.approx(sum(values) / 4)
    assert op.higher_is_better is False


@pytest.mark.parametrize("split", [(6,), (4, 2)])
def test_a_metric_of_the_whole_epoch(split):
    op, metric = ma.MetricOp(ROCAUCMetric(), "auc"), ROCAUCMetric()
    scores, label = torch.rand(6, 1), torch.tensor([0, 1, 0, 1, 1, 0])[:, None]
    for part in zip(scores.split(split), label.split(split), strict=True):
        op(*part)
        metric(*part)
    assert op.aggregate() == {"auc": pytest.approx(metric.aggregate())}
    state = op.state_dict()
    other = ma.MetricOp(ROCAUCMetric(), "auc")
    other.load_state_dict(state)
    assert other.aggregate() == op.aggregate()
    op.reset()
    assert math.isnan(op.aggregate()["auc"])


def test_a_metric_of_counts_has_its_value_and_not_the_mean_of_its_counts():
    options = {"metric_name": ["sensitivity", "specificity"], "get_not_nans": True}
    op, metric = ma.MetricOp(ConfusionMatrixMetric(**options), "m"), ConfusionMatrixMetric(**options)
    for scores, label in batches():
        op(scores, label)
        metric(*masks(scores, label))
    sensitivity, specificity = (float(value) for value, _ in metric.aggregate())
    expected = {"m": sensitivity, "m/sensitivity": sensitivity, "m/specificity": specificity}
    assert op.aggregate() == pytest.approx(expected)


def test_values_of_another_shape_are_refused():
    op = ma.MetricOp(ConfusionMatrixMetric(), "m", per_case=True)
    with pytest.raises(ValueError, match=r"expected values \[B\] or \[B, C\], got \[2, 3, 4\]; pass per_case=False"):
        op(*next(batches()))


def test_calibration_sees_probabilities():
    scores, label = next(batches())
    op, metric = ma.MetricOp(CalibrationErrorMetric(), "ece"), CalibrationErrorMetric()
    pair = scores.softmax(1), masks(scores, label)[1]
    op(*pair)
    metric(*pair)
    assert op.aggregate()["ece"] == pytest.approx(float(metric.aggregate()))


def test_one_logit_and_independent_channels():
    logits, label = torch.tensor([[[[0.3, -0.3]]]]), torch.tensor([[[[1, 0]]]])
    op = ma.MetricOp(DiceMetric(), "dice", final_activation="sigmoid")
    op(logits, label)
    assert op.aggregate() == {"dice": 1.0}
    op = ma.MetricOp(DiceMetric(), "dice", is_independent_predictions=True, class_names=["a", "b"])
    op(torch.tensor([[[0.9, 0.1], [0.9, 0.9]]]), torch.tensor([[[1, 0], [1, 0]]]))
    assert op.aggregate() == pytest.approx({"dice": 5 / 6, "dice/a": 1.0, "dice/b": 2 / 3})


def test_a_metric_of_images_is_not_binarized():
    op = ma.MetricOp(MSEMetric(), "mse")
    op(torch.full((2, 1, 4), 0.5), torch.zeros(2, 1, 4))
    assert op.aggregate() == {"mse": 0.25}
    assert op.higher_is_better is False


def test_more_arguments_for_each_call():
    label = torch.zeros(1, 1, 8, 8)
    label[..., 2:4, 2:4] = 1
    op = ma.MetricOp(HausdorffDistanceMetric(), "hd", arguments={"spacing": (1.0, 2.5)})
    op(label.roll(1, 3), label)
    assert op.aggregate() == {"hd": 2.5}
    op = ma.MetricOp(HausdorffDistanceMetric(), "hd", arguments=lambda ctx: {"spacing": (1.0, ctx.batch["mm"])})
    shifted = label.roll(1, 3)
    op(shifted, label, build_ctx=ma.BuildContext(shifted, label, batch={"mm": 3.0}))
    assert op.aggregate() == {"hd": 3.0}


def test_by_name_in_json():
    config = {
        "_target_": "MetricOp",
        "metric": {"_target_": "HausdorffDistanceMetric", "percentile": 95},
        "tag": "hd95",
    }
    op = ConfigParser({"imports": ["$import monai_auxops"], "op": config}).get_parsed_content("op")
    assert isinstance(op, ma.MetricOp)
    assert op.metric.percentile == 95


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ma.MetricOp("dice", "d"), r"MetricOp.*expected metric to be a metric of monai.metrics"),
        (lambda: ma.MetricOp(DiceMetric(), "loss"), "expected a tag other than"),
        (lambda: ma.MetricOp(DiceMetric(), "d", final_activation="tanh"), "expected final_activation to be"),
        (
            lambda: ma.MetricOp(DiceMetric(), "d", class_names=["a"])(*next(batches())),
            r"MetricOp.*expected 3 class_names, one for each column, got \['a'\]",
        ),
        (
            lambda: ma.MetricOp(ConfusionMatrixMetric(), "c", per_case=True)(torch.rand(2, 2), None),
            "expected a label, got None",
        ),
    ],
)
def test_bad_input(make, said):
    with pytest.raises(ValueError, match=said):
        make()


torchmetrics = pytest.importorskip("torchmetrics")


def test_torchmetrics_of_the_epoch_and_of_cases():
    from torchmetrics.classification import MulticlassJaccardIndex

    scores, label = torch.randn(4, 3, 6, 6), torch.randint(0, 3, (4, 6, 6))
    op = ma.MetricOp(MulticlassJaccardIndex(3, average=None), "iou", class_names=["a", "b", "c"])
    own = MulticlassJaccardIndex(3, average=None)
    for part in zip(scores.split(2), label.split(2), strict=True):
        op(*part)
        own(*part)
    expected = own.compute()
    values = op.aggregate()
    assert [values[f"iou/{n}"] for n in "abc"] == pytest.approx(expected.tolist())
    assert values["iou"] == pytest.approx(float(expected.mean()))
    cases = ma.MetricOp(MulticlassJaccardIndex(3), "iou", per_case=True)
    each = cases(scores, label)["iou"]
    for i in range(4):
        assert float(each[i]) == pytest.approx(float(MulticlassJaccardIndex(3)(scores[i : i + 1], label[i : i + 1])))
    assert op.higher_is_better is True


RANKS = """
import os, torch, torch.distributed as dist, monai_auxops as ma
from ignite.engine import Engine
from monai.metrics import HausdorffDistanceMetric, ROCAUCMetric
from torchmetrics.classification import BinaryAUROC
dist.init_process_group("gloo"); rank = dist.get_rank(); torch.manual_seed(0)
label = torch.randint(0, 2, (5, 1)); scores = torch.rand(5, 1)
mine = slice(0, 3) if rank == 0 else slice(3, 5)
engine = Engine(lambda engine, batch: (batch[0], batch[1]))
ma.MetricOp(ROCAUCMetric(), "auc").attach(engine)
ma.MetricOp(BinaryAUROC(), "auroc").attach(engine)
engine.run([(scores[mine], label[mine])])
expected = ROCAUCMetric(); expected._buffers = [list(scores), list(label)]
expected._synced_tensors, expected._synced = [scores, label], True
m = engine.state.metrics
assert abs(m["auc"] - expected.aggregate()) < 1e-6 and abs(m["auroc"] - m["auc"]) < 1e-6, (m, expected.aggregate())
volume = torch.zeros(2, 1, 8, 8); volume[0, :, 2:4, 2:4] = 1; volume[1, :, 2:4, 2:6] = 1
shifted = torch.stack([volume[0].roll(1, 2), volume[1].roll(2, 2)])
engine = Engine(lambda engine, batch: (batch[0], batch[1]))
ma.MetricOp(HausdorffDistanceMetric(), "hd").attach(engine)
engine.run([(shifted[rank:rank + 1], volume[rank:rank + 1])])
assert engine.state.metrics["hd"] == 1.5, engine.state.metrics
dist.destroy_process_group()
print("good", flush=True)
"""


def test_two_ranks(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RANKS)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("good") == 2
