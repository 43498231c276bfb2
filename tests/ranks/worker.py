"""One rank of a run: ``torch.distributed.run ... worker.py OUT SCENARIO ...``. Writes what it found as JSON.

A scenario that raises is part of what is found: ranks that disagree find out without a collective, so that the process
group can be used further. Scenarios after which it cannot are run alone.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
import time
import warnings
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
from ignite.engine import Engine
from monai.data import DataLoader, Dataset
from monai.handlers import StatsHandler, ValidationHandler
from monai.metrics import DiceMetric
from torch.utils.data import DistributedSampler

import monai_auxops as ma
from monai_auxops.core import meeting
from tests.engines.conftest import TAGS, Engines, cases, cross_entropy, network

COLLECTIVES = ("all_reduce", "all_gather_object", "all_gather", "broadcast", "reduce", "barrier")
SCENARIOS = {}


def scenario(function):
    """Offer a scenario under its function's name, with spaces."""
    SCENARIOS[function.__name__.replace("_", " ")] = function
    return function


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


class First(ma.AuxiliaryOperation):
    """Scores for an AUC: the mean prediction of class 0, and whether class 2 is in the label."""

    accumulated = ()

    def get_output_tensors(self, predictions, label, build_ctx):
        score = predictions[:, 0].float().flatten(1).mean(1, keepdim=True)
        return {"first": score, "is_two": (label.flatten(1).max(1, keepdim=True).values == 2).long()}


class Given(ma.AuxiliaryOperation):
    """The value that the prediction is."""

    accumulated = ("given",)

    def get_output_tensors(self, predictions, label, build_ctx):
        return {"given": predictions[:, 0]}


def dice() -> ma.DiceMaskedOutput:
    pooled = {"class_names": ["a", "b"], "statistics": ["global", "support", "recall"]}
    return ma.DiceMaskedOutput(TAGS, skip_background=True, **pooled)


def shard(items, rank, world, kind="uneven shards"):
    """Uneven on purpose: the first rank has about two thirds of the cases."""
    if kind == "one class nowhere on the last rank":
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


# --- engines ---


def evaluated(items, key=None, device="cpu", **slots):
    """Run an evaluator twice over its data."""
    evaluator = Engines().evaluator(
        network().to(device),
        device=torch.device(device),
        val_data_loader=DataLoader(Dataset(items), batch_size=2),
        key_val_metric={"val_dice": dice()} if key is None else key,
        additional_metrics={
            "val_acc": ma.ComputeAccuracy("acc"),
            "val_negloss": ma.NegLoss("negloss", loss_function=cross_entropy),
            **slots,
        },
    )
    with counted() as calls:
        for _ in range(2):
            evaluator.run()
    return {"metrics": evaluator.state.metrics, "calls": {name: n for name, n in calls.items() if n}}


def mine(kind="uneven shards"):
    return shard(cases(9, 1), dist.get_rank(), dist.get_world_size(), kind)


@scenario
def uneven_shards(out):
    return evaluated(mine())


@scenario
def one_class_nowhere_on_the_last_rank(out):
    return evaluated(mine("one class nowhere on the last rank"))


@scenario
def on_a_GPU(out):  # noqa: N802
    return evaluated(mine(), device="cuda")


@scenario
def undeclared(out):
    return evaluated(mine(), val_share=Share())


@scenario
def auc(out):
    case = ma.ComputeAverageDice("case", "model", report_path=f"{out}-report")
    return evaluated(mine(), auc=ma.ComputeAUC("auc", "first", "is_two"), case=case, first=First())


@scenario
def an_empty_loader(out):
    return evaluated([] if dist.get_rank() else mine())


@scenario
def an_op_on_one_rank_only(out):
    return evaluated(mine(), **({} if dist.get_rank() else {"val_extra": ma.ReduceMeanMasked("extra")}))


@scenario
def a_statistic_on_one_rank_only(out):
    statistics = [] if dist.get_rank() else ["recall"]
    return evaluated(mine(), key={"val_dice": ma.ComputeDice("dice", statistics=statistics)})


@scenario
def a_report_on_one_rank_only(out):
    report = None if dist.get_rank() else f"{out}-one"
    return evaluated(mine(), case=ma.ComputeAverageDice("case", "model", report_path=report))


@scenario
def another_order_of_the_slots(out):
    slots = [("val_mean", ma.ReduceMeanMasked("mean")), ("val_second", ma.ComputeDice("second"))]
    return evaluated(mine(), **dict(slots if dist.get_rank() else slots[::-1]))


