"""Print what metrics cost the host in an iteration, without a GPU: operations, Python calls, time.

``python -m benchmarks.host [--rounds 200] [--against COMMIT] [--json FILE]``

A GPU waits for its host where a network is small, so each operation that is dispatched and each Python call counts. For
one to eight ops on a tiny batch (B2 C14 8³) this prints, per iteration,

- device operations that are no views, and views beside them: dispatched on the ``meta`` device, which touches no data,
  so the counts hold for any device but for the count kernel itself;
- Python calls, as ``cProfile`` counts them;
- host time as a multiple of one addition of two tensors, measured in the same run.

MONAI's chain and torchmetrics run on the CPU, since they read values on the host. Below the table are the targets for
five ops. With ``--against COMMIT`` that version of the package runs in turn with this one, in processes of their own.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib.util
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import monai_auxops as ma
from benchmarks.iteration import CLASSES, five
from benchmarks.variants import monai_chain, torchmetrics_dice
from benchmarks.workloads import Workload
from monai_auxops.core.plan import measure_together

WORKLOAD = Workload("host", 2, CLASSES, (8, 8, 8))
Step = Callable[[], object]


class Operations(TorchDispatchMode):
    """Count the operations that reach a device, and the views among them."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[str] = []
        self.views: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        listed = self.views if is_view(func) else self.kernels
        listed.append(str(func))
        return func(*args, **(kwargs or {}))


def is_view(func: Any) -> bool:
    """Tell whether an operation returns its argument's memory and writes nothing."""
    returned = [r.alias_info for r in func._schema.returns]
    return any(info is not None and not info.is_write for info in returned)


def eight() -> list[ma.AuxiliaryOperation]:
    """Return the five of ``benchmarks.iteration``, and three that ask the same question."""
    more = [
        ma.ComputeDice("recalled", statistics=["recall"]),
        ma.ComputeDice("iou_all", jaccard=True),
        ma.DiceMaskedOutput("named", class_names=[f"class_{c}" for c in range(CLASSES)]),
    ]
    return [*five().values(), *more]


def batch(device: str) -> tuple[Tensor, Tensor]:
    predictions, label = WORKLOAD.make()
    return predictions.to(device), label.to(device)


def step_of(ops: list[ma.AuxiliaryOperation], device: str) -> Step:
    """Return one iteration of ``ops``, as a hub runs them."""
    predictions, label = batch(device)
    plan = None

    def step() -> None:
        nonlocal plan
        _, plan = measure_together(ops, ma.BuildContext(predictions, label), plan)

    return step


def operations(step: Step) -> Operations:
    """Count the operations of one iteration after two that warm up."""
    step()
    step()
    with Operations() as counted:
        step()
    return counted


def calls(step: Step) -> int:
    """Count the Python calls of one iteration after two that warm up, averaged over four."""
    step()
    step()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(4):
        step()
    profile.disable()
    return round(pstats.Stats(profile).total_calls / 4)  # type: ignore[attr-defined]


def engine_calls(ops: list[ma.AuxiliaryOperation]) -> int:
    """Count the Python calls that attached ops add to an iteration of an Ignite engine without other handlers."""
    predictions, label = batch("cpu")

    def per_iteration(attached: list[ma.AuxiliaryOperation]) -> float:
        engine = Engine(lambda *_: {"pred": predictions, "label": label})
        for op in attached:
            op.attach(engine)
        profile, switches = cProfile.Profile(), {3: "enable", 7: "disable"}

        @engine.on(Events.ITERATION_STARTED)
        def switch(engine: Engine) -> None:
            if engine.state.iteration in switches:
                getattr(profile, switches[engine.state.iteration])()

        engine.run([0] * 8)
        return pstats.Stats(profile).total_calls / 4  # type: ignore[attr-defined,no-any-return]

    return round(per_iteration(ops) - per_iteration([]))


def additions(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """Return the host time of each as a multiple of one addition of two small tensors, in turn, by medians."""
    one, other = torch.ones(2, 2), torch.ones(2, 2)
    times: dict[str, list[float]] = {name: [] for name in ("addition", *steps)}
    for _ in range(rounds):
        for name, run in {"addition": lambda: one + other, **steps}.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {name: medians[name] / medians["addition"] for name in steps}


def peers() -> dict[str, Step]:
    """Return MONAI's chain and torchmetrics on the same batch, as far as they are installed."""
    predictions, label = batch("cpu")
    found: dict[str, Step] = {}
    chain = monai_chain(WORKLOAD)
    found["MONAI chain"] = lambda: chain(predictions, label)
    if importlib.util.find_spec("torchmetrics"):
        score = torchmetrics_dice(WORKLOAD)
        found["torchmetrics DiceScore"] = lambda: score(predictions, label)
    return found


def measure(rounds: int) -> list[dict[str, Any]]:
    """Return a row for one to eight ops and each peer."""
    steps = {f"{n} ops": (step_of(eight()[:n], "meta"), step_of(eight()[:n], "cpu")) for n in range(1, 9)}
    steps |= {name: (step, step) for name, step in peers().items()}
    times = additions({name: on_cpu for name, (_, on_cpu) in steps.items()}, rounds)
    rows = []
    for name, (counted, on_cpu) in steps.items():
        seen = operations(counted)
        rows.append(
            {
                "what": name,
                "operations": len(seen.kernels),
                "views": len(seen.views),
                "calls": calls(on_cpu),
                "additions": round(times[name], 1),
            }
        )
    return rows


def targets(against: str | None) -> list[dict[str, Any]]:
    """Return what five ops cost beside what they may cost."""
    scores, label = batch("meta")
    count = len(operations(lambda: ma.functional.counts(scores, label)).kernels)
    step = len(operations(step_of(eight()[:5], "meta")).kernels)
    found: list[dict[str, Any]] = [
        {"what": "operations beside the count", "value": step - count, "most": 6},
        {"what": "calls", "value": calls(step_of(eight()[:5], "cpu")), "most": 300},
        {"what": "calls that an engine makes more", "value": engine_calls(eight()[:5]), "most": 300},
    ]
    if against is not None:
        what = f"host time of an engine's iteration, as a share of that of {against}"
        found.append({"what": what, "value": round(share_of(against), 2), "most": 0.33})
    return found


def share_of(commit: str) -> float:
    """Return the host time that five ops add to an engine's iteration as a share of that at ``commit``."""
    root, ours, theirs = Path(__file__).parents[1], [], []
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit, "monai_auxops"], cwd=root, stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        for _ in range(5):
            ours.append(engine_cost(root))
            theirs.append(engine_cost(Path(folder)))
    return statistics.median(ours) / statistics.median(theirs)


def engine_cost(root: Path) -> float:
    """Return what ``benchmarks/engine_cost.py`` prints for the version of the package in ``root``."""
    command = [sys.executable, str(Path(__file__).with_name("engine_cost.py"))]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(run.stdout)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--against", metavar="COMMIT", help="compare host time with this version of the package")
    options.add_argument("--json", type=Path)
    args = options.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    rows = measure(args.rounds)
    print(f"{'':24}{'operations':>11}{'views':>7}{'calls':>7}{'time, in additions':>20}")
    for row in rows:
        print(f"{row['what']:24}{row['operations']:11}{row['views']:7}{row['calls']:7}{row['additions']:20}")
    print("\nfive ops")
    for row in targets(args.against):
        outcome = "met" if row["value"] <= row["most"] else "NOT MET"
        print(f"  {row['what']}: {row['value']}, target <= {row['most']}: {outcome}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
