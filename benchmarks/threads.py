"""Print what more threads gain: ``python -m benchmarks.threads [--threads 2] [--rounds 15] [--json FILE]``.

Wall time of one read, plain torch and numba with one and with more threads, in turn, each with its data in memory and
not in a cache. A wait for the scheduler is no property of the code, so the best round stands beside the median; the
read tells what the machine's memory allows at all.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.variants import variants
from benchmarks.workloads import WORKLOADS, Workload

OURS = ("plain torch", "numba")
TARGETS = {"a": 1.6, "d": 1.6}  # the gain of numba with two idle cores; elsewhere it must not be slower
Times = dict[str, dict[int, list[float]]]


def measure(workload: Workload, threads: list[int], rounds: int) -> Times:
    """Milliseconds of each round, by variant and number of threads."""
    x, y = workload.make()
    counting, _ = variants(workload, peers=False)
    runs = {"read once": lambda x, y: x.sum() + y.sum()} | {n: counting[n] for n in OURS if n in counting}
    cold = np.zeros(64_000_000, np.float32)  # written by one thread, torch's stay asleep
    times: Times = {name: {n: [] for n in threads} for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            for n in threads:
                torch.set_num_threads(n)
                cold += 1
                start = time.perf_counter()
                run(x, y)
                if number:  # the first round warms up
                    times[name][n].append((time.perf_counter() - start) * 1e3)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {}
    print(f"{datetime.date.today()} · {torch.__version__} · one thread against {options.threads}")
    for workload in WORKLOADS.values():
        results[workload.key] = measure(workload, [1, options.threads], options.rounds)
        print(f"\n{workload.text}\n{'':14}{'ms':>8}{'ms':>8}{'median gain':>13}{'best gain':>11}")
        for name, times in results[workload.key].items():
            one, more = times.values()
            a, b = statistics.median(one), statistics.median(more)
            gain, target = min(one) / min(more), TARGETS.get(workload.key, 1)
            print(f"{name:14}{a:8.1f}{b:8.1f}{a / b:13.2f}{gain:11.2f}")
            if name == "numba":
                print(f"  numba: best gain {gain:.2f}, target >= {target}: {'met' if gain >= target else 'NOT MET'}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
