"""Print what metrics add to a training iteration, and what sharing one count saves.

``python -m benchmarks.iteration [--rounds 5] [--size 96] [--json FILE]``

Three ``SupervisedTrainer`` with the same small UNet (channels 16-32-64-128) and the same batch (B2 C14): without
metrics, with five aux-ops, and with the model zoo's usual chain (decollate, softmax, one-hot, MeanDice). Each runs two
iterations in turn, round after round, on one thread; figures are medians of CPU time. Then the five aux-ops alone,
beside one.
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

CLASSES = 14
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


def trainer(size: int, **options: Any) -> SupervisedTrainer:
    """Two iterations an epoch on the same random batch."""
    torch.manual_seed(0)
    item = {"image": torch.randn(1, size, size, size), "label": torch.randint(0, CLASSES, (1, size, size, size))}
    net = UNet(3, 1, CLASSES, (16, 32, 64, 128), (2, 2, 2), num_res_units=0)
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=0,
        train_data_loader=DataLoader(Dataset([item] * 4), batch_size=2),
        network=net,
        optimizer=torch.optim.Adam(net.parameters()),
        loss_function=DiceCELoss(to_onehot_y=True, softmax=True),
        **options,
    )


def trainers(size: int) -> dict[str, SupervisedTrainer]:
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
        "without metrics": trainer(size, decollate=False),
        "five aux-ops": trainer(size, decollate=False, key_train_metric=key, additional_metrics=ops),
        "model zoo chain": trainer(size, postprocessing=chain, key_train_metric=monai),
    }


def epoch(engine: SupervisedTrainer) -> None:
    """One more epoch."""
    engine.state.max_epochs += 1
    engine.run()


def interleaved(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of CPU time of each, in turn."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if number:  # the first round warms up
                times[name].append((time.process_time() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def sharing(size: int, rounds: int) -> dict[str, float]:
    """The five aux-ops on one batch, beside the first alone."""
    predictions = torch.randn(2, CLASSES, size, size, size)
    label = torch.randint(0, CLASSES, (2, 1, size, size, size))

    def measure(ops: list[ma.AuxiliaryOperation]) -> Callable[[], None]:
        def run() -> None:
            context = ma.BuildContext(predictions, label)
            for op in ops:
                op(predictions, label, build_ctx=context)

        return run

    return interleaved({"one aux-op": measure([*five().values()][:1]), "five": measure([*five().values()])}, rounds)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--size", type=int, default=96)
    options.add_argument("--json", type=Path)
    args = options.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    engines = {name: lambda engine=engine: epoch(engine) for name, engine in trainers(args.size).items()}
    result = {"iteration": {n: ms / 2 for n, ms in interleaved(engines, args.rounds).items()}}
    result["sharing"] = sharing(args.size, 2 * args.rounds)
    for title, times in result.items():
        base = next(iter(times.values()))
        print(f"\n{title}, ms of CPU time (B2 C{CLASSES} {args.size}³, one thread)")
        for name, value in times.items():
            print(f"  {name:18}{value:10.1f}{100 * (value / base - 1):+8.1f} %")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
