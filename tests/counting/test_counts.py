"""Every backend against one NumPy reference, over every option, dtype, layout and odd value."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from torch.utils._python_dispatch import TorchDispatchMode

from monai_auxops.counting import counts
from monai_auxops.counting.counts import Counts, backend, confusion, count, count_indices

GPU = torch.cuda.is_available()
if not GPU:
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when backend_triton is imported, by the first test that asks

NAN, INF = float("nan"), float("inf")
INSTALLED = [n for n in counts.BACKENDS if n not in ("numba", "triton") or importlib.util.find_spec(n)]
VOLUMES = [n for n in INSTALLED if n != "triton" or GPU]  # triton's interpreter takes minutes for one


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors and busy machines: torch's threads would mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _params(names: list[str]) -> list[Any]:
    why = "not installed, or too slow without a GPU"
    return [pytest.param(n, marks=() if n in names else pytest.mark.skip(f"{n}: {why}")) for n in counts.BACKENDS]


@pytest.fixture(params=_params(INSTALLED))
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Force one backend; the device it counts on here."""
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", request.param)
    return "cuda" if GPU and request.param in ("vectorized", "triton") else "cpu"


@pytest.fixture(params=_params(VOLUMES))
def volume_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", request.param)
    return "cuda" if GPU and request.param in ("vectorized", "triton") else "cpu"


def reference(
    x: np.ndarray, y: np.ndarray, independent: bool = False, onehot: bool = False, threshold: float = 0.5
) -> np.ndarray:
    """TP, FP, FN, TN ``[4, B, C]`` by the definition, one boolean array per sample and class."""
    batch, classes = x.shape[:2]
    result = np.zeros((4, batch, classes), np.int64)
    for b, c in itertools.product(range(batch), range(classes)):
        if independent or classes == 1:
            p = x[b, c] > threshold
        else:
            earlier = [x[b, c] > x[b, k] for k in range(c)]
            later = [x[b, c] >= x[b, k] for k in range(c + 1, classes)]
            p = np.all([*earlier, *later, ~np.isnan(x[b]).any(0)], axis=0)
        if onehot:
            t, counted = y[b, c] > 0.5, y[b, c] >= 0  # false for NaN
        else:
            t, counted = y[b, 0] == (1 if classes == 1 else c), np.isin(y[b, 0], range(max(2, classes)))
        for k, voxels in enumerate((p & t, p & ~t, ~p & t, ~p & ~t)):
            result[k, b, c] = (voxels & counted).sum()
    return result


def as_array(t: torch.Tensor) -> np.ndarray:
    t = t.as_tensor() if isinstance(t, MetaTensor) else t
    return (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t).cpu().numpy()


def check(x: torch.Tensor, y: torch.Tensor, **options: Any) -> Counts:
    """Count and compare with the reference."""
    got = count(x, y, **options)
    if "threshold" in options and x.dtype != torch.float64:
        options["threshold"] = np.float32(options["threshold"])
    expected = reference(as_array(x), as_array(y).reshape(x.shape[0], -1, *x.shape[2:]), **options)
    assert all(type(g) is torch.Tensor and g.dtype == torch.int64 and g.device.type == x.device.type for g in got)
    np.testing.assert_array_equal(np.stack([g.cpu().numpy() for g in got]), expected)
    return got


