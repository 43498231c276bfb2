"""Print what means, accuracies of elements and AUC cost: time, memory beyond their input, operations.

``python -m benchmarks.sums [--rounds 7] [--scores 1000000] [--device cuda]``

The first table is of one batch (workload c: B1 C3 128³, one-hot float32 label) on one thread: CPU time as a multiple of
reading predictions and label once, the most memory beyond them as a share of them, with plain torch and with numba, and
the operations that a GPU without Triton would be sent in an iteration. Beside it is *whole tensors*, the same sums
without blocks. The second table is of an epoch of scores: time beside scikit-learn's ``roc_auc_score``, in turn, bytes
kept per score, and the most memory to compute the value.

With ``--device cuda`` there is one table, of B8 C14 96³ with a uint8 label: time on the device as a multiple of what
reading it takes at the bandwidth of a copy, the most memory, kernels and waits, with plain torch and with Triton.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from unittest import mock

import torch
from torch import Tensor

import monai_auxops as ma
from benchmarks.gpu import copy_bandwidth, device_ms, extra, kernels, waits
from benchmarks.host import operations
from benchmarks.memory import peak
from benchmarks.workloads import WORKLOADS
from monai_auxops.counting import blocks

OPS: dict[str, Callable[[], ma.AuxiliaryOperation]] = {
    "ReduceMeanMasked": lambda: ma.ReduceMeanMasked("mean"),
    "the same, sigmoid": lambda: ma.ReduceMeanMasked("mean", final_activation="sigmoid"),
    "ComputeAccuracy": lambda: ma.ComputeAccuracy("accuracy"),
}
WAYS = {  # what counts, and the largest block
    "whole tensors": ("blocked", 10**12),
    "plain torch": ("blocked", blocks.BLOCK),
    "numba": ("numba", blocks.BLOCK),
}
Run = Callable[[], object]


@contextlib.contextmanager
def forced(way: str) -> Iterator[None]:
    """Compute in one of ``WAYS``."""
    backend, size = WAYS[way]
    with mock.patch.dict(os.environ, MONAI_AUXOPS_COUNTS=backend), mock.patch.object(blocks, "BLOCK", size):
        yield


def medians(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Return the median CPU time of each, in turn, each with cold caches."""
    cold, times = torch.zeros(64_000_000), {name: [] for name in runs}  # type: dict[str, list[float]]
    for _ in range(rounds):
        for name, run in runs.items():
            cold.add_(1)
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(each) for name, each in times.items()}


def batches(rounds: int) -> None:
    """Print the first table."""
    x, y = WORKLOADS["c"].make()
    ways = [way for way in WAYS if way != "numba" or importlib.util.find_spec("numba")]
    print(f"{WORKLOADS['c'].text}\n{'':20}{'':16}{'x read':>8}{'memory':>8}{'operations':>12}")
    for name, make in OPS.items():
        op, runs = make(), {"read": lambda: x.sum() + y.sum()}  # type: tuple[ma.AuxiliaryOperation, dict[str, Run]]
        sent = len(operations(on_meta(make)).kernels)
        for way in ways:
            runs[way] = in_way(way, lambda op=op: op(x, y))
            runs[way]()  # compiles
        ms = medians(runs, rounds)
        for way in ways:
            share = peak(runs[way]) / (x.nbytes + y.nbytes)
            print(f"{name:20}{way:16}{ms[way] / ms['read']:8.1f}{share:8.2f}{sent:12}")


def in_way(way: str, run: Run) -> Run:
    def forced_run() -> None:
        with forced(way):
            run()

    return forced_run


def on_meta(make: Callable[[], ma.AuxiliaryOperation]) -> Run:
    op, x = make(), torch.zeros(2, 3, 8, 8, 8, device="meta")
    return lambda: op(x, x)


def on_gpu(rounds: int) -> None:
    """Print the table of a GPU."""
    x = torch.randn(8, 14, 96, 96, 96, device="cuda")
    y = torch.randint(0, 2, x.shape, dtype=torch.uint8, device="cuda")
    cold = torch.zeros(64_000_000, device="cuda")
    copied = (x.nbytes + y.nbytes) / copy_bandwidth(cold)
    print(f"B8 C14 96^3\n{'':37}{'ms':>8}{'x copy':>8}{'memory':>8}{'kernels':>9}{'waits':>7}")
    for name, make in OPS.items():
        for way in ("vectorized", "triton"):
            with mock.patch.dict(os.environ, MONAI_AUXOPS_COUNTS=way):
                run = make()
                run(x, y)  # compiles
                ms = statistics.median(device_ms(run, x, y, cold) for _ in range(rounds))
                share = extra(run, x, y) * x.nbytes / (x.nbytes + y.nbytes)
                figures = f"{ms:8.2f}{ms / copied:8.1f}{share:8.2f}{kernels(run, x, y):9}{waits(run, x, y):7}"
            print(f"{name:20}{way:17}{figures}")


def scores(number: int, columns: int) -> tuple[Tensor, Tensor]:
    """Scores ``[N, columns]`` with ties, and binary labels that they predict a little."""
    make = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (number, columns), generator=make)
    return (torch.randn(labels.shape, generator=make) + labels).mul(1e4).round().div(1e4), labels


def epoch(x: Tensor, y: Tensor, rounds: int) -> dict[str, float]:
    """Measure an epoch of scores ``x`` and labels ``y``, in batches of 64: times, and bytes per score."""
    from sklearn.metrics import roc_auc_score

    metric = ma.ComputeAUC("auc", "model", "label")
    for scored, labeled in zip(x.split(64), y.split(64), strict=True):
        metric(scored, labeled)
    state = metric.state_dict()
    held = {"kept": sum(tensor.nbytes for tensor in state["scores"] + state["labels"])}
    held["torch"] = peak(metric.aggregate)  # the first time, which joins the blocks
    tracemalloc.start()
    metric.aggregate()
    held["numpy"] = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    runs: dict[str, Run] = {"own": metric.aggregate, "sklearn": lambda: roc_auc_score(y.numpy(), x.numpy())}
    return medians(runs, rounds) | {name: value / x.numel() for name, value in held.items()}


def epochs(number: int, rounds: int) -> None:
    """Print the second table."""
    print(f"\n{number:,} samples{'bytes per score:':>45}\n{'columns':10}{'ms':>8}{'x scikit-learn':>16}", end="")
    print(f"{'kept':>8}{'torch':>8}{'NumPy':>8}")
    for columns in (1, 14):
        found = epoch(*scores(number, columns), rounds)
        times = f"{found['own'] * 1e3:8.0f}{found['own'] / found['sklearn']:16.2f}"
        print(f"{columns:<10}{times}{found['kept']:8.1f}{found['torch']:8.1f}{found['numpy']:8.1f}")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--scores", type=int, default=1_000_000)
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = options.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if args.device == "cuda":
        on_gpu(args.rounds)
        return
    batches(args.rounds)
    epochs(args.scores, args.rounds)


if __name__ == "__main__":
    main()
