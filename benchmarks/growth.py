"""How time and memory grow with voxels, with classes, and with samples per epoch, and the exponent that fits."""

from __future__ import annotations

import itertools
import math
import os
import time
from typing import Any

import torch
from ignite.engine import Engine

import monai_auxops as ma
from benchmarks import memory
from monai_auxops.counting import backend_blocked
from monai_auxops.counting.counts import backend, count

VOXELS = {f"C4 {n}^3": (4, (n,) * 3) for n in (64, 96, 128, 192, 256, 384, 512)}
CLASSES = {f"C{c} 64^3": (c, (64,) * 3) for c in (2, 8, 32, 128, 512)}
SAMPLES = (1_000, 10_000, 100_000, 1_000_000)


def growth() -> dict[str, Any]:
    """Print and return one table per backend."""
    result: dict[str, Any] = {}
    os.environ.pop("MONAI_AUXOPS_COUNTS", None)
    for name in dict.fromkeys(("blocked", backend())):
        os.environ["MONAI_AUXOPS_COUNTS"] = name
        for axis, cases in (("voxels", VOXELS), ("classes", CLASSES)):
            rows = {text: point(classes, spatial) for text, (classes, spatial) in cases.items()}
            exponent = slope([(math.log(r["logits"]), math.log(r["ms"])) for r in rows.values()])
            result[f"{name} {axis}"] = {"rows": rows, "exponent": exponent}
            print(f"\n{name}, growing {axis}: time ~ logits^{exponent:.2f}")
            print(f"{'':12}{'ms':>9}{'ns/logit':>10}{'memory/logits':>15}")
            for text, r in rows.items():
                print(f"{text:12}{r['ms']:9.2f}{r['ms'] / r['logits'] * 1e6:10.2f}{r['memory']:15.3f}")
    return {**result, "samples": epochs()}


def epochs() -> dict[str, Any]:
    """One epoch of Dice and accuracy per number of samples, in batches of 100: time, and the state they keep."""
    epoch(SAMPLES[0])  # warms up
    rows = {f"{n:,}": epoch(n) for n in SAMPLES}
    exponent = slope([(math.log(n), math.log(r["ms"])) for n, r in zip(SAMPLES, rows.values(), strict=True)])
    print(f"\nsamples in an epoch: time ~ samples^{exponent:.2f}\n{'':12}{'ms':>9}{'µs/batch':>10}{'state, bytes':>15}")
    for text, r in rows.items():
        print(f"{text:12}{r['ms']:9.1f}{r['us']:10.1f}{r['bytes']:15}")
    return {"rows": rows, "exponent": exponent}


def epoch(samples: int) -> dict[str, float]:
    """CPU time of one epoch in an engine that does nothing else."""
    batch = {"pred": torch.randn(100, 3, 8), "label": torch.randint(0, 3, (100, 1, 8))}
    engine, ops = Engine(lambda _, batch: dict(batch)), [ma.ComputeDice("dice"), ma.ComputeAccuracy("accuracy")]
    for op in ops:
        op.attach(engine)
    start = time.process_time()
    engine.run(itertools.repeat(batch), epoch_length=samples // 100)
    seconds = time.process_time() - start
    state = [t for op in ops for mean in op.states for t in (mean.sums, mean.counts)]
    held = sum(t.nbytes for t in state)
    return {"ms": seconds * 1e3, "us": seconds / samples * 100 * 1e6, "bytes": held}


def point(classes: int, spatial: tuple[int, ...]) -> dict[str, float]:
    """The best of five runs, and the largest sum of live allocations as a share of the logits."""
    x = torch.zeros(1, classes, *spatial).normal_()
    y = torch.zeros(1, 1, *spatial, dtype=torch.uint8)
    times = []
    for _ in range(6):
        start = time.process_time()
        count(x, y)
        times.append(time.process_time() - start)
    return {"logits": x.numel(), "ms": min(times[1:]) * 1e3, "memory": peak(x, y) / (x.numel() * 4)}


def peak(x: torch.Tensor, y: torch.Tensor) -> int:
    """Bytes that torch holds at most while counting, the buffers it keeps included."""
    backend_blocked._scratch.buffers.clear()
    return memory.peak(lambda: count(x, y))


def slope(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    mean_x, mean_y = (sum(c) / len(points) for c in zip(*points, strict=True))
    top = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return top / sum((x - mean_x) ** 2 for x, _ in points)
