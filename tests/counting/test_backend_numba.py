"""The compiled loop equals the reference backend to the last voxel: data, dtypes, tiles, codes, threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_auxops.counting import backend_vectorized as reference
from monai_auxops.counting.counts import Membership

pytest.importorskip("numba", reason="numba is not installed")

from monai_auxops.counting import backend_numba as loop

NAN, INF = float("nan"), float("inf")
INDEX, ONEHOT = Membership(exclusive=True, onehot=False), Membership(exclusive=True, onehot=True)
THRESHOLD, BOTH = Membership(exclusive=False, onehot=False), Membership(exclusive=False, onehot=True, threshold=-0.25)
SIZES = [1, 3, 5, 383, 384, 385, 800]  # around the voxels of a tile, and of a quarter of it


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors and busy machines: torch's threads would mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def scores(shape: tuple[int, ...], make: torch.Generator, odd: list[float]) -> torch.Tensor:
    """Return scores with ties, some of them replaced by each value of ``odd``."""
    x = torch.randn(shape, generator=make).mul(2).round().div(2)
    for value in odd:
        x[torch.rand(shape, generator=make) < 0.03] = value
    return x


def labels(shape: tuple[int, ...], classes: int, make: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Return class indices, a tenth of them no class: negative, too large, and as floats NaN and fractions."""
    y = torch.randint(0, max(2, classes), shape, generator=make)
    outside = [classes + (classes == 1), 255]
    outside += [-1, 2**31 - 1] if dtype in (torch.int32, torch.int64) else []
    outside += [-1, NAN, INF, -INF, 0.5, 1e30] if dtype.is_floating_point else []
    values = torch.tensor(outside, dtype=torch.float64)[torch.randint(0, len(outside), shape, generator=make)]
    return torch.where(torch.rand(shape, generator=make) < 0.1, values, y.double()).to(dtype)


def check(x: torch.Tensor, y: torch.Tensor, membership: Membership) -> None:
    """Compare all four counts, and the table where there is one, with the reference."""
    for got, expected in zip(loop.count(x, y, membership), reference.count(x, y, membership), strict=True):
        assert got.dtype == torch.int64
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
    if membership == INDEX:
        torch.testing.assert_close(loop.table(x, y), reference.table(x, y), rtol=0, atol=0)


@given(
    classes=st.integers(2, 20),
    samples=st.integers(1, 3),
    voxels=st.sampled_from(SIZES),
    seed=st.integers(0, 2**31),
    odd=st.lists(st.sampled_from([NAN, INF, -INF, 3e38, -3e38, -0.0]), max_size=3),
    dtype=st.sampled_from([torch.int64, torch.float32, torch.uint8, torch.int32]),
)
@settings(max_examples=60, deadline=None)
def test_indices_of_exclusive_classes(
    classes: int, samples: int, voxels: int, seed: int, odd: list[float], dtype: torch.dtype
) -> None:
    make = torch.Generator().manual_seed(seed)
    y = labels((samples, 1, voxels), classes, make, dtype)
    check(scores((samples, classes, voxels), make, odd), y, INDEX)


@given(
    classes=st.integers(1, 9),
    voxels=st.sampled_from(SIZES),
    seed=st.integers(0, 2**31),
    odd=st.lists(st.sampled_from([NAN, INF, -INF, -0.25]), max_size=2),
    membership=st.sampled_from([ONEHOT, THRESHOLD, BOTH]),
)
@settings(max_examples=60, deadline=None)
def test_masks_that_may_overlap(classes: int, voxels: int, seed: int, odd: list[float], membership: Membership) -> None:
    make = torch.Generator().manual_seed(seed)
    x = scores((2, classes, voxels), make, odd)
    if membership.onehot:
        y = scores(tuple(x.shape), make, [NAN, -1.0, 0.5, INF])
    else:
        y = labels((2, 1, voxels), classes, make, torch.float32)
    check(x, y, membership if classes > 1 else membership._replace(exclusive=False))


