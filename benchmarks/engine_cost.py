"""Print what five ops add to an iteration of an Ignite engine, in additions of two small tensors.

``PYTHONPATH=ROOT python benchmarks/engine_cost.py [ROUNDS]`` measures the version of the package in ``ROOT``. It uses
only names that every version has, so that ``benchmarks.host --against COMMIT`` can compare two of them.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable

import torch
from ignite.engine import Engine

import monai_auxops as ma

CLASSES, ITERATIONS = 14, 100


def five() -> list[ma.AuxiliaryOperation]:
    """Return the five ops of ``benchmarks.iteration``."""
    tags = ["mean", *(f"dice_{c}" for c in range(1, CLASSES))]
    return [
        ma.ComputeDice("dice", skip_background=True),
        ma.ComputeDice("jaccard", jaccard=True, skip_background=True),
        ma.DiceMaskedOutput(tags, skip_background=True),
        ma.ComputeAccuracy("accuracy"),
        ma.ComputeDice("all"),
    ]


def epochs_of(ops: list[ma.AuxiliaryOperation]) -> Callable[[], object]:
    """Return a function that runs an epoch on one tiny batch."""
    make = torch.Generator().manual_seed(0)
    predictions = torch.randn(2, CLASSES, 8, 8, 8, generator=make)
    label = torch.randint(0, CLASSES, (2, 1, 8, 8, 8), generator=make)
    engine = Engine(lambda *_: {"pred": predictions, "label": label})
    for op in ops:
        op.attach(engine)
    return lambda: engine.run([0] * ITERATIONS, max_epochs=1)


def additions(rounds: int) -> float:
    """Return what the ops add to an iteration: engines with and without them, and additions, in turn."""
    one = torch.ones(2, 2)
    runs = {
        "ops": epochs_of(five()),
        "none": epochs_of([]),
        "addition": lambda: [one + one for _ in range(ITERATIONS)],
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values[1:]) for name, values in times.items()}
    return (median["ops"] - median["none"]) / median["addition"]


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    print(additions(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