def batch(
    classes: int, spatial: tuple[int, ...], device: str = "cpu", samples: int = 2
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores with ties, NaN and infinities; index labels with values outside the classes; a one-hot label
    with places that nobody annotated."""
    make = torch.Generator().manual_seed(0)
    x = torch.randn(samples, classes, *spatial, generator=make).mul(2).round().div(2)
    odd = torch.rand(x.shape, generator=make)
    x[odd < 0.02], x[odd > 0.95], x[odd > 0.98] = NAN, INF, -INF
    y = torch.randint(0, max(classes, 2), (samples, 1, *spatial), generator=make)
    y[torch.rand(y.shape, generator=make) < 0.1] = 255
    y[torch.rand(y.shape, generator=make) < 0.1] = -1
    onehot = torch.rand(x.shape, generator=make).round()
    onehot[torch.rand(x.shape, generator=make) < 0.1] = -1
    return x.to(device), y.to(device), onehot.to(device)


@pytest.mark.parametrize("spatial", [(), (7,), (3, 5), (3, 4, 5)], ids=str)
@pytest.mark.parametrize("classes", [1, 2, 3, 9])
@pytest.mark.parametrize("independent", [False, True])
def test_every_option_and_shape(device: str, classes: int, spatial: tuple[int, ...], independent: bool) -> None:
    x, index, onehot = batch(classes, spatial, device)
    for threshold in (0.5, -3.25):
        check(x, index, independent=independent, threshold=threshold)
        check(x, index.squeeze(1), independent=independent, threshold=threshold)
        check(x, onehot, independent=independent, onehot=True, threshold=threshold)


@pytest.mark.parametrize("classes", [1, 2, 14])
@pytest.mark.parametrize("spatial", [(5000,), (4099,), (75, 100), (20, 30, 40)], ids=str)
def test_samples_that_are_cut_into_blocks(
    volume_device: str, classes: int, spatial: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monai_auxops.counting.backend_blocked.BLOCK", 1000)
    x, index, onehot = batch(classes, spatial, volume_device, samples=3)
    for independent in (False, True):
        check(x, index, independent=independent)
        check(x, onehot, independent=independent, onehot=True)
    check(x.nan_to_num(0.0), index.clamp(0, 1))


LABEL_DTYPES = [
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
]


@pytest.mark.parametrize("spatial", [(6, 5), (5000,)], ids=str)
@pytest.mark.parametrize("dtype", LABEL_DTYPES, ids=str)
def test_every_label_dtype(
    device: str, dtype: torch.dtype, spatial: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    if spatial == (5000,) and os.environ["MONAI_AUXOPS_COUNTS"] not in VOLUMES:
        pytest.skip("too slow in triton's interpreter")
    x, index, onehot = batch(3, spatial, device)
    if not dtype.is_signed:
        index, onehot = index.abs(), onehot.abs()
    if dtype.is_floating_point:
        onehot = onehot.masked_fill(onehot == -1, NAN)
    check(x, index.to(dtype))
    check(x, onehot.to(dtype), onehot=True, independent=True)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool], ids=str)
def test_more_classes_than_the_label_can_name(device: str, dtype: torch.dtype) -> None:
    x, index, _ = batch(300, (3,), device)
    index = (index % 100).to(dtype)
    check(x, index)
    check(x, index, independent=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("spatial", [(6, 5), (70, 80)], ids=str)
def test_every_prediction_dtype(device: str, dtype: torch.dtype, spatial: tuple[int, ...]) -> None:
    x, index, onehot = batch(3, spatial, device)
    check(x.to(dtype), index)
    check(x.to(dtype), onehot, onehot=True)
    check(x.to(dtype), index, independent=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_do_not_round_the_threshold(device: str, dtype: torch.dtype) -> None:
    half = torch.tensor(0.1, dtype=dtype, device=device)  # the nearest value, on one side of 0.1
    got = count(half.view(1, 1), torch.ones(1, 1, device=device), threshold=0.1)
    assert got.tp.item() == (half.double() > 0.1).item()


def test_integer_predictions_are_thresholded(device: str) -> None:
    x = torch.tensor([[[0, 1, 2, -1]]], device=device)
    check(x, torch.tensor([[[1, 1, 0, 0]]], device=device))
    check(x.expand(1, 2, 4), torch.ones(1, 2, 4, device=device), independent=True, onehot=True)


def test_labels_that_name_no_class(device: str) -> None:
    values = [0.0, 1.0, 2.0, 3.0, 255.0, -1.0, 1.5, NAN, INF, -INF, 1e30, 1e-40]
    y = torch.tensor(values, device=device).view(1, 1, -1)
    for classes in (1, 2, 3):
        got = check(torch.zeros(1, classes, len(values), device=device), y)
        assert int(sum(g[0, 0] for g in got)) == max(classes, 2)
        check(torch.zeros(1, classes, len(values), device=device), y.double() + 1e-12)


def test_large_integer_labels_do_not_wrap(device: str) -> None:
    y = torch.tensor([0, 2**8, 2**16, 2**32, -(2**31), 2**53 + 1, 2**63 - 1], device=device).view(1, 1, -1)
    check(torch.zeros(1, 2, 7, device=device), y)


def test_ties_go_to_the_first_and_nan_to_none(device: str) -> None:
    x = torch.tensor([[1, 1, 1], [0, 2, 2], [-INF, -INF, -INF], [0, NAN, 1], [INF, 1, INF]], device=device).T[None]
    got = check(x, torch.tensor([[[0, 1, 0, 1, 0]]], device=device))
    assert got.tp.tolist() == [[3, 1, 0]]
    assert got.fn.tolist() == [[0, 1, 0]]


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "channels last": lambda t: t.movedim(1, -1).contiguous().movedim(-1, 1),
    "transposed": lambda t: t.transpose(2, -1).contiguous().transpose(2, -1),
    "cropped": lambda t: t[..., 1:-1],
    "strided": lambda t: t[..., ::2],
    "every other sample": lambda t: t[::2],
    "expanded": lambda t: t[..., :1].expand(t.shape),
    "batch last": lambda t: t.movedim(0, -1).contiguous().movedim(-1, 0),
    "MetaTensor": MetaTensor,
    "requires grad": lambda t: t.clone().requires_grad_() if t.is_floating_point() else t,
}


@pytest.mark.parametrize("spatial", [(3, 4, 5), (19, 16, 17)], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(device: str, layout: str, spatial: tuple[int, ...]) -> None:
    if spatial == (19, 16, 17) and os.environ["MONAI_AUXOPS_COUNTS"] not in VOLUMES:
        pytest.skip("too slow in triton's interpreter")
    change = LAYOUTS[layout]
    x, index, onehot = (change(t) for t in batch(3, spatial, device, samples=3))
    with torch.no_grad():
        check(x.detach(), index.contiguous())
        check(x.detach(), onehot.detach(), independent=True, onehot=True)
    assert not count(x, index).tp.requires_grad


def test_channels_that_share_memory(volume_device: str) -> None:
    x = torch.randn(1, 1, 5000, device=volume_device).expand(2, 3, 5000)
    check(x, torch.zeros(2, 1, 5000, device=volume_device))


@pytest.mark.parametrize("shape", [(0, 3, 4), (0, 3), (2, 3, 0), (2, 3, 4, 0, 5), (0, 3, 5000), (0, 1, 9)], ids=str)
def test_nothing_to_count(device: str, shape: tuple[int, ...]) -> None:
    x, onehot = torch.zeros(shape, device=device), torch.zeros(shape, device=device)
    for options in itertools.product((False, True), (False, True)):
        y = onehot if options[1] else onehot[:, :1]
        for part in count(x, y, independent=options[0], onehot=options[1]):
            assert part.tolist() == torch.zeros(shape[:2], dtype=torch.int64).tolist()
    if shape[1] > 1:
        assert confusion(x, onehot[:, :1]).tolist() == torch.zeros(shape[0], shape[1], shape[1]).tolist()


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 2), (2, 40, 3), (2, 5, 50, 100), (1, 3, 4099)], ids=str)
def test_confusion(device: str, shape: tuple[int, ...]) -> None:
    if len(shape) and shape[-1] > 50 and os.environ["MONAI_AUXOPS_COUNTS"] not in VOLUMES:
        pytest.skip("too slow in triton's interpreter")
    x, index, _ = batch(shape[1], shape[2:], device, samples=shape[0])
    got = confusion(x, index)
    best = np.where(np.isnan(as_array(x)).any(1), -1, as_array(x).argmax(1))
    labels = as_array(index)[:, 0]
    for b, t, p in itertools.product(range(shape[0]), range(shape[1]), range(shape[1])):
        assert got[b, t, p] == ((labels[b] == t) & (best[b] == p)).sum()
    assert got.diagonal(dim1=1, dim2=2).equal(count(x, index).tp)


def test_many_classes(volume_device: str) -> None:
    x, index, onehot = batch(300, (9, 5), volume_device)
    check(x, index)
    check(x, onehot, onehot=True)
    x, index, _ = batch(120, (90, 100), volume_device, samples=1)
    check(x, index)


def test_more_classes_than_a_float32_key_holds(volume_device: str) -> None:
    x = torch.zeros(1, 2100, 3, device=volume_device)
    x[0, 2099] = 1
    got = count(x, torch.tensor([[[2099, 2098, 2100]]], device=volume_device))
    assert (got.tp[0, 2099], got.fp[0, 2099], got.fn[0, 2098]) == (1, 1, 1)


def test_counts_beyond_what_float32_holds(volume_device: str) -> None:
    voxels = 2**24 + 3
    x = torch.tensor([[0.0], [1.0]], device=volume_device).expand(1, 2, voxels)
    y = torch.ones((), dtype=torch.uint8, device=volume_device).expand(1, 1, voxels)
    assert count(x, y).tp.tolist() == [[0, voxels]]
    assert count(x[:, 1:], y, onehot=True).tp.tolist() == [[voxels]]


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_permuting_samples_and_classes_permutes_counts(data: st.DataObject) -> None:
    classes, samples = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 4))
    make = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    x = torch.rand(samples, classes, 11, generator=make)
    y = torch.randint(-1, classes + 1, (samples, 1, 11), generator=make)
    order = torch.tensor(data.draw(st.permutations(range(classes))))
    rows = torch.tensor(data.draw(st.permutations(range(samples))))
    renamed = torch.cat([order.argsort(), torch.tensor([classes, -1])])[y]  # labels C and -1 stay outside
    for before, after in zip(count(x, y), count(x[rows][:, order], renamed[rows]), strict=True):
        assert before[rows][:, order].equal(after)


@given(st.integers(0, 1000), st.integers(1, 10), st.booleans())
@settings(max_examples=25, deadline=None)
def test_counts_add_up_over_splits(seed: int, cut: int, independent: bool) -> None:
    make = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, 3, 11, generator=make), torch.randint(0, 5, (2, 1, 11), generator=make)
    whole = count(x, y, independent=independent)
    halves = [count(x[..., part], y[..., part], independent=independent) for part in (slice(cut), slice(cut, None))]
    for k in range(4):
        assert whole[k].equal(halves[0][k] + halves[1][k])
    labeled = torch.stack([(y[:, 0] == c).sum(1) for c in range(3)], 1)
    assert (whole.tp + whole.fn).equal(labeled)


class Recorder(TorchDispatchMode):
    """The names of all operations that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


SYNCHRONIZING = {
    *("_local_scalar_dense", "item", "nonzero", "bincount", "equal", "is_nonzero", "unique_dim", "_unique2", "histc"),
    *("masked_select", "index", "index_put_", "repeat_interleave", "allclose", "argwhere", "_assert_async"),
}


@pytest.mark.parametrize("name", ["vectorized", "triton"])
def test_gpu_backends_never_wait_for_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name not in INSTALLED:
        pytest.skip("triton is not installed")
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", name)
    x, index, onehot = batch(3, (4, 5), "cuda" if GPU else "cpu")
    x = x.nan_to_num()
    for run in (
        lambda: count(x, index),
        lambda: count(x, onehot, onehot=True),
        lambda: count(x, index, independent=True),
        lambda: count(x[:, :1], index),
        lambda: confusion(x, index),
    ):
        if name == "triton" and not GPU:
            monkeypatch.setattr(
                "monai_auxops.counting.backend_triton.launch", lambda *_, **__: None
            )  # only what torch runs
        with Recorder() as recorder:
            run()
        assert not SYNCHRONIZING & set(recorder.names)
        assert len(recorder.names) < 60


class Largest(TorchDispatchMode):
    """The most elements that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.elements = max(self.elements, result.numel())
        return result


@pytest.mark.parametrize("lanes", [{}, {"cpu": 1}], ids=["gpu", "cpu"])
@pytest.mark.parametrize("classes", [2, 14, 60])
def test_few_voxels_need_little_memory(classes: int, lanes: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", "vectorized")
    monkeypatch.setattr("monai_auxops.counting.backend_vectorized.LANES", lanes)
    x, index, _ = batch(classes, (), samples=512)
    with Largest() as seen:
        count(x, index)
    assert seen.elements <= 2**15


@pytest.mark.parametrize("classes", [2, 14, 40, 300])
def test_tables_that_share_the_additions_count_the_same(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU does without triton."""
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", "vectorized")
    monkeypatch.setattr("monai_auxops.counting.backend_vectorized.LANES", {})
    x, index, _ = batch(classes, (40, 51), "cpu")
    check(x, index)


@pytest.mark.skipif(not GPU, reason="needs a GPU")
def test_no_synchronization_on_a_gpu(device: str) -> None:
    if device != "cuda":
        pytest.skip("counts on the CPU")
    x, index, onehot = batch(3, (40, 50), "cuda")
    count(x, index), confusion(x, index), count(x, onehot, onehot=True)  # compile first
    torch.cuda.set_sync_debug_mode("error")
    torch.use_deterministic_algorithms(True)
    try:
        count(x, index), confusion(x, index), count(x, onehot, onehot=True)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.use_deterministic_algorithms(False)


@pytest.mark.skipif(not GPU, reason="needs a GPU")
def test_more_logits_than_32_bits_can_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", "triton")
    if torch.cuda.mem_get_info()[0] < 10**10:
        pytest.skip("needs 10 GB of free memory")
    classes, shape = 17, (512, 512, 512)
    x = torch.zeros(1, classes, *shape, dtype=torch.float16, device="cuda")
    onehot = torch.zeros(1, classes, *shape, dtype=torch.bool, device="cuda")
    x[:, -1, 100:], onehot[:, -1, 200:] = 1, True
    index, plane = onehot[:, -1:].to(torch.uint8) * (classes - 1), 512**2
    last = [312 * plane, 100 * plane, 0, 100 * plane]  # true and false positives, false and true negatives
    for counted in (count(x, index), count(x, index, independent=True), count(x, onehot, onehot=True)):
        assert [part[0, -1].item() for part in counted] == last
        assert counted.tp[0, 1:-1].tolist() == [0] * (classes - 2)


MEMORY = """
import sys, resource, torch
from monai_auxops.counting.counts import count
torch.set_num_threads(1)
classes, layout, independent = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"
warm = torch.zeros(1, classes, 40, 50, 50)
x = torch.zeros(1, classes, 200, 200, 200).uniform_()
if layout == "moved":
    x = x.view(1, 200, 200, 200, classes).movedim(-1, 1)
y = torch.ones(1, 1, 200, 200, 200, dtype=torch.uint8)
count(warm, torch.ones(1, 1, 40, 50, 50, dtype=torch.uint8), independent=independent)
count(x[:, :, :40], y[:, :, :40], independent=independent)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count(x, y, independent=independent)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / (x.numel() * 4))
"""


@pytest.mark.parametrize(
    ("name", "layout", "independent"),
    [("blocked", "moved", False), ("blocked", "plain", True), ("numba", "plain", False)],
)
def test_a_volume_is_never_copied(name: str, layout: str, independent: bool) -> None:
    if name not in INSTALLED:
        pytest.skip(f"{name} is not installed")
    command = [sys.executable, "-c", MEMORY, "2", layout, str(independent)]
    environment = os.environ | {"MONAI_AUXOPS_COUNTS": name}
    share = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120).stdout
    assert float(share) <= 0.25


