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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.workloads import WORKLOADS, Workload
from monai_auxops import counts_blocked
from monai_auxops.counts import Rule

Times = dict[str, dict[int, list[float]]]


def variants(workload: Workload) -> dict[str, Callable[[], object]]:
    """What is timed on one batch."""
    x, y = workload.make()
    rule = Rule(exclusive=not workload.independent, onehot=workload.independent, threshold=0.0)
    runs: dict[str, Callable[[], object]] = {
        "read once": lambda: x.sum() + y.sum(),
        "plain torch": lambda: counts_blocked.sums(x, y, rule),
    }
    try:
        from monai_auxops import counts_numba
    except ImportError:
        return runs
    return {**runs, "numba": lambda: counts_numba.sums(x, y, rule)}


def measure(workload: Workload, threads: list[int], rounds: int) -> Times:
    """Milliseconds of each round, by variant and number of threads."""
    runs, cold = variants(workload), np.zeros(64_000_000, np.float32)  # written by one thread, torch's stay asleep
    times: Times = {name: {n: [] for n in threads} for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            for n in threads:
                torch.set_num_threads(n)
                cold += 1
                start = time.perf_counter()
                run()
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
            print(f"{name:14}{a:8.1f}{b:8.1f}{a / b:13.2f}{min(one) / min(more):11.2f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