@pytest.mark.parametrize("classes", [14, 15, 16, 254, 255, 256])
def test_codes_of_8_16_and_32_bits(classes: int) -> None:
    """The largest code of a type: a score that is NaN where the label names no class."""
    make = torch.Generator().manual_seed(classes)
    x = scores((1, classes, 1200), make, [])
    x[:, -1] += 2 * torch.rand(x[:, -1].shape, generator=make).round()  # the last class wins often
    x[:, 0, ::7] = NAN
    y = labels((1, 1, 1200), classes, make, torch.int64)
    y[:, :, ::14], y[:, :, 1::2] = -1, classes - 1
    check(x, y, INDEX)


@pytest.mark.parametrize("tile", [1, 2, 7, 100])
def test_samples_of_several_tiles(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TILE", tile)
    monkeypatch.setattr(loop, "MIN_LONG_ROWS", 100)
    make = torch.Generator().manual_seed(tile)
    x = scores((3, 5, 211), make, [NAN])
    check(x, labels((3, 1, 211), 5, make, torch.int64), INDEX)
    check(x, scores((3, 5, 211), make, [NAN]), BOTH)


def test_double_precision_tells_close_scores_apart() -> None:
    x = torch.tensor([[[1.0], [1.0 + 1e-12]]], dtype=torch.float64)
    check(x, torch.ones(1, 1, 1, dtype=torch.int64), INDEX)
    assert loop.count(x, torch.ones(1, 1, 1, dtype=torch.int64), INDEX).tp.tolist() == [[0, 1]]


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_share_samples_and_tiles(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PER_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    make = torch.Generator().manual_seed(threads)
    for samples in (1, 2, 7):
        x = scores((samples, 5, 997), make, [NAN])
        check(x, labels((samples, 1, 997), 5, make, torch.int64), INDEX)
        check(x, scores((samples, 5, 997), make, [NAN]), BOTH)


def test_an_error_in_a_thread_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PER_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)

    def broken(*arguments: Any) -> None:
        if arguments[9]:  # where the part starts
            raise RuntimeError("the second part")

    monkeypatch.setattr(loop, "count_joint", broken)
    with pytest.raises(RuntimeError, match="the second part"):
        loop.count(torch.zeros(1, 2, 100), torch.zeros(1, 1, 100), INDEX)


def test_calls_at_the_same_time_share_no_memory() -> None:
    make = torch.Generator().manual_seed(0)
    batches = [(scores((2, 6, 3000), make, [NAN]), labels((2, 1, 3000), 6, make, torch.int64)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: loop.count(*batch, INDEX), batches * 5))
    for batch, got in zip(batches * 5, found, strict=True):
        assert all(map(torch.equal, got, reference.count(*batch, INDEX)))
    kept = loop._kept_memory
    assert len({memory.ctypes.data for memory in kept}) == len(kept)


@pytest.mark.parametrize("shape", [(1, 300, 45), (600, 14, 1), (1, 40, 5)], ids=str)
def test_tables_larger_than_the_batch_are_not_made(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MAX_FREE_ENTRIES", 0)
    monkeypatch.setattr(loop, "_run", lambda *_: pytest.fail("made a table"))
    make = torch.Generator().manual_seed(0)
    x, y = scores(shape, make, [NAN]), labels((shape[0], 1, shape[2]), shape[1], make, torch.int64)
    assert all(map(torch.equal, loop.count(x, y, INDEX), reference.count(x, y, INDEX)))


def test_more_classes_than_a_code_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MAX_CLASSES", 4)
    monkeypatch.setattr(loop, "_run", lambda *_: pytest.fail("counted with codes"))
    make = torch.Generator().manual_seed(0)
    x = scores((2, 5, 50), make, [NAN])
    check(x, labels((2, 1, 50), 5, make, torch.int64), INDEX)
    check(x, scores((2, 5, 50), make, [NAN]), BOTH)