WRONG = {
    "expected predictions": (torch.zeros(2), torch.zeros(2), {}),
    "0 to 3 spatial": (torch.zeros(1, 2, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1, 1, 1), {}),
    "shape \\[2, 1, 4\\]": (torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), {}),
    "shape \\[2, 3, 4\\]": (torch.zeros(2, 3, 4), torch.zeros(2, 4), {"onehot": True}),
    "got predictions \\[2, 0, 4\\]": (torch.zeros(2, 0, 4), torch.zeros(2, 1, 4), {}),
    "torch.complex64 on cpu": (torch.zeros(2, 3, dtype=torch.complex64), torch.zeros(2), {}),
    "label \\[2\\] torch.complex64": (torch.zeros(2, 3), torch.zeros(2, dtype=torch.complex64), {}),
    "one device.* on meta": (torch.zeros(2, 3), torch.zeros(2, device="meta"), {}),
}


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64], ids=str)
def test_a_one_hot_prediction_needs_no_float(device: str, dtype: torch.dtype) -> None:
    index = torch.randint(0, 3, (2, 7), device=device)
    x = torch.nn.functional.one_hot(index, 3).movedim(-1, 1).to(dtype)
    label = torch.randint(-1, 4, (2, 1, 7), device=device)
    assert all(map(torch.equal, count(x, label), count(x.float(), label)))
    assert torch.equal(confusion(x, label), confusion(x.float(), label))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32], ids=str)
