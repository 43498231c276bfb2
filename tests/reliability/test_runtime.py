"""Promises on a run: values that no mishap of the run changes. Each is compared with a plain loop over single cases."""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ignite.engine import Events
from monai.engines.utils import IterationEvents

import monai_auxops as ma
from monai_auxops.core.running import RunningMean, Totals
from tests.engines.conftest import TAGS, Engines, cases, cross_entropy, network

ROOT = Path(__file__).parents[2]


def dice() -> ma.DiceMaskedOutput:
    return ma.DiceMaskedOutput(TAGS, skip_background=True)


def truth(net: torch.nn.Module, items) -> float:
    op = dice()
    with torch.no_grad():
        for item in items:
            op(net(item["image"][None].float()), item["label"][None])
    return op.aggregate()["dice"]


def test_an_engine_run_twice_and_an_evaluator_reused_between():
    net = network()
    trainer = Engines().trainer(
        net, optimizer=torch.optim.SGD(net.parameters(), 0.0), key_train_metric={"dice": dice()}
    )
    evaluator = Engines().evaluator(net, key_val_metric={"val_dice": dice()})
    for _ in range(2):
        trainer.run()
        evaluator.run()
        assert trainer.state.metrics["dice"] == pytest.approx(truth(net, cases(7, 0)), abs=1e-7)
        assert evaluator.state.metrics["val_dice"] == pytest.approx(truth(net, cases(5, 1)), abs=1e-7)
        trainer.state.max_epochs += 2


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_terminate_leaves_no_half_epoch_behind(at):
    """The epoch that was cut off has no value; the next run's are those of whole epochs."""
    net = network()
    trainer = Engines().trainer(
        net, max_epochs=3, optimizer=torch.optim.SGD(net.parameters(), 0.0), key_train_metric={"dice": dice()}
    )
    values = []
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: values.append(engine.state.metrics["dice"]))
    with trainer.add_event_handler(Events.ITERATION_COMPLETED(once=at), lambda engine: engine.terminate()):
        trainer.run()
    assert len(values) == (at - 1) // 3
    trainer.run()
    assert values == [pytest.approx(truth(net, cases(7, 0)), abs=1e-7)] * len(values)
    assert values


def test_a_compiled_network():
    net = network()
    evaluator = Engines().evaluator(torch.compile(net, backend="aot_eager"), key_val_metric={"val_dice": dice()})
    evaluator.run()
    assert evaluator.state.metrics["val_dice"] == pytest.approx(truth(net, cases(5, 1)), abs=1e-7)


def test_gradient_accumulation():
    """Every batch is measured, also those after which the optimizer makes no step."""
    net = network()
    start = {name: value.clone() for name, value in net.state_dict().items()}

    def step(engine, batch):
        output = {**batch, "pred": engine.network(batch["image"].float())}
        output["loss"] = engine.loss_function(output["pred"], batch["label"])
        engine.state.output = output
        (output["loss"] / 7).backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        if engine.state.iteration % 7 == 0:
            engine.optimizer.step()
            engine.optimizer.zero_grad()
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return output

    trainer = Engines().trainer(
        net, batch_size=1, max_epochs=1, iteration_update=step, key_train_metric={"train_dice": dice()}
    )
    trainer.run()
    before = network()
    before.load_state_dict(start)
    assert trainer.state.metrics["train_dice"] == pytest.approx(truth(before, cases(7, 0)), abs=1e-7)
    assert not torch.equal(next(net.parameters()), start["0.weight"])


def test_an_empty_batch_changes_nothing():
    net, op = network(), ma.DiceMaskedOutput(TAGS, skip_background=True)
    ops = [op, ma.ComputeAccuracy("acc"), ma.ReduceMeanMasked("mean"), ma.ComputeDice("d", "mask", jaccard=True)]
    item = cases(1, 0)[0]
    x, y = net(item["image"][None].float()), item["label"][None]
    for each in ops:
        each(x, y)
        before = each.aggregate()
        each(x[:0], y[:0])
        assert each.aggregate() == before


