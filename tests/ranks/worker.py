"""One rank of a run: ``torch.distributed.run ... worker.py OUT SCENARIO ...``. Writes what it found as JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
from monai.data import DataLoader, Dataset
from monai.handlers import StatsHandler, ValidationHandler

import monai_auxops as ma
from tests.engines.conftest import TAGS, Engines, cases, cross_entropy, network

COLLECTIVES = ("all_reduce", "all_gather_object", "all_gather", "broadcast", "reduce", "barrier")


class Share(ma.AuxiliaryOperation):
    """A user's op that declares nothing."""

    def get_output_tensors(self, predictions, label, build_ctx):
        return {"share": (label > 0).flatten(1).float().mean(1), "zero": torch.zeros(len(label))}


class Raising(ma.AuxiliaryOperation):
    """A user's op with a mistake that shows on rank 1 alone."""

    accumulated = ("mine",)

    def get_output_tensors(self, predictions, label, build_ctx):
        if dist.get_rank() == 1:
            raise ZeroDivisionError("a user's mistake")
        return {"mine": torch.zeros(len(label))}


def dice() -> ma.DiceMaskedOutput:
    pooled = {"class_names": ["a", "b"], "statistics": ["global", "support", "recall"]}
    return ma.DiceMaskedOutput(TAGS, skip_background=True, **pooled)


def shard(items, rank, world, scenario):
    """Uneven on purpose: the first rank has about two thirds of the cases."""
    if scenario == "one class nowhere on the last rank":
        poor = [c for c in items if int(c["label"].max()) < 2]
        return poor if rank == world - 1 else [c for c in items if int(c["label"].max()) == 2][rank :: world - 1]
    cut = len(items) - (world - 1)
    return items[:cut] if rank == 0 else [items[cut + rank - 1]]


@contextlib.contextmanager
def counted():
    """Counts the collectives within."""
    calls = dict.fromkeys(COLLECTIVES, 0)

    def counting(name, original):
        def call(*args, **kwargs):
            calls[name] += 1
            return original(*args, **kwargs)

        return call

    with contextlib.ExitStack() as stack:
        for name in COLLECTIVES:
            stack.enter_context(mock.patch.object(dist, name, counting(name, getattr(dist, name))))
        yield calls


def measured(scenario: str, out: str) -> dict[str, object]:
    """Run one scenario twice over its data; what this rank found, and what it called."""
    rank, world = dist.get_rank(), dist.get_world_size()
    net, engines = network(), Engines()
    items = shard(cases(9, 1), rank, world, scenario)
    if scenario == "an empty loader" and rank == world - 1:
        items = []
    slots = {"val_acc": ma.ComputeAccuracy("acc"), "val_negloss": ma.NegLoss("negloss", loss_function=cross_entropy)}
    if scenario == "undeclared":
        slots["val_share"] = Share()
    if scenario == "auc":
        slots["auc"] = ma.ComputeAUC("auc", "first", "is_two")
        slots["case"] = ma.ComputeAverageDice("case", "model", report_path=f"{out}-report")
        slots["first"] = First()
    if scenario == "an op on one rank only" and rank == 0:
        slots["val_extra"] = ma.ReduceMeanMasked("extra")
    if scenario == "an op that raises on one rank only":
        slots["val_mine"] = Raising()
    only_here = scenario == "ops on one rank only" and rank > 0
    device = torch.device("cuda" if scenario == "on a GPU" else "cpu")
    evaluator = engines.evaluator(
        net.to(device),
        device=device,
        val_data_loader=DataLoader(Dataset(items), batch_size=2),
        key_val_metric=None if only_here else {"val_dice": dice()},
        additional_metrics=slots,
    )
    with counted() as calls:
        if scenario == "inside a trainer":
            return inside_a_trainer(engines, net, evaluator, rank)
        for _ in range(2):
            evaluator.run()
    return {"metrics": evaluator.state.metrics, "calls": calls}


def main(out: str, *scenarios: str) -> None:
    torch.backends.cudnn.allow_tf32 = False  # values on a GPU are compared with those of the CPU
    dist.init_process_group("gloo")
    results = {scenario: measured(scenario, out) for scenario in scenarios}
    Path(f"{out}-{dist.get_rank()}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


class First(ma.AuxiliaryOperation):
    """Scores for an AUC: the mean image, and whether class 2 is in the label."""

    accumulated = ()

    def get_output_tensors(self, predictions, label, build_ctx):
        image = build_ctx.must_get("_model_input").float().flatten(1).mean(1, keepdim=True)
        return {"first": image, "is_two": (label.flatten(1).max(1, keepdim=True).values == 2).long()}


def inside_a_trainer(engines, net, evaluator, rank):
    """DDP, and the model-zoo's habit: a rank above 0 gets neither the last train handlers nor any val handler."""
    wrapped = torch.nn.parallel.DistributedDataParallel(net)
    handlers = [ValidationHandler(1, evaluator), StatsHandler(output_transform=lambda x: None), ma.AuxStatsHandler()]
    trainer = engines.trainer(
        wrapped,
        train_data_loader=DataLoader(Dataset(cases(8, 0)[rank::2]), batch_size=2),
        key_train_metric={"train_dice": dice()},
        additional_metrics={"train_negloss": ma.NegLoss("negloss")},
        train_handlers=handlers[: -2 if rank > 0 else None],
    )
    trainer.run()
    metrics = {"metrics": evaluator.state.metrics, "best": evaluator.state.best_metric}
    return metrics | {"train": trainer.state.metrics}


if __name__ == "__main__":
    main(*sys.argv[1:])
