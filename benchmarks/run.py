"""Print what counting one batch costs, in milliseconds and as a multiple of reading its data once.

``python -m benchmarks.run [--workload a] [--peers] [--growth] [--rounds 7] [--json FILE]`` (``--help``: the rest)

All variants run in one process on one thread, in turn, round after round; a figure is the median of the rounds, in CPU
time, which a busy machine distorts less. A buffer larger than the caches is written before every run, so that each
finds its data in memory, as after a network. Every variant's Dice agrees with the others' before anything is timed.
The column *before* holds the multiples of one read that a stored run found.

Most of the lead over MONAI and torchmetrics is one slow operation of theirs, ``argmax(dim=1)`` on the CPU. The ratio
to the *control* (``max(1).indices`` and one ``bincount`` per sample, three lines) says what remains without it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.growth import growth
from benchmarks.variants import Variant, variants
from benchmarks.workloads import WORKLOADS, Workload

TARGETS = {  # times one read, and the least lead over MONAI's chain and over the control
    "plain torch": ({"a": 4, "b": 6, "c": 2.8, "e": 4.5, "t": 5.5}, {"a": 15, "b": 15, "c": 4, "e": 15, "t": 7}, 1.5),
    "numba": ({"a": 1.5, "b": 2, "c": 1.1, "e": 1.8, "t": 1.4}, {}, 2.5),
}
BEFORE = Path(__file__).parent / "results" / "2026-11-22-cpu.json"


def agree(runs: dict[str, Variant], x: torch.Tensor, y: torch.Tensor) -> None:
    """Compare Dice per class, the mean over samples, with the first variant's.

    A softmax in half precision makes ties of scores that were not, so that a chain with one finds other classes.
    """
    atol = 1e-5 if x.dtype == torch.float32 else 1e-3
    expected, first = None, next(iter(runs))
    for name, run in runs.items():
        dice = run(x, y).double().cpu()
        dice = dice.mean(0) if dice.ndim == 2 else dice
        expected = dice if expected is None else expected
        if not torch.allclose(dice, expected, rtol=0, atol=atol):
            raise SystemExit(f"{name} disagrees with {first}: {dice.tolist()} != {expected.tolist()}")


def measure(workload: Workload, peers: bool, rounds: int) -> dict[str, Any]:
    """Milliseconds per variant of one workload."""
    x, y = workload.make()
    runs, missing = variants(workload, peers)
    agree(runs, x, y)
    runs = {"read once": lambda x, y: x.sum() + y.sum(), **runs}
    cold = torch.zeros(64_000_000)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            cold.add_(1)
            start = time.process_time()
            run(x, y)
            times[name].append((time.process_time() - start) * 1e3)
    return {"workload": workload.text, "ms": {n: statistics.median(t) for n, t in times.items()}, "missing": missing}


def report(key: str, result: dict[str, Any], before: dict[str, float]) -> None:
    """Print one workload's table and its targets, beside the times ``before``."""
    ms = result["ms"]
    read, chain, plain = ms["read once"], ms.get("MONAI chain"), ms.get("control")
    print(f"\n{result['workload']}\n{'':24}{'ms':>9}{'x read':>9}{'before':>9}{'x control':>11}{'x MONAI':>9}")
    for name, value in ms.items():
        earlier = before[name] / before["read once"] if name in before else None
        ratios = [value / read, earlier, plain and plain / value, chain and chain / value]
        print(
            f"{name:24}{value:9.1f}"
            + "".join(f"{r:{w}.1f}" if r else f"{'-':>{w}}" for r, w in zip(ratios, (9, 9, 11, 9), strict=True))
        )
    for name, (reads, leads, control) in TARGETS.items():
        wanted = [("reads", ms[name] / read, "<=", reads.get(key))] if name in ms else []
        if name in ms and chain:
            wanted.append(("MONAI", chain / ms[name], ">=", leads.get(key)))
        if name in ms and plain and key != "t":
            wanted.append(("control", plain / ms[name], ">=", control))
        for what, value, sign, target in wanted:
            if target is not None:
                met = value <= target if sign == "<=" else value >= target
                print(f"  {name}: {what} {value:.2f}, target {sign} {target}: {'met' if met else 'NOT MET'}")
    for name in result["missing"]:
        print(f"  {name}: not installed")


def plot(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the multiples of one read as horizontal bars, one panel per workload."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    columns = min(3, len(results))
    rows = -(-len(results) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(4 * columns, 2.6 * rows), squeeze=False, layout="constrained")
    for panel in panels.flat[len(results) :]:
        panel.axis("off")
    for panel, result in zip(panels.flat, results.values(), strict=False):
        ratios = {n: v / result["ms"]["read once"] for n, v in reversed(result["ms"].items())}
        colors = ["tab:blue" if n in TARGETS else "silver" for n in ratios]
        panel.bar_label(panel.barh(list(ratios), list(ratios.values()), color=colors), fmt=" %.1f")
        panel.set_title(result["workload"], fontsize=10)
        panel.set_xscale("log")
        panel.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("times the cost of reading the data once (logarithmic)", fontsize=9)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="one of these; may be repeated")
    parser.add_argument("--peers", action="store_true", help="measure MONAI, torchmetrics, torcheval, ignite, medpy")
    parser.add_argument("--growth", action="store_true", help="time and memory against voxels and classes instead")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--before", type=Path, default=BEFORE, help="the stored run to compare with")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "machine": platform.machine()}
    before = json.loads(options.before.read_text())
    print(" · ".join(facts.values()), f"· one thread · before: {options.before.stem}")
    results: dict[str, Any] = {}
    if options.growth:
        results = growth()
    else:
        for key in options.workload or WORKLOADS:
            results[key] = measure(WORKLOADS[key], options.peers, options.rounds)
            report(key, results[key], before["results"].get(key, {}).get("ms", {}))
        if options.plot:
            plot(results, options.plot)
    if options.json:
        options.json.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
