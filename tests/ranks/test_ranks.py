"""Real processes over gloo: the same numbers as one process, one collective an epoch, and no rank left waiting."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from monai.data import DataLoader, Dataset
from sklearn.metrics import roc_auc_score

import monai_auxops as ma
from monai_auxops.core import ranks as collectives
from tests.engines.conftest import Engines, cases, cross_entropy, network
from tests.ranks.worker import Share, dice, every_op, looped, shard

ROOT = Path(__file__).parents[2]
UNEVEN, NOWHERE = "uneven shards", "one class nowhere on the last rank"
DIFFERENT = (
    "an op on one rank only",
    "a statistic on one rank only",
    "a report on one rank only",
    "another order of the slots",
    "an op attached after the first run on one rank",
    "evaluators in another order",
    "evaluators made in another order",
    "aggregates in another order",
    "other options on each rank",
)
TOGETHER = (
    UNEVEN,
    NOWHERE,
    *DIFFERENT,
    "undeclared",
    "auc",
    "inside a trainer",
    "a plain loop",
    "beside monais metric",
    "a rank without data",
    "a subgroup without rank 0",
    "no rank with data",
    "the value of one rank alone",
    "a late rank",
    "a rank that comes to DDP instead",
)


def launch(out: Path, *scenarios: str, world: int = 2, limit: int = 120) -> subprocess.CompletedProcess[str]:
    """Run the worker on ``world`` ranks; a hang is a failure."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={world}", "--standalone"]
    command += [str(ROOT / "tests/ranks/worker.py"), str(out), *scenarios]
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "OMP_NUM_THREADS": "1",
        "MONAI_AUXOPS_TIMEOUT": "5",
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)