@pytest.mark.parametrize("onehot", [False, True], ids=["index", "onehot"])
@pytest.mark.parametrize("classes", [2, 3, 200])
def test_class_indices_count_as_their_one_hot(device: str, classes: int, onehot: bool, dtype: torch.dtype) -> None:
    _, index, hot = batch(classes, (4, 5), device)
    predicted = torch.randint(0, classes + 2, (2, 1, 4, 5), device=device)  # some name no class
    scores = torch.nn.functional.one_hot(predicted[:, 0], classes + 2).movedim(-1, 1)[:, :classes].float()
    label = hot if onehot else index
    got = count_indices(predicted.to(dtype), label, classes, onehot=onehot)
    assert all(map(torch.equal, got, count(scores, label, independent=True, onehot=onehot)))


def test_class_indices_have_one_channel() -> None:
    with pytest.raises(
        ValueError,
        match=r"a label of class indices of shape \[2, 1, 4\], got .*\[2, 3, 4\]",
    ):
        count_indices(torch.zeros(2, 1, 4), torch.zeros(2, 3, 4), 3)
    with pytest.raises(ValueError, match="is_onehot_targets=True accepts a one-hot label"):
        count(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match=r"predictions \[B, 1, \*S\] of class indices, got predictions \[2, 3, 4\]"):
        count_indices(torch.zeros(2, 3, 4), torch.zeros(2, 1, 4), 3)


