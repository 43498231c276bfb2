"""How time and memory grow with voxels and with classes, and the exponent that fits."""

from __future__ import annotations

import math
import os
import time
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from monai_auxops.counts import backend, count

VOXELS = {f"C4 {n}^3": (4, (n,) * 3) for n in (64, 96, 128, 192, 256)}
CLASSES = {f"C{c} 64^3": (c, (64,) * 3) for c in (2, 8, 32, 128, 512)}


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
    return result


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
    """Bytes that torch holds at most while counting."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        count(x, y)
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]  # type: ignore[union-attr]
    live = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    return most


def slope(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    mean_x, mean_y = (sum(c) / len(points) for c in zip(*points, strict=True))
    top = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return top / sum((x - mean_x) ** 2 for x, _ in points)
