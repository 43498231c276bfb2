"""A training that may be cut off at any moment and goes on from its last checkpoint; and what cuts it off.

``worker.py FOLDER [--cuts 3] [--signal KILL|TERM] [--seed 0]`` runs it once to its end, then again and again with cuts
at random moments, and says as JSON how often and what differed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer

import monai_auxops as ma
from monai_auxops.engine.hub import Hub
from tests.engines.conftest import TAGS, cases, cross_entropy, network

EPOCHS, CASES, SIZE = 3, 11, 2
PAUSE = 0.02  # seconds of each iteration, so that cuts come at any moment of a short run


class Continuing(DataLoader):
    """A loader that can continue, as torchdata's StatefulDataLoader: it knows how many batches of the epoch it gave."""

    def __init__(self, n: int = CASES, size: int = SIZE) -> None:
        super().__init__(Dataset(cases(n, 0)), batch_size=size)
        self.given = self.skip = 0

    def state_dict(self) -> dict[str, int]:
        return {"given": self.given % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.skip = state["given"]

    def __iter__(self):
        skip, self.skip = self.skip, 0
        for self.given, batch in enumerate(super().__iter__(), 1):
            if self.given > skip:
                yield batch


def training(folder: Path) -> SupervisedTrainer:
    """A trainer that goes on where the last checkpoint in ``folder`` was written, and records each epoch's values."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, record = folder / "checkpoint.pt", folder / "epochs.jsonl"
    net, loader = network(), Continuing()
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=EPOCHS,
        train_data_loader=loader,
        network=net,
        optimizer=torch.optim.Adam(net.parameters(), 0.05),
        loss_function=cross_entropy,
        key_train_metric={"train_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)},
        additional_metrics={"train_negloss": ma.NegLoss("negloss"), "train_acc": ma.ComputeAccuracy("acc")},
    )
    ops = {f"op {i}": entry.op for i, entry in enumerate(Hub.of(trainer).attachments)}
    parts: dict[str, Any] = {"trainer": trainer, "net": net, "optimizer": trainer.optimizer, "loader": loader, **ops}

    def save() -> None:
        torch.save({name: part.state_dict() for name, part in parts.items()}, f"{checkpoint}.new")
        Path(f"{checkpoint}.new").replace(checkpoint)

    @trainer.on(Events.ITERATION_COMPLETED)
    def within_the_epoch(engine: Engine) -> None:
        time.sleep(PAUSE)
        if engine.state.iteration % engine.state.epoch_length:  # the epoch's last is saved with its value
            save()

    @trainer.on(Events.EPOCH_COMPLETED)
    def after_the_epoch(engine: Engine) -> None:
        with record.open("a") as file:
            file.write(json.dumps([engine.state.epoch, engine.state.metrics]) + "\n")
        save()

    if checkpoint.exists():
        for name, state in torch.load(checkpoint, weights_only=True).items():
            parts[name].load_state_dict(state)
    return trainer


def recorded(folder: Path) -> dict[int, list[dict[str, float]]]:
    """The different values that each epoch was recorded with: one, if all is well."""
    found: dict[int, list[dict[str, float]]] = {}
    lines = (folder / "epochs.jsonl").read_text().splitlines() if (folder / "epochs.jsonl").exists() else []
    for epoch, values in map(json.loads, lines):
        if values not in found.setdefault(epoch, []):
            found[epoch].append(values)
    return found


def run(folder: Path) -> None:
    torch.set_num_threads(1)
    trainer = training(folder)
    if trainer.state.epoch < EPOCHS:  # Ignite would begin a finished run again, from epoch 1 with the trained network
        trainer.run()


def cut(folder: Path, times: int, number: int, seed: int) -> dict[str, Any]:
    """Cut runs off at random moments until it was done ``times`` times; each run goes on until it reaches its end."""
    random.seed(seed)
    os.environ["MONAI_AUXOPS_COUNTS"] = "vectorized"  # no seconds of compiling, in which nothing can go wrong
    torch.set_num_threads(1)
    training(folder / "unused")  # imports what is imported late; a process that has run nothing can be forked
    fork = multiprocessing.get_context("fork")

    def lasting(part: Path, seconds: float | None) -> int | None:
        process = fork.Process(target=run, args=(part,))
        process.start()
        process.join(seconds)
        if process.is_alive():
            os.kill(process.pid, number)
            process.join()
        return process.exitcode

    start = time.monotonic()
    lasting(folder / "whole", None)
    whole, lasts = recorded(folder / "whole"), time.monotonic() - start
    cuts, runs, wrong = 0, 0, []
    while cuts < times:
        part, code = folder / f"run-{runs}", None
        while code != 0:
            code = lasting(part, random.uniform(0, lasts / 2) if cuts < times else None)
            if code not in (0, -number):
                raise RuntimeError(f"a resumed run ended with code {code}")
            cuts += code != 0
        if recorded(part) != whole:
            wrong.append({"run": runs, "values": recorded(part), "expected": whole})
        runs += 1
        shutil.rmtree(part)
    return {"cuts": cuts, "runs": runs, "wrong": wrong, "epochs": len(whole)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--signal", choices=("KILL", "TERM"), default="KILL")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(cut(options.folder, options.cuts, signal.Signals[f"SIG{options.signal}"], options.seed)))


if __name__ == "__main__":
    main()
