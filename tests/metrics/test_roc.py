"""The area under the ROC curve is exact, whatever the number of scores, and the samples of an epoch are packed."""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import monai_auxops as ma
from benchmarks.host import Operations
from benchmarks.memory import peak
from monai_auxops.metrics.roc import averaged_auc, roc_auc
from monai_auxops.metrics.samples import MAX_WAITING_BATCHES, PIECE, Rows, Samples

SCORES = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False, width=32))
LABELS = st.sampled_from([0, 1, 0.0, 1.0, -1, 2, 255, 0.5, math.nan])


def exact(scores, labels) -> float:
    """The share of pairs in the right order, as a fraction of integers that is rounded once."""
    positive = [score for score, label in zip(scores, labels, strict=True) if label == 1]
    negative = [score for score, label in zip(scores, labels, strict=True) if label == 0]
    halves = sum(2 if p > n else int(p == n) for p in positive for n in negative)
    return float(Fraction(halves, 2 * len(positive) * len(negative))) if positive and negative else math.nan


@pytest.mark.filterwarnings("ignore:.*the AUC of a whole epoch is NaN")
@given(st.lists(st.tuples(SCORES, LABELS), max_size=40), st.lists(st.integers(1, 9), max_size=9))
def test_it_is_the_exact_share_of_pairs_in_any_batches(pairs, sizes):
    scores, labels = [score for score, _ in pairs], [label for _, label in pairs]
    expected = exact(scores, labels)
    x, y = torch.tensor(scores, dtype=torch.float32), torch.tensor(labels, dtype=torch.float64)
    assert roc_auc(x, y) == pytest.approx(expected, abs=0, nan_ok=True)
    metric, start = ma.ComputeAUC("auc", "model", "label"), 0
    for size in [*sizes, len(pairs)]:
        part = slice(start, start + size)
        if len(x[part]):
            metric(x[part], y[part])
        start += size
    odd = any(label in (2, 255, 0.5) for label in labels)
    with pytest.warns(UserWarning, match="not class indices") if odd else contextlib.nullcontext():
        assert metric.aggregate()["auc"] == pytest.approx(expected, abs=0, nan_ok=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool], ids=str)
def test_scores_are_ranked_in_their_own_precision(dtype):
    x = torch.tensor([0, 1, 2, 2, 3, 1]).to(dtype)
    y = torch.tensor([0, 0, 1, 0, 1, 1])
    assert roc_auc(x, y) == exact(x.tolist(), y.tolist())


@pytest.mark.parametrize("pair", [torch.tensor([2**60, 2**60 + 1]), 1 + torch.tensor([0, 2**-52]).double()], ids=str)
def test_neighbors_are_distinguished(pair):
    assert roc_auc(pair, torch.tensor([0, 1])) == 1.0


def test_zeros_of_both_signs_are_equal_and_nan_is_no_score():
    assert roc_auc(torch.tensor([0.0, -0.0]), torch.tensor([1, 0])) == 0.5
    assert math.isnan(roc_auc(torch.tensor([0.0, math.nan, 1.0]), torch.tensor([1, 1, 0])))
    assert roc_auc(torch.tensor([0.0, math.nan, 1.0]), torch.tensor([1, -1, 0])) == 0.0


def test_a_million_scores_equal_scikit_learn():
    make = torch.Generator().manual_seed(0)
    y = (torch.rand(1_000_000, generator=make) < 0.03).long()
    x = (torch.randn(1_000_000, generator=make) + y).mul(1000).round().div(1000)
    assert roc_auc(x, y) == pytest.approx(roc_auc_score(y.numpy(), x.numpy()), abs=1e-12)
    assert roc_auc(-x, y) + roc_auc(x, y) == pytest.approx(1, abs=1e-15)


def test_a_mean_leaves_out_columns_without_an_auc():
    x, y = torch.rand(20), torch.arange(20) % 2
    columns = [(x, y), (x, torch.ones(20)), (-x, y * (torch.arange(20) < 6))]
    values = [roc_auc(*column) for column in columns]
    assert averaged_auc(iter(columns), "macro") == pytest.approx((values[0] + values[2]) / 2)
    assert averaged_auc(iter(columns), "weighted") == pytest.approx((10 * values[0] + 3 * values[2]) / 13)


# --- the samples of an epoch --------------------------------------------------------------


def epoch(batches, columns=1, label=torch.int64, size=8):
    metric = ma.ComputeAUC("auc", "model", "label")
    for seed in range(batches):
        x = torch.rand(size, columns, generator=torch.Generator().manual_seed(seed))
        metric(x, (x + torch.rand(x.shape) > 1).to(label))
    return metric