@scenario
def an_op_that_raises_on_one_rank_only(out):
    return evaluated(mine(), val_mine=Raising())


def given(value) -> Engine:
    """A plain engine whose values are known."""
    engine = Engine(lambda engine, batch: {"pred": torch.full((1, 1), float(value)), "label": None})
    Given().attach(engine, "val_given")
    return engine


@scenario
def an_op_attached_after_the_first_run_on_one_rank(out):
    engine = given(1)
    engine.run([0])
    if dist.get_rank() == 0:
        ma.ReduceMeanMasked("late").attach(engine)
    engine.run([0])
    return engine.state.metrics


@scenario
def evaluators_in_another_order(out):
    engines = [given(1), given(100)]
    for engine in engines if dist.get_rank() else engines[::-1]:
        engine.run([0])
    return [engine.state.metrics for engine in engines]


@scenario
def evaluators_made_in_another_order(out):
    """Equal evaluators, each the first one of its rank, and only their data tells them apart."""
    sizes = [4, 6] if dist.get_rank() else [6, 4]
    engines = {size: given(size) for size in sizes}
    for size, engine in engines.items():
        engine.run(DataLoader(range(size), sampler=DistributedSampler(range(size))))
    return [engine.state.metrics for engine in engines.values()]


@scenario
def inside_a_trainer(out):
    """DDP, and the model-zoo's habit: a rank above 0 gets neither the last train handlers nor any val handler."""
    net, engines, rank = network(), Engines(), dist.get_rank()
    evaluator = engines.evaluator(
        net, val_data_loader=DataLoader(Dataset(mine()), batch_size=2), key_val_metric={"val_dice": dice()}
    )
    handlers = [ValidationHandler(1, evaluator), StatsHandler(output_transform=lambda x: None), ma.AuxStatsHandler()]
    trainer = engines.trainer(
        torch.nn.parallel.DistributedDataParallel(net),
        train_data_loader=DataLoader(Dataset(cases(8, 0)[rank::2]), batch_size=2),
        key_train_metric={"train_dice": dice()},
        additional_metrics={"train_negloss": ma.NegLoss("negloss")},
        train_handlers=handlers[: -2 if rank > 0 else None],
    )
    trainer.run()
    return {"metrics": evaluator.state.metrics, "best": evaluator.state.best_metric, "train": trainer.state.metrics}


@scenario
def ops_on_one_rank_only_beside_DDP(out):  # noqa: N802
    """The evaluator of rank 0 waits for a partner while rank 1 is in DDP's next all-reduce."""
    net, engines, first = network(), Engines(), dist.get_rank() == 0
    loader = DataLoader(Dataset(mine()), batch_size=2)
    evaluator = engines.evaluator(
        net, val_data_loader=loader, key_val_metric={"val_dice": ma.ComputeDice("dice")} if first else None
    )
    engines.trainer(
        torch.nn.parallel.DistributedDataParallel(net),
        train_data_loader=DataLoader(Dataset(cases(4, 0)), batch_size=2),
        train_handlers=[ValidationHandler(1, evaluator)],
    ).run()


@scenario
def ops_on_one_rank_only(out):
    if dist.get_rank() == 0:
        evaluated(mine())
    else:
        time.sleep(60)


# --- plain loops ---


def every_op(out):
    """One object of each kind; metrics read what the op before them wrote."""
    return [
        ma.ComputeDice("one", jaccard=True),
        dice(),
        ma.ComputeAccuracy("acc"),
        ma.ReduceMeanMasked("mean"),
        ma.NegLoss("negloss", loss_function=cross_entropy),
        Share(),
        First(),
        ma.ComputeAUC("auc", "first", "is_two"),
        ma.ComputeAverage("average", "one"),
        ma.ComputeAverageDice("case", "model", report_path=f"{out}-plain"),
    ]


def looped(ops, items):
    net = network()
    for item in items:
        x, y = net(item["image"][None].float()).detach(), item["label"][None]
        context = ma.BuildContext(x, y)
        for op in ops:
            op(x, y, build_ctx=context)
    return ops


@scenario
def a_plain_loop(out):
    """Every op, values over all ranks and of this one, and what was called."""
    ops = looped(every_op(out), mine())
    alone = {tag: value for op in ops for tag, value in op.aggregate(sync=False).items()}
    with counted() as calls:
        values = {tag: value for op in ops for tag, value in op.aggregate().items()}
    for op in ops:
        op.reset()
    return {"values": values, "alone": alone, "calls": {name: n for name, n in calls.items() if n}}


