"""Many values from one table of counts: each equals the plain formula, in exact arithmetic."""

from __future__ import annotations

import importlib.util
import math
import os
from fractions import Fraction as Exact

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monai_auxops.counting.counts import Counts
from monai_auxops.counting.epilogue import NOTHING, WITHOUT_CLASS, Column, evaluate, quotients

GPU = torch.cuda.is_available()

if not GPU:
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when a module with kernels is imported
BACKENDS = ["vectorized", *(["triton"] if importlib.util.find_spec("triton") else [])]

FORMULAS = {
    "dice": lambda tp, fp, fn, tn: (2 * tp, 2 * tp + fp + fn, tp + fn),
    "jaccard": lambda tp, fp, fn, tn: (tp, tp + fp + fn, tp + fn),
    "precision": lambda tp, fp, fn, tn: (tp, tp + fp, tp + fp),
    "recall": lambda tp, fp, fn, tn: (tp, tp + fn, tp + fn),
    "specificity": lambda tp, fp, fn, tn: (tn, tn + fp, tn + fp),
}


def expected(column: Column, sample: list[tuple[int, int, int, int]]) -> float:
    """The mean over classes, in exact fractions."""
    values = []
    rows = [sample[c] for c in column.classes]
    if column.pooled:
        rows = [tuple(map(sum, zip(*rows, strict=True)))]
    for row in rows:
        over, under, valid = FORMULAS[column.fraction](*row)
        if not math.isnan(column.empty_value):
            values.append(Exact(over, under) if under else Exact(column.empty_value))
        elif valid:
            values.append(Exact(over, under))
    return float(sum(values) / len(values)) if values else math.nan


@st.composite
def batches(draw):
    classes = draw(st.integers(1, 5))
    count = st.integers(0, draw(st.sampled_from([1, 5, 2**40])))
    row = st.tuples(count, count, count, count)
    samples = draw(st.lists(st.lists(row, min_size=classes, max_size=classes), min_size=1, max_size=3))
    groups = st.lists(st.integers(0, classes - 1), min_size=1, unique=True).map(tuple)
    empty = st.sampled_from([math.nan, 0.0, 1.0])
    column = st.builds(Column, st.sampled_from([*FORMULAS]), groups, empty, st.booleans())
    return samples, tuple(draw(st.lists(column, min_size=1, max_size=6)))


@pytest.fixture(params=BACKENDS)
def device(request, monkeypatch) -> str:
    """Run a test with each backend, triton's on the CPU in its interpreter."""
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", request.param)
    return "cuda" if GPU else "cpu"


@pytest.fixture
def evaluated(device):
    """Return ``evaluate`` for counts given as lists ``[4, B, C]``."""
    return lambda numbers, *args: evaluate(Counts(*torch.tensor(numbers, device=device)), *args)


@given(batch=batches())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_column_is_its_formula(evaluated, batch):
    samples, columns = batch
    numbers = torch.tensor(samples).permute(2, 0, 1).tolist()
    result = evaluated(numbers, 10, columns)
    for row, sample in zip(result.values.tolist(), samples, strict=True):
        for value, column in zip(row, columns, strict=True):
            assert value == pytest.approx(expected(column, sample), rel=2**-24, nan_ok=True)
    assert torch.equal(quotients(result.fractions).nan_to_num(-1), result.values.nan_to_num(-1))


def test_voxels_without_a_class_and_nothing(evaluated):
    numbers = [[[2, 1], [0, 0]], [[1, 2], [0, 0]], [[1, 1], [0, 0]], [[3, 3], [0, 0]]]
    assert evaluated(numbers, 9, (WITHOUT_CLASS, NOTHING)).values.tolist() == [[2, 0], [9, 0]]


@pytest.mark.parametrize("classes", [1, 14, 105])
def test_both_backends_agree_in_float64(monkeypatch, classes):
    numbers = torch.randint(0, 2**40, (4, 3, classes), generator=torch.Generator().manual_seed(0))
    numbers[:, 1] = 0  # a sample with nothing to measure
    every = tuple(range(classes))
    columns = [Column("dice", every), Column("recall", every, pooled=True), *(Column("jaccard", (c,)) for c in every)]
    results = []
    for backend in BACKENDS:
        monkeypatch.setenv("MONAI_AUXOPS_COUNTS", backend)
        counts = Counts(*(numbers.cuda() if GPU else numbers))
        results.append(evaluate(counts, 2**42, (*columns, WITHOUT_CLASS)))
    for result in results[1:]:
        torch.testing.assert_close(result.fractions, results[0].fractions, rtol=1e-12, atol=0, equal_nan=True)
        torch.testing.assert_close(result.values, results[0].values, rtol=2**-23, atol=0, equal_nan=True)


def test_an_empty_batch_has_no_values(device):
    counts = Counts(*torch.zeros(4, 0, 3, dtype=torch.long, device=device))
    assert evaluate(counts, 9, (NOTHING,)).values.shape == (0, 1)


@pytest.mark.parametrize("default", [torch.float16, torch.bfloat16, torch.float64])
def test_the_default_dtype_changes_nothing(evaluated, default):
    numbers = torch.full((4, 1, 2), 70_001).tolist()
    columns = (Column("dice", (0, 1)), Column("jaccard", (0,)))
    wanted = evaluated(numbers, 280_004, columns).values
    torch.set_default_dtype(default)
    try:
        came = evaluated(numbers, 280_004, columns).values
    finally:
        torch.set_default_dtype(torch.float32)
    assert came.dtype == torch.float32
    assert came.tolist() == wanted.tolist()