@pytest.mark.parametrize("label", [torch.int64, torch.float32, torch.bool], ids=str)
def test_a_score_and_its_label_take_five_bytes(label):
    metric = epoch(2 * MAX_WAITING_BATCHES, columns=3, label=label)
    kept = metric.state_dict()
    assert len(kept["scores"]) == len(kept["labels"]) == 2
    held = sum(tensor.nbytes for tensor in [*kept["scores"], *kept["labels"]])
    assert held == 2 * MAX_WAITING_BATCHES * 8 * 3 * 5


def test_batches_are_concatenated_once():
    samples, rows = Samples(), Rows(torch.rand(8, 1), torch.ones(8, 1).long())
    with Operations() as counted:
        for _ in range(10 * MAX_WAITING_BATCHES):
            samples.add(rows)
    assert counted.kernels.count("aten.cat.default") == 10 * 2
    with Operations() as counted:
        samples.rows()
        samples.rows()
    assert counted.kernels == ["aten.cat.default"] * 2


def test_a_batch_costs_no_operation():
    metric, x, y = ma.ComputeAUC("auc", "model", "label"), torch.rand(8, 1), torch.ones(8, 1).long()
    metric(x, y)
    with Operations() as counted:
        metric(x, y)
    assert counted.kernels == []


@pytest.mark.parametrize("columns", [1, 4])
def test_the_value_copies_the_samples_once_and_sorts_a_column_at_a_time(columns):
    metric = epoch(2 * MAX_WAITING_BATCHES, columns, size=400)
    number = 2 * MAX_WAITING_BATCHES * 400
    packed = 5 * number * columns
    masks = 4 * PIECE + number  # of some samples, and of a column; NumPy sorts
    assert peak(metric.aggregate) <= packed + masks
    assert peak(metric.aggregate) <= masks


@given(st.lists(LABELS, min_size=1, max_size=9), st.sampled_from([torch.float32, torch.float64, torch.int64]))
def test_packed_labels_mean_what_they_were(labels, dtype):
    labels = [label for label in labels if dtype.is_floating_point or float(label).is_integer()]
    y, samples = torch.tensor(labels or [0], dtype=dtype), Samples()
    samples.add(Rows(torch.zeros(len(y), 1), y[:, None]))
    code = {0: 0, 1: 1, -1: -1, 2: 2, 255: 2, 0.5: 2}
    assert samples.rows().labels[:, 0].tolist() == [code.get(label, -1) for label in y.tolist()]


def test_raw_labels_and_indices_stay_as_they_are():
    labels = torch.tensor([[0.5], [3.0]])
    for samples, width in ((Samples(raw=True), 1), (Samples(), 2)):
        samples.add(Rows(torch.zeros(2, width), labels))
        assert samples.rows().labels.tolist() == labels.tolist()


def test_a_state_of_single_batches_continues():
    """As versions before 128 batches were packed wrote it."""
    x, y = torch.rand(30, 2), torch.randint(0, 2, (30, 2))
    metric, template = ma.ComputeAUC("auc", "model", "label"), ma.ComputeAUC("auc", "model", "label")
    template(x[:5], y[:5])
    saved = template.state_dict() | {"scores": [*x[:20].split(5)], "labels": [*y[:20].split(5)], "cases": [""] * 20}
    saved.pop("log_odds")
    metric.load_state_dict(saved)
    metric(x[20:], y[20:])
    assert metric.aggregate()["auc"] == pytest.approx(roc_auc_score(y.numpy(), x.numpy()), abs=1e-12)


def test_a_fraction_is_no_label_of_several_either():
    metric = ma.ComputeMulticlassAverage("auc", "model", "label", label_format=[1, 2])
    x = torch.tensor([[0.1, 0.9, 0.1], [0.9, 0.1, 0.9], [0.0, 0.5, 0.5]])
    metric(x, torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.5, 1.5]]))
    with pytest.warns(UserWarning, match="2 labels in 'label' are not class indices"):
        assert metric.aggregate()["auc"] == 1.0


def test_scores_are_written_as_before(tmp_path):
    metric = ma.ComputeAUC("auc", "model", "label", report_path=tmp_path)
    metric(torch.tensor([[0.25], [0.5]]), torch.tensor([[0], [255]]))
    metric(torch.tensor([[0.75]]), torch.tensor([[1]]))
    with pytest.warns(UserWarning, match="1 labels"):
        metric.aggregate()
    text = (tmp_path / "auc_raw_results.txt").read_text()
    assert [line.split()[-2:] for line in text.splitlines()] == [["0.25", "0.0"], ["0.5", "255.0"], ["0.75", "1.0"]]
    assert np.isfinite(metric.aggregate()["auc"])
