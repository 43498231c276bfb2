"""Sums over elements: every way to compute them against NumPy, and what they cost in operations and memory."""

from __future__ import annotations

import importlib.util
import itertools
import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import array, element_accuracy, reduce_mean_masked

import monai_auxops as ma
from benchmarks.host import Operations, calls, operations
from benchmarks.memory import Storages, peak
from monai_auxops.core.plan import measure_together
from monai_auxops.counting import blocks
from monai_auxops.counting.elements import shares_of_elements
from monai_auxops.counting.means import valid_sums

GPU = torch.cuda.is_available()
if not GPU:
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when backend_triton is imported, by the first test that asks

WAYS = {"whole": 10**9, "blocks": 7, "numba": 0, "triton": 0}  # the largest block
DEVICE = {"triton": "cuda"} if GPU else {}
LABELS = [torch.float32, torch.int64, torch.uint8, torch.bool]


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    name = request.param
    if name in ("numba", "triton") and not importlib.util.find_spec(name):
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", {"whole": "vectorized", "blocks": "blocked"}.get(name, name))
    monkeypatch.setattr(blocks, "BLOCK", WAYS[name])
    return name


def batch(spatial=(3, 5), channels=3, seed=0, low=-1, high=3, label=torch.float32):
    """Quarters, NaN and infinities; labels with NaN where their type has it, and values that are no class."""
    make = torch.Generator().manual_seed(seed)
    x = torch.randint(-4, 9, (2, channels, *spatial), generator=make) / 4
    odd = torch.rand(x.shape, generator=make)
    x[odd < 0.1], x[odd > 0.9], x[odd > 0.95] = np.nan, np.inf, -np.inf
    signed = label.is_signed
    y = torch.randint(low if signed else 0, high if label != torch.bool else 2, x.shape, generator=make).to(label)
    if label.is_floating_point:
        y[torch.rand(x.shape, generator=make) < 0.1] = np.nan
    return x, y


def check_means(way, x, y, axes):
    device = DEVICE.get(way, "cpu")
    total, number = valid_sums(x.to(device), None if y is None else y.to(device), axes)
    label = None if y is None else torch.broadcast_to(y, x.shape)
    valid = np.isfinite(array(x)) & (True if label is None else array(label) >= 0)
    np.testing.assert_array_equal(number.cpu().numpy(), valid.sum(tuple(axes)))
    np.testing.assert_allclose(array(total), np.where(valid, array(x), 0).sum(tuple(axes)), rtol=1e-12)


def check_elements(way, x, y, threshold=0.5, **options):
    device = DEVICE.get(way, "cpu")
    got = shares_of_elements(x.to(device), y.to(device), threshold, **options)
    p, t = array(x), array(y)
    labeled = (t >= 0) & (t <= 1)
    right = ((p > threshold) == (t > 0.5)) & ~np.isnan(p) & labeled
    expected = [mask.sum(tuple(range(1, mask.ndim))) for mask in (right, labeled, t > 1)]
    np.testing.assert_array_equal(np.stack([part.cpu().numpy() for part in got]), np.stack(expected))
    assert all(part.dtype == torch.int64 for part in got)
    return got


@pytest.mark.parametrize("label", LABELS, ids=str)
@pytest.mark.parametrize("spatial", [(), (7,), (3, 5), (2, 3, 4)], ids=str)
def test_every_way_sums_the_same(way, spatial, label):
    x, y = batch(spatial, label=label)
    check_means(way, x, y, range(1, x.dim()))
    check_means(way, x, None, range(1, x.dim()))
    check_means(way, x, y[:, :1], range(1, x.dim()))
    check_elements(way, x, y)
    check_elements(way, x, y, threshold=0.0)


@pytest.mark.parametrize("score", [torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.bool], ids=str)
def test_other_scores(way, score):
    x, y = batch()
    x = x.nan_to_num(0, 1, 0).to(score)
    check_elements(way, x, y)
    check_means(way, x, y, [1, 2, 3])


@pytest.mark.parametrize("label", [torch.int8, torch.int16, torch.int32, torch.float16, torch.float64], ids=str)
def test_other_labels(way, label):
    x, y = batch(label=label)
    check_elements(way, x, y)
    check_means(way, x, y, [1, 2, 3])


def test_layouts(way):
    x, y = batch((4, 6))
    strided = torch.empty(2, 3, 8, 12)[:, :, ::2, ::2].copy_(x)
    last = x.to(memory_format=torch.channels_last)
    for each, other in itertools.product((x, last, strided, x.mT.contiguous().mT), (y, y[:, :1].expand(x.shape))):
        check_elements(way, each, other)
        check_means(way, each, other, [1, 2, 3])


def test_nothing_at_all(way):
    for x in (torch.zeros(0, 2, 3), torch.zeros(2, 2, 0)):
        check_elements(way, x, x)
        check_means(way, x, x, [1, 2])


@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    axes=st.sets(st.integers(0, 3), min_size=1),
    most=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_blocks_of_any_size_sum_over_any_axes(shape, axes, most, seed):
    generator = torch.Generator().manual_seed(seed)
    x, axes = torch.randn(shape, generator=generator), sorted(axis for axis in axes if axis < len(shape)) or [0]
    kept, blocks.BLOCK = blocks.BLOCK, most
    try:
        total, positive = blocks.sum_in_blocks(lambda block: iter([block, block > 0]), [x], axes)
        uncut = [block for (block,) in _blocks_of(x, whole=[1])]
    finally:
        blocks.BLOCK = kept
    np.testing.assert_allclose(total.numpy(), x.numpy().sum(tuple(axes), dtype=np.float64), atol=1e-5)
    np.testing.assert_array_equal(positive.numpy(), (x.numpy() > 0).sum(tuple(axes)))
    assert all(block.shape[1] == shape[1] for block in uncut)
    assert sum(block.numel() for block in uncut) == x.numel()


