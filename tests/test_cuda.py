"""What only a CUDA device can show: launches, graphs, and the same numbers as the CPU."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

import monai_auxops as ma
from monai_auxops import functional
from monai_auxops.core.context import BuildContext, refuse_capture
from monai_auxops.core.plan import measure_together
from monai_auxops.counting.counts import backend

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CLASSES = 14


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)
    scores = torch.randn(2, CLASSES, 8, 8, 8, generator=make)
    return scores, torch.randint(0, CLASSES, (2, 1, 8, 8, 8), generator=make)


def five() -> list[ma.AuxiliaryOperation]:
    return [
        ma.ComputeDice("dice", skip_background=True),
        ma.ComputeDice("jaccard", jaccard=True, skip_background=True),
        ma.DiceMaskedOutput(["mean", *(f"dice_{c}" for c in range(1, CLASSES))], skip_background=True),
        ma.ComputeAccuracy("accuracy"),
        ma.ComputeDice("all"),
    ]


def epoch(device: str) -> list[dict[str, float]]:
    ops, plan = five(), None
    for seed in range(5):
        x, y = batch(seed)
        _, plan = measure_together(ops, BuildContext(x.to(device), y.to(device)), plan)
    return [op.aggregate() for op in ops]


@needs_cuda
def test_an_epoch_has_the_same_values_as_on_the_cpu():
    for mine, theirs in zip(epoch("cuda"), epoch("cpu"), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-7)  # a float32 value may be rounded the other way


@needs_cuda
@pytest.mark.skipif(torch.cuda.is_available() and backend("cuda") != "triton", reason="needs triton")
def test_five_ops_launch_a_fill_a_count_and_an_epilogue():
    ops, plan, names = five(), None, []
    x, y = (t.cuda() for t in batch(0))
    for number in range(3):
        context = BuildContext(x, y)
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            _, plan = measure_together(ops, context, plan)
            torch.cuda.synchronize()
        if number == 2:
            names = [event.name for event in seen.events() or () if event.device_type == DeviceType.CUDA]
    launched = [name for name in names if "Memset" not in name and "FillFunctor" not in name]
    assert [name.split("(")[0] for name in launched] == ["_count_kernel", "_epilogue_kernel"]
    assert len(names) == 3


@needs_cuda
def test_a_graph_of_the_functions_replays_on_new_data():
    x, y = (t.cuda() for t in batch(0))
    functional.dice(x, y)  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        counts, dice = functional.counts(x, y), functional.dice(x, y)
    for seed in (1, 2):
        new_x, new_y = batch(seed)
        x.copy_(new_x)
        y.copy_(new_y)
        graph.replay()
        assert torch.equal(torch.stack(counts).cpu(), torch.stack(functional.counts(new_x, new_y)))
        torch.testing.assert_close(dice.cpu(), functional.dice(new_x, new_y), rtol=1e-6, atol=0, equal_nan=True)


@needs_cuda
def test_an_op_refuses_to_be_captured():
    x, y = (t.cuda() for t in batch(0))
    op, context, graph = ma.ComputeDice("dice"), BuildContext(x, y), torch.cuda.CUDAGraph()
    op(x, y)
    with torch.cuda.graph(graph):
        with pytest.raises(RuntimeError, match=r"cannot be part of a CUDA graph.*monai_auxops\.functional"):
            op(x, y)
        with pytest.raises(RuntimeError, match="cannot be part of a CUDA graph"):
            measure_together([op], context, None)
    assert op.running.updates == 1


def test_a_capture_is_refused_on_its_device_alone(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_current_stream_capturing", lambda: True)
    refuse_capture(torch.device("cpu"))
    with pytest.raises(RuntimeError, match="a replay would not add to their running means"):
        refuse_capture(torch.device("cuda"))