@pytest.mark.parametrize("exponent", [24, 31])
def test_counters_go_on_beyond_what_float32_and_int32_hold(exponent):
    """As after so many samples of value 0: a thousand of value 1 still count, exactly, also over two ranks."""
    mean = RunningMean(["value"])
    mean.load_state_dict(
        {"tags": ["value"], "updates": 1, "sums": torch.zeros(1).double(), "first_nan": torch.zeros(1).long()}
        | {"counts": torch.tensor([2**exponent])}
    )
    for _ in range(1000):
        mean.update(torch.ones(1, 1))
    assert mean.means()["value"] == 1000 / (2**exponent + 1000)
    both = (mean.packed() + mean.packed()).tolist()
    assert Totals.of([mean], both).counts == {"value": 2 * (2**exponent + 1000)}


def test_samples_beyond_2_to_the_24_are_counted_one_by_one():
    op = ma.ComputeAccuracy("acc")
    op(torch.ones(2**24, 1), torch.ones(2**24, 1, dtype=torch.bool))
    for _ in range(10):
        op(torch.zeros(1, 1), torch.ones(1, 1))
    assert op.aggregate()["acc"] == 2**24 / (2**24 + 10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.usefixtures("plain_counts")
def test_half_precision_of_more_voxels_than_it_can_count(dtype):
    """65,504 is float16's largest number: predictions and one-hot labels in it, of 64**3 voxels."""
    make = torch.Generator().manual_seed(0)
    p, t = (torch.rand(1, 2, 64, 64, 64, generator=make) < 0.6 for _ in range(2))
    expected = (2 * (p & t).sum((2, 3, 4)) / (p.sum((2, 3, 4)) + t.sum((2, 3, 4)))).mean()
    op = ma.ComputeDice("dice", is_onehot_targets=True, is_independent_predictions=True)
    op(p.to(dtype), t.to(dtype))
    assert op.aggregate()["dice"] == pytest.approx(float(expected), abs=1e-7)
    mean = ma.ReduceMeanMasked("mean")
    mean(p.to(dtype), None)
    assert mean.aggregate()["mean"] == pytest.approx(float(p.double().mean()), abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*nothing to measure")
def test_what_was_written_stays_when_a_users_op_raises(caplog):
    """The epoch before is in state.metrics and in the checkpoint's hands; the error names the op."""

    class Late(ma.AuxiliaryOperation):
        accumulated = ("late",)

        def get_output_tensors(self, predictions, label, build_ctx):
            calls.append(1)
            return {"late": torch.zeros(()) / (0 if len(calls) < 5 else None)}

    calls: list[int] = []
    net = network()
    trainer = Engines().trainer(
        net,
        optimizer=torch.optim.SGD(net.parameters(), 0.0),
        key_train_metric={"dice": dice()},
        additional_metrics={"late": Late()},
    )
    with caplog.at_level(logging.CRITICAL), pytest.raises(RuntimeError, match=r"Late\(\) failed: TypeError"):
        trainer.run()
    assert trainer.state.epoch == 2
    assert trainer.state.metrics["dice"] == pytest.approx(truth(net, cases(7, 0)), abs=1e-7)


@pytest.mark.filterwarnings("ignore:.*nothing to measure")
def test_all_logits_nan_is_no_hit_anywhere():
    x, y = torch.full((2, 3, 4), math.nan), torch.zeros(2, 1, 4)
    for op in (ma.ComputeDice("d"), ma.ComputeAccuracy("d"), ma.ComputeDice("d", is_independent_predictions=True)):
        op(x, y)
        assert op.aggregate() == {"d": 0}
    mean = ma.ReduceMeanMasked("mean")
    mean(x, y)
    assert math.isnan(mean.aggregate()["mean"])
    loss = ma.NegLoss("negloss", loss_function=lambda x, y: x.mean())
    loss(x, y)
    with pytest.warns(UserWarning, match="NaN since iteration 1"):
        value = loss.aggregate()["negloss"]
    assert math.isnan(value)


@pytest.mark.parametrize("number", ["KILL", "TERM"])
def test_cut_off_at_random_moments_and_resumed(tmp_path, number):
    """``kill -9``, or the SIGTERM of a scheduler: the epoch values are those of a run that was left alone."""
    command = [sys.executable, "-m", "tests.reliability.worker", str(tmp_path), "--cuts", "3", "--signal", number]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("runs") >= 1
    assert found == {"cuts": 3, "wrong": [], "epochs": 3}


def test_negloss_in_an_evaluator_with_a_constant_loss_is_that_loss():
    evaluator = Engines().evaluator(
        key_val_metric={"n": ma.NegLoss("n", loss_function=lambda x, y: 0 * cross_entropy(x, y) + 2)}
    )
    evaluator.run()
    assert evaluator.state.metrics["n"] == -2
