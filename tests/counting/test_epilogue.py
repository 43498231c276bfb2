"""Many values from one table of counts: each equals the plain formula, in exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction as Exact

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monai_auxops.counting.counts import Counts
from monai_auxops.counting.epilogue import NOTHING, WITHOUT_CLASS, Column, fractions, quotients

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


@given(batches())
def test_every_column_is_its_formula(batch):
    samples, columns = batch
    counts = Counts(*torch.tensor(samples).permute(2, 0, 1))
    values = quotients(fractions(counts, 10, columns))
    for row, sample in zip(values.tolist(), samples, strict=True):
        for value, column in zip(row, columns, strict=True):
            assert value == pytest.approx(expected(column, sample), rel=2**-24, nan_ok=True)


def test_voxels_without_a_class_and_nothing():
    counts = Counts(*torch.tensor([[[2, 1], [0, 0]], [[1, 2], [0, 0]], [[1, 1], [0, 0]], [[3, 3], [0, 0]]]))
    assert quotients(fractions(counts, 9, (WITHOUT_CLASS, NOTHING))).tolist() == [[2, 0], [9, 0]]


@pytest.mark.parametrize("default", [torch.float16, torch.bfloat16, torch.float64])
def test_the_default_dtype_changes_nothing(default):
    counts = Counts(*torch.full((4, 1, 2), 70_001))
    columns = (Column("dice", (0, 1)), Column("jaccard", (0,)))
    wanted = quotients(fractions(counts, 280_004, columns))
    torch.set_default_dtype(default)
    try:
        came = quotients(fractions(counts, 280_004, columns))
    finally:
        torch.set_default_dtype(torch.float32)
    assert came.dtype == torch.float32
    assert came.tolist() == wanted.tolist()
