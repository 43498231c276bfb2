"""Run for long with all aux-ops attached, or be killed again and again, and print whether anything drifted.

``python -m benchmarks.soak [--iterations 200000]``: one epoch of small batches on one engine, then twenty runs of an
evaluator. Resident memory and CPU time per iteration are fitted with a line over ten segments after a warm-up; the
values are compared with those of one cycle of the batches, which repeats, and the loss with its closed form.

``python -m benchmarks.soak --kill 50``: a training that is killed (SIGKILL) at random moments and resumed.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedEvaluator
from torch import Tensor

import monai_auxops as ma
from benchmarks.growth import slope
from tests.reliability import worker

SEGMENTS, RUNS = 10, 20
STUDENT = 3.36  # two-sided 99 % of Student's t with 8 degrees of freedom
SMALL = 0.005  # a drift below this share of the mean, over all segments, matters to nobody


def batches() -> list[dict[str, Tensor]]:
    """One cycle: a segmentation and a classification, with labels to leave out and a class that is absent."""
    make = torch.Generator().manual_seed(0)
    found = []
    for i in range(4):
        label = torch.randint(-1, 3 if i else 2, (2, 1, 6, 6), generator=make)
        logits = torch.randn(2, 3, 6, 6, generator=make)
        classes = torch.stack([torch.randint(0, 3, (2,), generator=make), torch.tensor([0, 1])], 1)
        scores = torch.randn(2, 4, generator=make)
        found.append({"image": logits, "label": label, "scores": scores, "classes": classes})
    return found


def classification(output: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return output["scores"], output["classes"]


def attach(engine: Engine) -> None:
    """Every aux-op, and the metric that reads one; ComputeAUC is left out, for it keeps its scores by design."""
    ma.ComputeDice("dice", "mask", statistics=["global", "support", "recall"], class_names=["a", "b", "c"]).attach(
        engine
    )
    ma.DiceMaskedOutput(["jaccard", "j_a", "j_b"], jaccard=True, skip_background=True).attach(engine)
    ma.ComputeAccuracy("accuracy").attach(engine)
    ma.NegLoss("negloss").attach(engine)
    ma.ReduceMeanMasked("mean", final_activation="softmax").attach(engine)
    ma.ComputeAverage("average", "dice").attach(engine)
    for op in (
        ma.ComputeMulticlassAccuracy("multi", label_format=[3, 1]),
        ma.ComputeMulticlassPreds(label_format=[3, 1]),
        ma.ComputeBinaryPreds(label_format=[3, 1]),
    ):
        op.attach(engine, output_transform=classification)


def output_of(batch: dict[str, Tensor], iteration: int) -> dict[str, Tensor]:
    """The batch as an engine's output; the loss is the iteration's number."""
    loss = torch.tensor(float(iteration), dtype=torch.float64)
    return {**batch, "pred": batch["image"], "loss": loss}


def resident() -> float:
    """Resident memory in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status tells no VmRSS")


def verdict(name: str, values: list[float], unit: str) -> bool:
    """Print the fitted line of one quantity over the segments; whether it is flat."""
    points = list(enumerate(values))
    rise, mean = slope(points), sum(values) / len(values)
    center = (len(values) - 1) / 2
    residual = sum((y - mean - rise * (x - center)) ** 2 for x, y in points)
    error = (residual / (len(values) - 2) / sum((x - center) ** 2 for x, _ in points)) ** 0.5
    drift = rise * (len(values) - 1) / mean
    flat = rise <= STUDENT * error or drift <= SMALL  # what falls as the machine has less to do is no leak
    print(f"  {name}: " + " ".join(f"{v:.1f}" for v in values) + f" {unit}")
    print(
        f"    slope {rise:+.4f} ± {error:.4f} {unit} a segment, {drift:+.2%} in all: {'no growth' if flat else 'GROWS'}"
    )
    return flat