def _blocks_of(x, whole):
    seen = []

    def parts(block):
        seen.append((block,))
        yield block

    blocks.sum_in_blocks(parts, [x], [0], whole)
    return seen


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("axes", [(1, 2, 3), (0, 2, 3), (2,), (1,)], ids=str)
def test_an_activation_in_blocks(monkeypatch, activation, axes):
    monkeypatch.setattr(blocks, "BLOCK", 11)
    x = torch.randn(2, 3, 4, 5)
    total, number = valid_sums(x, None, axes, activation)
    mean, _ = reduce_mean_masked(x, None, axes, final_activation=activation)
    np.testing.assert_allclose((total / number).numpy(), mean, rtol=1e-6)


def test_ignored_labels_and_a_mask(way):
    x, y = batch(high=4)
    mask = torch.randint(0, 2, (2, 1, 3, 5)).expand(x.shape)
    left = y.masked_fill((y == 0) | (y == 3) | (mask <= 0), -1)
    expected = check_elements(way, x, left)
    got = shares_of_elements(x, y, ignored=(0, 3), mask=mask)
    assert [part.tolist() for part in got] == [part.tolist() for part in expected]
    np.testing.assert_allclose(got.accuracy().numpy(), element_accuracy(x, left), rtol=1e-6)


def test_a_mean_of_many_values_is_exact():
    x = torch.full((1, 1, 1_000_000), 0.1)
    total, number = valid_sums(x, None, [1, 2])
    assert number.item() == 1_000_000
    assert total.item() == pytest.approx(1e6 * float(x[0, 0, 0]), rel=1e-12)


def test_threads_share_the_elements(monkeypatch):
    sums = pytest.importorskip("monai_auxops.counting.sums_numba")
    monkeypatch.setattr(sums, "PER_THREAD", 10)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    x, y = batch((4, 6))
    total, number = sums.sums(x, y, None)
    expected = valid_sums(x, y, [1, 2, 3])
    assert (total.tolist(), number.tolist()) == (expected[0].tolist(), expected[1].tolist())


# --- what it costs ------------------------------------------------------------------------

SIZE = 2, 3, 64, 64, 64


def share(run, *tensors) -> float:
    return peak(run) / sum(t.nbytes for t in tensors)


@pytest.mark.parametrize("name", ["blocked", "numba"])
def test_a_cpu_copies_nothing(monkeypatch, name):
    if not importlib.util.find_spec(name) and name == "numba":
        pytest.skip("numba is not installed")
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", name)
    most = {"blocked": 0.15, "numba": 0.001}[name]
    x, y = torch.rand(SIZE), torch.randint(0, 2, SIZE).float()
    half = x.half()
    shares_of_elements(x, y)
    valid_sums(x, y, [1, 2, 3, 4])
    assert share(lambda: shares_of_elements(x, y), x, y) < most
    assert share(lambda: valid_sums(x, y, [1, 2, 3, 4]), x, y) < most
    assert share(lambda: valid_sums(x, None, [0, 2, 3, 4], "softmax"), x) < 0.26  # three blocks
    assert share(lambda: valid_sums(half, None, [1, 2, 3, 4]), half) < 0.6  # blocks of float32


def test_without_a_kernel_masks_take_three_bytes_an_element():
    x, y = torch.empty(SIZE, device="meta"), torch.empty(SIZE, device="meta")
    with Storages() as fresh:
        shares_of_elements(x, y)
    assert fresh.most <= 3.01 * x.numel()
    with Storages() as fresh:
        shares_of_elements(x.half(), y)
    assert fresh.most <= 5.01 * x.numel()  # of which the half is two


def test_operations_beside_views():
    x, y = torch.empty(2, 3, 4, device="meta"), torch.empty(2, 3, 4, device="meta")
    with Operations() as counted:
        shares_of_elements(x, y)
    assert len(counted.kernels) == 12
    with Operations() as counted:
        valid_sums(x, y, [1, 2])
    assert len(counted.kernels) == 8


def test_storages_are_counted_once_and_forgotten():
    with Storages() as fresh:
        x = torch.zeros(100)
        x.add_(1).view(10, 10).t()
        assert (fresh.total, fresh.most) == (400, 400)
        del x
        y = torch.zeros(50)
    assert (fresh.total, fresh.most) == (600, 400)
    assert y.shape == (50,)


def iteration_of(op, device):
    x, plan = torch.zeros(2, 3, 8, 8, device=device), None

    def step():
        nonlocal plan
        _, plan = measure_together([op], ma.BuildContext(x, x), plan)

    return step


@pytest.mark.parametrize(
    ("make", "sent", "called"),
    [(lambda: ma.ReduceMeanMasked("mean"), 12, 250), (lambda: ma.ComputeAccuracy("accuracy"), 27, 280)],
    ids=["mean", "accuracy"],
)
def test_operations_and_calls_of_an_iteration(make, sent, called):
    assert len(operations(iteration_of(make(), "meta")).kernels) == sent
    assert calls(iteration_of(make(), "cpu")) <= called