@scenario
def beside_monais_metric(out):
    rank, y = dist.get_rank(), torch.zeros(1, 1, 4, 4)
    y[..., :2] = 1
    ours, monais = ma.ComputeDice("dice"), DiceMetric()
    for metric in (ours, monais):
        metric(1 - y if rank else y, y)
    return [ours.aggregate()["dice"], monais.aggregate().item()]


@scenario
def a_rank_without_data(out):
    """Declared or not, it has the value of the others."""
    ops = looped([ma.ComputeDice("dice"), Share()], [] if dist.get_rank() else cases(3, 1))
    return [op.aggregate() for op in ops]


@scenario
def no_rank_with_data(out):
    return [op.aggregate() for op in (ma.ComputeDice("dice"), Share())]


@scenario
def aggregates_in_another_order(out):
    ops = looped([ma.ComputeDice("dice"), ma.ComputeAccuracy("acc")], mine())
    return [op.aggregate() for op in (ops if dist.get_rank() else ops[::-1])]


@scenario
def other_options_on_each_rank(out):
    return looped([ma.ComputeDice("dice", jaccard=bool(dist.get_rank()))], mine())[0].aggregate()


@scenario
def the_value_of_one_rank_alone(out):
    """As a script that prints on the first rank does."""
    op = looped([ma.ComputeDice("dice")], mine())[0]
    return op.aggregate(sync=False) if dist.get_rank() == 0 else None


@scenario
def a_late_rank(out):
    op = looped([ma.ComputeDice("dice")], mine())[0]
    time.sleep(1.5 * dist.get_rank())
    with warnings.catch_warnings(record=True) as said, mock.patch.object(meeting, "PATIENCE", 0.5):
        warnings.simplefilter("always")
        value = op.aggregate()
    return {"value": value, "said": [str(w.message) for w in said if "has waited" in str(w.message)]}


@scenario
def a_rank_that_comes_to_DDP_instead(out):  # noqa: N802
    """The store pairs with nothing: rank 0 gives up, joins the training step, and the next value is right."""
    net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    op, error = looped([ma.ComputeDice("dice")], mine())[0], None
    if dist.get_rank() == 0:
        try:
            op.aggregate()
        except RuntimeError as raised:
            error = str(raised)
    net(torch.ones(1, 2)).sum().backward()
    if dist.get_rank() == 1:
        meeting._met[0, 1] += 1  # the meeting that it never came to
    return error


@scenario
def a_subgroup(out):
    """The first two of all ranks train and validate; the others do something else."""
    group = dist.new_group([0, 1])
    if dist.get_rank() > 1:
        try:
            return ma.ComputeDice("dice").aggregate(group=group)
        except ValueError as error:
            return str(error)
    items = shard(cases(9, 1), dist.get_rank(), 2)
    loop = looped([ma.ComputeDice("dice")], items)[0].aggregate(group=group)
    slot = ma.ComputeDice("dice")
    slot.group = group
    engine = Engines().evaluator(val_data_loader=DataLoader(Dataset(items), batch_size=2), key_val_metric={"d": slot})
    engine.run()
    return [loop["dice"], engine.state.metrics["d"]]


@scenario
def a_subgroup_without_rank_0(out):
    """The second rank validates alone, in a loop and on an engine; the folder is of no use to it."""
    group = dist.new_group([1])
    if dist.get_rank() != 1:
        return None
    folder = Path(out).parent / "of_a_subgroup"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            looped([ma.ComputeDice("dice", report_path=folder)], cases(2, 1))[0].aggregate(group=group)
        slot = ma.ComputeDice("dice", report_path=folder)
        slot.group = group
        loader = DataLoader(Dataset(cases(2, 1)), batch_size=2)
        engine = Engines().evaluator(val_data_loader=loader, key_val_metric={"d": slot})
        engine.run()
        engine.run()
    return [str(each.message) for each in said], [path.name for path in folder.iterdir()]


def found(name: str, out: str) -> object:
    """What one scenario gives, or how it fails."""
    try:
        return SCENARIOS[name](out)
    except (ValueError, RuntimeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main(out: str, *names: str) -> None:
    torch.backends.cudnn.allow_tf32 = False  # values on a GPU are compared with those of the CPU
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
    alone = len(names) == 1
    results = {name: SCENARIOS[name](out) if alone else found(name, out) for name in names}
    Path(f"{out}-{dist.get_rank()}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