class Meter:
    """Memory and CPU time of segments; the first is the warm-up."""

    def __init__(self) -> None:
        self.memory: list[float] = []
        self.times: list[float] = []
        self.start = time.process_time()

    def mark(self, iterations: int) -> None:
        """End a segment of so many iterations."""
        self.times.append((time.process_time() - self.start) / iterations * 1e6)
        gc.collect()
        self.memory.append(resident())
        self.start = time.process_time()

    def flat(self) -> bool:
        return all(
            [
                verdict("resident memory", self.memory[1:], "MiB"),
                verdict("CPU time per iteration", self.times[1:], "µs"),
            ]
        )


def values_of(iterations: int) -> dict[str, float]:
    """The epoch values after so many iterations, all at once."""
    engine = Engine(lambda engine, batch: output_of(batch, engine.state.iteration))
    attach(engine)
    engine.run(islice(cycle(batches()), iterations), epoch_length=iterations)
    return dict(engine.state.metrics)


def agree(found: dict[str, float], iterations: int) -> bool:
    """Whether the values are those of one cycle, the support that of all cycles, and the loss -(n + 1) / 2."""
    cycles = iterations / len(batches())
    wrong = {}
    for name, value in values_of(len(batches())).items():
        expected = value * cycles if "support" in name else -(iterations + 1) / 2 if name == "negloss" else value
        if not abs(found[name] - expected) <= 1e-9 * max(1, abs(expected)):
            wrong[name] = (found[name], expected)
    print(f"  {len(found)} values against the closed form: " + (f"DIFFERENT {wrong}" if wrong else "equal to 1e-9"))
    return not wrong


def one_epoch(iterations: int) -> bool:
    """One epoch on one engine."""
    print(f"one epoch of {iterations:,} iterations")
    part, meter = iterations // (SEGMENTS + 1), Meter()
    engine = Engine(lambda engine, batch: output_of(batch, engine.state.iteration))
    attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED(every=part), lambda _: meter.mark(part))
    engine.run(cycle(batches()), max_epochs=1, epoch_length=iterations)
    return agree(dict(engine.state.metrics), iterations) & meter.flat()


def many_runs(iterations: int) -> bool:
    """Twenty runs of one evaluator, and two before they count."""
    each = max(4, iterations // RUNS // 4 * 4)
    print(f"{RUNS} evaluator runs of {each:,} iterations")

    class Repeated:
        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            return islice(cycle(data), each)

        def __len__(self) -> int:
            return each

    data = batches()
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=Repeated(),
        network=torch.nn.Identity(),
        epoch_length=each,
        iteration_update=lambda engine, batch: output_of(batch, engine.state.iteration),
        decollate=False,
    )
    attach(evaluator)
    results, meter = [], Meter()
    for i in range(RUNS + 2):
        evaluator.run()
        results.append(dict(evaluator.state.metrics))
        if i % 2:
            meter.mark(2 * each)
    same = all(result == results[0] for result in results)
    print(f"  {len(results)} runs: " + ("all values the same" if same else "values DIFFER"))
    return agree(results[-1], each) & meter.flat() & same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=200_000)
    parser.add_argument("--kill", type=int, metavar="TIMES", help="kill a training at random moments instead")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{datetime.date.today()} · torch {torch.__version__} · seed {options.seed}")
    if options.kill:
        with tempfile.TemporaryDirectory() as folder:
            found = worker.cut(Path(folder), options.kill, signal.SIGKILL, options.seed)
        print(
            f"killed {found['cuts']} times in {found['runs']} runs of {found['epochs']} epochs: {len(found['wrong'])} "
            "runs whose epoch values differ from the uninterrupted run's"
        )
        return len(found["wrong"])
    os.environ.setdefault("MONAI_AUXOPS_COUNTS", "blocked")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    whole = options.iterations // 4 * 4
    return 0 if one_epoch(whole) & many_runs(whole) else 1


if __name__ == "__main__":
    sys.exit(main())
