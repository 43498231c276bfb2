"""Print what metrics add to a training iteration, and what sharing one count saves.

``python -m benchmarks.iteration [--rounds 5] [--size 96] [--device cuda] [--json FILE]``

Three ``SupervisedTrainer`` with the same small UNet (channels 16-32-64-128) and the same batch (B2 C14): without
metrics, with five aux-ops, and with the model zoo's usual chain (decollate, softmax, one-hot, MeanDice). Each runs some
iterations in turn, round after round; figures are medians, of CPU time on one thread, or with ``--device cuda`` of
elapsed time. Then the five aux-ops alone, beside one. On a GPU it also prints how often the host waited for the device
in an iteration.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.handlers import MeanDice, from_engine
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from monai.transforms import Activationsd, AsDiscreted, Compose

import monai_auxops as ma
from benchmarks.gpu import waits

CLASSES = 14
ITERATIONS = {"cpu": 2, "cuda": 20}  # in an epoch
TAGS = ["mean", *(f"dice_{c}" for c in range(1, CLASSES))]


def five() -> dict[str, ma.AuxiliaryOperation]:
    """Dice, its jaccard twin, one value per class, accuracy, and Dice with background: one count serves all."""
    return {
        "train_dice": ma.ComputeDice("dice", skip_background=True),
        "train_jaccard": ma.ComputeDice("jaccard", jaccard=True, skip_background=True),
        "train_mean": ma.DiceMaskedOutput(TAGS, skip_background=True),
        "train_accuracy": ma.ComputeAccuracy("accuracy"),
        "train_all": ma.ComputeDice("all"),
    }


def trainer(size: int, device: str, **options: Any) -> SupervisedTrainer:
    """Some iterations an epoch on the same random batch, which is on the device."""
    torch.manual_seed(0)
    item = {"image": torch.randn(1, size, size, size), "label": torch.randint(0, CLASSES, (1, size, size, size))}
    item = {key: value.to(device) for key, value in item.items()}
    net = UNet(3, 1, CLASSES, (16, 32, 64, 128), (2, 2, 2), num_res_units=0)
    return SupervisedTrainer(
        device=torch.device(device),
        max_epochs=0,
        train_data_loader=DataLoader(Dataset([item] * 2 * ITERATIONS[device]), batch_size=2),
        network=net.to(device),
        optimizer=torch.optim.Adam(net.parameters()),
        loss_function=DiceCELoss(to_onehot_y=True, softmax=True),
        **options,
    )


def trainers(size: int, device: str) -> dict[str, SupervisedTrainer]:
    """Without metrics, with ours, with the model zoo's."""
    ops = five()
    key = {"train_dice": ops.pop("train_dice")}
    chain = Compose(
        [
            Activationsd(keys="pred", softmax=True),
            AsDiscreted(keys=("pred", "label"), argmax=(True, False), to_onehot=CLASSES),
        ]
    )
    monai = {"train_dice": MeanDice(include_background=False, output_transform=from_engine(["pred", "label"]))}
    return {
        "without metrics": trainer(size, device, decollate=False),
        "five aux-ops": trainer(size, device, decollate=False, key_train_metric=key, additional_metrics=ops),
        "model zoo chain": trainer(size, device, postprocessing=chain, key_train_metric=monai),
    }


def epoch(engine: SupervisedTrainer) -> None:
    """One more epoch."""
    engine.state.max_epochs += 1
    engine.run()


def clock(device: str) -> float:
    """Seconds: of CPU time, or elapsed when the device has done its work."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def interleaved(runs: dict[str, Callable[[], object]], rounds: int, device: str) -> dict[str, float]:
    """Median milliseconds of each, in turn."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = clock(device)
            run()
            if number:  # the first round warms up
                times[name].append((clock(device) - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def sharing(size: int, rounds: int, device: str) -> dict[str, float]:
    """The five aux-ops on one batch, beside the first alone."""
    predictions = torch.randn(2, CLASSES, size, size, size, device=device)
    label = torch.randint(0, CLASSES, (2, 1, size, size, size), device=device)

    def measure(ops: list[ma.AuxiliaryOperation]) -> Callable[[], None]:
        def run() -> None:
            context = ma.BuildContext(predictions, label)
            for op in ops:
                op(predictions, label, build_ctx=context)

        return run

    return interleaved(
        {"one aux-op": measure([*five().values()][:1]), "five": measure([*five().values()])}, rounds, device
    )


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--size", type=int, default=96)
    options.add_argument("--device", choices=ITERATIONS, default="cpu")
    options.add_argument("--json", type=Path)
    args = options.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    device, n = args.device, ITERATIONS[args.device]
    engines = {name: lambda engine=engine: epoch(engine) for name, engine in trainers(args.size, device).items()}
    result = {"iteration": {name: ms / n for name, ms in interleaved(engines, args.rounds, device).items()}}
    result["sharing"] = sharing(args.size, 2 * args.rounds, device)
    unit = "ms of CPU time, one thread" if device == "cpu" else f"ms on {torch.cuda.get_device_name()}"
    for title, times in result.items():
        base = next(iter(times.values()))
        print(f"\n{title}, {unit} (B2 C{CLASSES} {args.size}³)")
        for name, value in times.items():
            print(f"  {name:18}{value:10.2f}{100 * (value / base - 1):+8.1f} %")
    if device == "cuda":
        result["waits"] = {name: waits(run) / n for name, run in engines.items()}
        print("\nwaits for the device in an iteration:", ", ".join(f"{k} {v:.2f}" for k, v in result["waits"].items()))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
