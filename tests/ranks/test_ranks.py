"""Real processes over gloo: the same numbers as one process, one collective an epoch, and no rank left waiting."""

from __future__ import annotations

import json
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
from tests.ranks.worker import Share, dice, shard

ROOT = Path(__file__).parents[2]
UNEVEN, NOWHERE = "uneven shards", "one class nowhere on the last rank"


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
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"out-{rank}.json").read_text()) for rank in range(world)]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Every scenario that goes well, in one run of two ranks."""
    folder = tmp_path_factory.mktemp("two")
    return folder, results(folder, UNEVEN, NOWHERE, "undeclared", "auc", "inside a trainer")


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    folder = tmp_path_factory.mktemp("four")
    return folder, results(folder, UNEVEN, world=4)


def alone(scenario: str, world: int = 2, **slots) -> dict[str, float]:
    """The same cases in one process."""
    items = [item for rank in range(world) for item in shard(cases(9, 1), rank, world, scenario)]
    evaluator = Engines().evaluator(
        network(),
        val_data_loader=DataLoader(Dataset(items), batch_size=3),
        key_val_metric={"val_dice": dice()},
        additional_metrics={
            "val_acc": ma.ComputeAccuracy("acc"),
            "val_negloss": ma.NegLoss("negloss", loss_function=cross_entropy),
            **slots,
        },
    )
    evaluator.run()
    return evaluator.state.metrics


@pytest.mark.parametrize(("world", "scenario"), [("two", UNEVEN), ("four", UNEVEN), ("two", NOWHERE)])
def test_many_ranks_find_what_one_process_finds(request, world, scenario):
    _, ranks = request.getfixturevalue(world)
    truth = alone(scenario, len(ranks))
    for rank in ranks:
        metrics, calls = rank[scenario]["metrics"], rank[scenario]["calls"]
        assert metrics.pop("val_negloss") == pytest.approx(truth["val_negloss"], abs=1e-6)  # other batches, float32
        assert metrics == pytest.approx({name: truth[name] for name in metrics}, abs=1e-12)
        assert {name: n for name, n in calls.items() if n} == {"all_reduce": 1 + 2}  # a handshake, one per epoch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_values_on_a_gpu_are_those_of_one_process(tmp_path):
    """Both ranks share the device: gloo, for NCCL wants one for each."""
    truth = alone("on a GPU")
    for rank in results(tmp_path, "on a GPU"):
        assert rank["on a GPU"]["metrics"] == pytest.approx(truth, abs=1e-5)  # convolutions round differently
        assert {name: n for name, n in rank["on a GPU"]["calls"].items() if n} == {"all_reduce": 1 + 2}


def test_undeclared_tags_cost_one_gather_once(two):
    truth = alone("undeclared", val_share=Share())
    for rank in two[1]:
        assert rank["undeclared"]["metrics"]["val_share"] == pytest.approx(truth["val_share"], abs=1e-12)
        assert rank["undeclared"]["calls"]["all_gather_object"] == 1


def test_an_auc_and_a_report_see_every_case_once(two):
    folder, ranks = two
    items = cases(9, 1)
    scores = [float(item["image"].mean()) for item in items]
    truth = roc_auc_score([int(item["label"].max()) == 2 for item in items], scores)
    assert [rank["auc"]["metrics"]["auc"] for rank in ranks] == [pytest.approx(truth, abs=1e-12)] * 2
    raw = (folder / "out-report/case_raw_results.txt").read_text().splitlines()
    assert len(raw) == 9
    assert "(statistics of 9 valid cases)" in (folder / "out-report/case_summary_results.txt").read_text()


def test_evaluators_in_ddp_trainers_whose_handlers_are_cut(two):
    first, second = (rank["inside a trainer"] for rank in two[1])
    assert first == second
    assert {"train_dice", "train_dice_a", "train_dice_b", "train_negloss"} <= set(first["train"])


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("an empty loader", "the data loader of rank 1 is empty"),
        ("an op on one rank only", "the ranks have different aux-ops"),
        ("ops on one rank only", "waited 5 s for ranks that never came"),
        ("an op that raises on one rank only", "Raising() failed: ZeroDivisionError: a user's mistake"),
    ],
)
def test_no_rank_waits_for_ever(tmp_path, scenario, message):
    done = launch(tmp_path / "out", scenario)
    assert done.returncode != 0
    assert message in done.stderr


def test_a_finished_reduce_is_not_let_go(monkeypatch):
    """In a process that ends, gloo's thread must not be the last to hold the tensor: it would abort the process."""
    work = mock.Mock()
    monkeypatch.setattr(torch.distributed, "all_reduce", mock.Mock(return_value=work))
    collectives.reduce(torch.ones(2), torch.distributed.ReduceOp.SUM)
    work.wait.assert_called_once_with()
    assert collectives._latest is work