@pytest.mark.parametrize("message", WRONG)
def test_wrong_input_is_named(message: str) -> None:
    x, y, options = WRONG[message]
    with pytest.raises(ValueError, match=message):
        count(x, y, **options)


def test_confusion_of_one_channel_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 2 channels"):
        confusion(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))


@pytest.fixture
def unforced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MONAI_AUXOPS_COUNTS", raising=False)
    counts._works.cache_clear()
    yield
    counts._works.cache_clear()


@pytest.mark.usefixtures("unforced")
def test_backend_is_the_fastest_installed() -> None:
    assert backend() == ("numba" if "numba" in INSTALLED else "blocked")
    assert backend("mps") == "vectorized"


@pytest.mark.usefixtures("unforced")
def test_a_compiler_that_fails_is_reported_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)

    def broken(name: str) -> Any:
        raise RuntimeError(f"no compiler for {name}")

    monkeypatch.setattr(counts, "_module", broken)
    with pytest.warns(UserWarning, match="without numba, .*no compiler for numba"):
        assert backend() == "blocked"
    with pytest.warns(UserWarning, match="without triton"):
        assert backend("cuda") == "vectorized"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    counts._works.cache_clear()
    assert (backend(), backend("cuda")) == ("blocked", "vectorized")


def test_an_unknown_backend_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", "fast")
    with pytest.raises(ValueError, match="expected one of vectorized, blocked, numba, triton, got 'fast'"):
        backend()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_count_the_same(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba", reason="numba is not installed")
    assert numba
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", "numba")
    monkeypatch.setattr("monai_auxops.counting.backend_numba.PER_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x, index, onehot = batch(6, (30, 31), samples=4)
    check(x, index)
    check(x[:1], onehot[:1], onehot=True, independent=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="numba is not installed")
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", "numba")
    monkeypatch.setattr("monai_auxops.counting.backend_numba.PER_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    x, index, _ = batch(3, (30, 31))
    count(x, index)  # threads have run before the fork
    worker = multiprocessing.get_context("fork").Process(target=check, args=(x, index))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0


@pytest.mark.parametrize("independent", [False, True])
def test_buffers_outlive_inference_mode(independent: bool, device: str) -> None:
    x, index, onehot = batch(3, (80, 80), device)

    def in_a_new_thread() -> None:
        with torch.inference_mode():
            check(x, index, independent=independent)
        for shorter in (x, x[..., :60, :64].double()):
            check(shorter, onehot[..., : shorter.shape[2], : shorter.shape[3]], onehot=True, independent=independent)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(in_a_new_thread).result(60)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_default_device_changes_nothing(classes: int, device: str) -> None:
    x, index, onehot = batch(classes, (80, 80), device)
    with torch.device("meta"):
        found = [count(x, index), count(x, index, independent=True), count(x, onehot, onehot=True)]
        if classes > 1:
            assert confusion(x, index).device == x.device
    expected = [count(x, index), count(x, index, independent=True), count(x, onehot, onehot=True)]
    torch.testing.assert_close(found, expected)


def test_autocast_changes_nothing(device: str) -> None:
    x, index, _ = batch(3, (5, 6), device)
    with torch.autocast(device, dtype=torch.bfloat16):
        check(x + torch.rand_like(x) * 1e-4, index)


def test_other_dtypes_are_compiled_after_a_process_that_filled_the_cache(tmp_path: Path) -> None:
    """Numba's cache once held a generator, which it cannot compile into a new loop after loading it."""
    pytest.importorskip("numba")
    program = (
        "import sys, torch; from monai_auxops.counting.counts import count\n"
        "x = torch.zeros(1, 2, 9, dtype=getattr(torch, sys.argv[1]))\n"
        "print(count(x, torch.zeros(1, 2, 9), independent=True, onehot=True).tn.tolist())"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "MONAI_AUXOPS_COUNTS": "numba"}
    for dtype in ("float32", "float64"):
        command = [sys.executable, "-c", program, dtype]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120)
        assert done.stdout.strip() == "[[9, 9]]"