def results(folder: Path, *scenarios: str, world: int = 2) -> list[dict[str, dict]]:
    done = launch(folder / "out", *scenarios, world=world)
    assert done.returncode == 0, done.stderr[-5000:]
    return [json.loads((folder / f"out-{rank}.json").read_text()) for rank in range(world)]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Every scenario after which the process group can be used further, in one run of two ranks."""
    folder = tmp_path_factory.mktemp("two")
    return folder, results(folder, *TOGETHER)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    folder = tmp_path_factory.mktemp("four")
    return folder, results(folder, UNEVEN, "a plain loop", "evaluators in another order", "a subgroup", world=4)


def all_cases(kind: str, world: int) -> list[dict[str, torch.Tensor]]:
    return [item for rank in range(world) for item in shard(cases(9, 1), rank, world, kind)]


def alone(kind: str, world: int = 2, **slots) -> dict[str, float]:
    """The same cases in one process."""
    evaluator = Engines().evaluator(
        network(),
        val_data_loader=DataLoader(Dataset(all_cases(kind, world)), batch_size=3),
        key_val_metric={"val_dice": dice()},
        additional_metrics={
            "val_acc": ma.ComputeAccuracy("acc"),
            "val_negloss": ma.NegLoss("negloss", loss_function=cross_entropy),
            **slots,
        },
    )
    evaluator.run()
    return evaluator.state.metrics


@pytest.mark.parametrize(("world", "kind"), [("two", UNEVEN), ("four", UNEVEN), ("two", NOWHERE)])
def test_many_ranks_find_what_one_process_finds(request, world, kind):
    _, ranks = request.getfixturevalue(world)
    truth = alone(kind, len(ranks))
    for rank in ranks:
        metrics = rank[kind]["metrics"]
        assert metrics.pop("val_negloss") == pytest.approx(truth["val_negloss"], abs=1e-6)  # other batches, float32
        assert metrics == pytest.approx({name: truth[name] for name in metrics}, abs=1e-12)
        assert rank[kind]["calls"] == {"all_reduce": 2}  # one per epoch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_values_on_a_gpu_are_those_of_one_process(tmp_path):
    """Both ranks share the device: gloo, because NCCL wants one for each."""
    truth = alone(UNEVEN)
    for rank in results(tmp_path, "on a GPU"):
        assert rank["on a GPU"]["metrics"] == pytest.approx(truth, abs=1e-5)  # convolutions round differently
        assert rank["on a GPU"]["calls"] == {"all_reduce": 2}


def test_undeclared_tags_cost_no_collective(two):
    truth = alone(UNEVEN, val_share=Share())
    for rank in two[1]:
        assert rank["undeclared"]["metrics"]["val_share"] == pytest.approx(truth["val_share"], abs=1e-12)
        assert rank["undeclared"]["calls"] == {"all_reduce": 2}


def test_an_auc_and_a_report_see_every_case_once(two):
    folder, ranks = two
    truth = auc_of(cases(9, 1))
    assert [rank["auc"]["metrics"]["auc"] for rank in ranks] == [pytest.approx(truth, abs=1e-12)] * 2
    raw = (folder / "out-report/case_raw_results.txt").read_text().splitlines()
    assert len(raw) == 9
    assert "(statistics of 9 valid cases)" in (folder / "out-report/case_summary_results.txt").read_text()


def auc_of(items) -> float:
    """By scikit-learn, of the scores of :class:`First`."""
    net = network()
    with torch.no_grad():
        scores = [float(net(item["image"][None].float())[:, 0].mean()) for item in items]
    return roc_auc_score([int(item["label"].max()) == 2 for item in items], scores)


def test_evaluators_in_ddp_trainers_whose_handlers_are_cut(two):
    first, second = (rank["inside a trainer"] for rank in two[1])
    assert first == second
    assert {"train_dice", "train_dice_a", "train_dice_b", "train_negloss"} <= set(first["train"])


# --- plain loops ---


@pytest.mark.parametrize("world", ["two", "four"])
def test_a_plain_loop_has_the_value_of_all_ranks(request, tmp_path, world):
    """Every op, by one all-reduce each; an AUC and a report take a gather."""
    folder, ranks = request.getfixturevalue(world)
    items = all_cases(UNEVEN, len(ranks))
    ops = looped(every_op(tmp_path / "alone"), items)
    truth = {tag: value for op in ops for tag, value in op.aggregate().items()}
    for rank in ranks:
        assert rank["a plain loop"]["values"] == pytest.approx(truth, abs=1e-12)
        assert rank["a plain loop"]["calls"] == {"all_reduce": len(ops), "all_gather_object": 2}
    assert ranks[0]["a plain loop"]["alone"] != ranks[1]["a plain loop"]["alone"]
    report = "case_summary_results.txt"
    assert (folder / "out-plain" / report).read_text() == (tmp_path / "alone-plain" / report).read_text()


def test_one_process_of_many_may_ask_for_its_own_value(two):
    local = looped([ma.ComputeDice("dice")], shard(cases(9, 1), 0, 2))[0].aggregate()
    assert [rank["the value of one rank alone"] for rank in two[1]] == [pytest.approx(local, abs=1e-12), None]


def test_the_value_is_that_of_monais_metric(two):
    assert [rank["beside monais metric"] for rank in two[1]] == [[0.5, 0.5]] * 2


def test_a_rank_without_data_has_the_value_of_the_others(two):
    ops = looped([ma.ComputeDice("dice"), Share()], cases(3, 1))
    truth = [pytest.approx(op.aggregate(), abs=1e-12) for op in ops]
    assert [rank["a rank without data"] for rank in two[1]] == [truth] * 2
    assert [rank["no rank with data"] for rank in two[1]] == [[{"dice": pytest.approx(math.nan, nan_ok=True)}, {}]] * 2


def test_a_subgroup_is_enough(four):
    truth = looped([ma.ComputeDice("dice")], cases(9, 1))[0].aggregate()["dice"]
    first, second, *others = (rank["a subgroup"] for rank in four[1])
    assert first == second == [pytest.approx(truth, abs=1e-12)] * 2
    assert ["with rank 2 in it" in others[0], "with rank 3 in it" in others[1]] == [True, True]


def test_a_subgroup_without_rank_0_is_told_that_nobody_writes_its_report(two):
    said, written = two[1][1]["a subgroup without rank 0"]
    assert ["only rank 0 writes the report" in message and "rank 1 does not" in message for message in said] == [
        True
    ] * 3
    assert written == []


# --- ranks that differ, or do not come ---


@pytest.mark.parametrize("name", DIFFERENT)
def test_ranks_that_differ_are_an_error_at_once_on_each(two, name):
    """And no more: what comes after it is right."""
    errors = [rank[name]["error"] for rank in two[1]]
    assert all(error.startswith("ValueError: the ranks have different aux-ops") for error in errors)
    assert all("rank 0:" in error and "rank 1:" in error for error in errors)


def test_four_evaluators_in_another_order_never_mix(four):
    errors = [rank["evaluators in another order"].get("error", "") for rank in four[1]]
    assert all("the ranks have different aux-ops" in error for error in errors)


def test_a_late_rank_is_named_and_waited_for(two):
    first, second = (rank["a late rank"] for rank in two[1])
    assert first["value"] == second["value"]
    assert second["said"] == []
    assert len(first["said"]) == 1
    assert "for rank 1 at: aggregate() of ComputeDice(tag='dice')" in first["said"][0]


def test_a_rank_that_waits_meets_no_collective_of_ddp(two):
    errors = [rank["a rank that comes to DDP instead"] for rank in two[1]]
    assert "rank 0 has waited 5 s for rank 1 at: aggregate()" in errors[0]
    assert errors[1] is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("an empty loader", "the data loader of rank 1 is empty"),
        ("ops on one rank only beside DDP", "rank 0 has waited 5 s for rank 1 at: SupervisedEvaluator with val_dice"),
        ("an op that raises on one rank only", "Raising() failed: ZeroDivisionError: a user's mistake"),
    ],
)
def test_no_rank_waits_forever(tmp_path, name, message):
    done = launch(tmp_path / "out", name)
    assert done.returncode != 0
    assert message in done.stderr


def test_a_finished_reduce_is_not_let_go(monkeypatch):
    """In a process that ends, gloo's thread must not be the last to hold the tensor: it would abort the process."""
    work = mock.Mock()
    monkeypatch.setattr(torch.distributed, "all_reduce", mock.Mock(return_value=work))
    collectives.Ranks((0, 1))._reduce(torch.ones(2))
    work.wait.assert_called_once_with()
    assert collectives.Ranks._latest is work


def test_values_of_something_else_are_noticed(monkeypatch):
    """As of a collective of the same length that was met by mistake."""
    monkeypatch.setattr(torch.distributed, "get_backend", lambda group: "gloo")
    monkeypatch.setattr(collectives.Ranks, "_reduce", lambda self, vector: vector.mul_(3))
    with pytest.raises(RuntimeError, match="the all-reduce mixed in values that do not belong to: an epoch"):
        collectives.Ranks((0, 1)).total([torch.ones(2).double()], "an epoch")
