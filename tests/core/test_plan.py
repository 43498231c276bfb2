"""The fast path of an iteration gives what the full run gives, and costs what it promises."""

from __future__ import annotations

import copy
import cProfile
import math
import pickle
import pstats

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Engine

import monai_auxops as ma
from benchmarks.host import Operations, eight, engine_calls
from monai_auxops.core import group
from monai_auxops.core import plan as plans
from monai_auxops.core.plan import measure_together

C = 4
NAMES = ["a", "b", "c", "d"]
OPS = {
    "dice": lambda: ma.ComputeDice("dice"),
    "iou": lambda: ma.ComputeDice("iou", jaccard=True, skip_background=True),
    "classes": lambda: ma.DiceMaskedOutput(["mean", *NAMES]),
    "named": lambda: ma.DiceMaskedOutput("n", class_names=NAMES, statistics=["recall", "precision", "specificity"]),
    "empty": lambda: ma.ComputeDice("empty", empty_value=1.0),
    "accuracy": lambda: ma.ComputeAccuracy("accuracy"),
    "ignored": lambda: ma.ComputeDice("ignored", ignore_index=[1, 255]),
    "masked": lambda: ma.ComputeDice("masked", mask_key="brain"),
    "thresholded": lambda: ma.ComputeDice("thresholded", is_independent_predictions=True, final_activation="sigmoid"),
    "pooled": lambda: ma.DiceMaskedOutput("p", class_names=NAMES, statistics=["global", "support"]),
    "balanced": lambda: ma.ComputeDice("balanced", statistics=["balanced_accuracy"]),
    "with mask": lambda: ma.ComputeDice("masks", mask_tag="mask"),
    "mean": lambda: ma.ReduceMeanMasked("reduced"),
}


def batch(seed: int, size: int = 2, device: str = "cpu"):
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(-1, C + 1, (size, 1, 4, 3), generator=generator)
    brain = torch.randint(0, 2, (size, 1, 4, 3), generator=generator)
    scores = torch.randn(size, C, 4, 3, generator=generator)
    return scores.to(device), label.to(device), {"brain": brain.to(device)}


def run(ops, sizes, planned: bool):
    plan, outputs = None, []
    for seed, size in enumerate(sizes):
        scores, label, more = batch(seed, size)
        context = ma.BuildContext(scores, label, batch=more)
        if planned:
            every, plan = measure_together(ops, context, plan)
        else:
            every = [op.measure(context) for op in ops]
        outputs.append({tag: value for mine in every for tag, value in mine.items()})
    return outputs, plan


def notes(ops) -> dict[str, float]:
    """What is noted of contradictions by all ops together: which of them says it does not matter."""
    found: dict[str, float] = {}
    for op in ops:
        for state in op.states[1:]:
            for tag, value in zip(state.tags, state.sums.tolist(), strict=True):
                found[tag] = found.get(tag, 0) + value
    return found


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([*OPS]), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(1, 3), min_size=1, max_size=6),
)
def test_both_ways_find_the_same(names, sizes):
    short, ordinary = [OPS[name]() for name in names], [OPS[name]() for name in names]
    came, _ = run(short, sizes, planned=True)
    wanted, _ = run(ordinary, sizes, planned=False)
    for mine, theirs in zip(came, wanted, strict=True):
        assert mine.keys() == theirs.keys()
        for tag in mine:
            torch.testing.assert_close(mine[tag], theirs[tag], equal_nan=True, rtol=1e-6, atol=0)
    for one, other in zip(short, ordinary, strict=True):
        assert one.running.updates == other.running.updates == len(sizes)
        torch.testing.assert_close(one.running.sums, other.running.sums, rtol=1e-6, atol=0)
        assert one.running.counts.tolist() == other.running.counts.tolist()
    assert notes(short) == notes(ordinary)


@pytest.mark.parametrize("unknown", [0, 3])
def test_both_ways_note_the_same_of_channels_last(unknown):
    label = torch.randint(0, 3, (2, 5, 9, 1))
    label[0, 0, :unknown] = 7
    found = []
    for planned in (True, False):
        op, plan = ma.ComputeDice("dice", data_format="channels_last"), None
        for _ in range(3):
            context = ma.BuildContext(torch.rand(2, 5, 9, 3), label)
            plan = measure_together([op], context, plan)[1] if planned else op.measure(context) and None
        found.append(notes([op]))
    assert found[0] == found[1]
    assert found[0]["note/no_class"] == 3 * unknown


def test_every_op_alone_takes_the_way_it_should():
    short = {"dice", "iou", "classes", "named", "empty", "accuracy", "ignored", "masked", "thresholded"}
    for name, make in OPS.items():
        _, plan = run([make()], [2, 2], planned=True)
        assert bool(plan.groups) is (name in short), name


def test_ops_that_ask_the_same_share_a_count():
    _, plan = run([OPS[name]() for name in ("dice", "iou", "classes", "accuracy", "ignored")], [2], planned=True)
    assert [len(group.members) for group in plan.groups] == [4, 1]


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
def test_an_op_may_change_what_it_reads():
    class Spoils(ma.AuxiliaryOperation):
        def get_output_tensors(self, predictions, label, build_ctx):
            build_ctx.must_get("dice").zero_()
            return {}

    clean, spoiled = OPS["dice"](), OPS["dice"]()
    run([clean], [2, 2, 2], planned=True)
    run([spoiled, Spoils()], [2, 2, 2], planned=True)
    assert spoiled.aggregate() == clean.aggregate()


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
def test_many_batches_and_other_sizes_wait_together(monkeypatch):
    monkeypatch.setattr(group, "MAX_WAITING_BATCHES", 3)
    short, ordinary = OPS["named"](), OPS["named"]()
    sizes = [2] * 8 + [1, 3, 3]
    run([short], sizes, planned=True)
    run([ordinary], sizes, planned=False)
    assert short.aggregate() == pytest.approx(ordinary.aggregate(), rel=1e-6, nan_ok=True)


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
def test_what_waits_is_forgotten_by_a_reset_and_kept_by_a_state():
    op = OPS["dice"]()
    _, plan = run([op], [2, 2, 2], planned=True)
    assert plan.groups[0].waiting
    saved, value = copy.deepcopy(op.state_dict()), op.aggregate()
    again = OPS["dice"]()
    again.load_state_dict(saved)
    assert again.aggregate() == value
    run_on = batch(7)
    measure_together([op], ma.BuildContext(*run_on[:2]), plan)
    op.reset()
    assert math.isnan(op.aggregate()["dice"])
    assert pickle.loads(pickle.dumps(again.running)).means() == value


def test_what_is_wrong_names_the_op_in_any_batch():
    ops = [OPS["dice"](), OPS["accuracy"]()]
    _, plan = run(ops, [2, 2], planned=True)
    scores, label, _ = batch(0)
    with pytest.raises(ValueError, match=r"ComputeDice\(tag='dice'\): .*expected a label"):
        measure_together(ops, ma.BuildContext(scores, label[..., :2]), plan)
    assert [op.running.counts.tolist() for op in ops] == [[4], [4]]


@pytest.mark.parametrize("change", ["channels", "dtype", "ops", "no label"])
def test_another_kind_of_batch_makes_another_plan(change):
    ops = [OPS["dice"](), OPS["accuracy"]()]
    _, plan = run(ops, [2, 2], planned=True)
    scores, label, _ = batch(0)
    if change == "channels":
        scores = scores[:, :3]
    elif change == "dtype":
        scores = scores.double()
    elif change == "ops":
        ops = ops[:1]
    else:
        ops, label = [OPS["mean"]()], None
    _, other = measure_together(ops, ma.BuildContext(scores, label), plan)
    assert other is not plan


def test_labels_that_are_no_class_are_reported_once_with_their_number():
    def step(engine, number):
        scores, label, more = batch(number)
        return {"pred": scores, "label": label, **more}

    engine, label_of = Engine(step), [batch(seed)[1] for seed in range(4)]
    for name in ("dice", "iou", "accuracy"):
        OPS[name]().attach(engine)
    with pytest.warns(UserWarning, match="labels are not class indices") as caught:
        engine.run(range(4), max_epochs=1)
    said = [str(warning.message) for warning in caught if "not class indices" in str(warning.message)]
    wrong = sum(int(((label < 0) | (label >= C)).sum()) for label in label_of)
    assert len(said) == 1
    assert f" {wrong} labels are not class indices from 0 to {C - 1} " in said[0]


# --- what it costs ------------------------------------------------------------------------

FIVE = ("dice", "iou", "classes", "accuracy", "empty")


def step_of(names, device: str):
    scores, label, _ = batch(0, device="cpu")
    scores, label, ops, plan = scores.to(device), label.to(device), [OPS[name]() for name in names], None

    def step():
        nonlocal plan
        _, plan = measure_together(ops, ma.BuildContext(scores, label), plan)

    step()
    step()
    return step


def operations(names) -> int:
    step = step_of(names, "meta")
    with Operations() as counted:
        step()
    return len(counted.kernels)


def count_alone() -> int:
    scores, label, _ = batch(0, device="meta")
    with Operations() as counted:
        ma.functional.counts(scores, label)
    return len(counted.kernels)


def test_five_ops_cost_six_operations_beside_the_count():
    assert operations(FIVE) - count_alone() == 6
    assert operations(FIVE[:1]) == operations(FIVE)


def test_an_engine_with_five_ops_makes_at_most_300_more_calls():
    assert engine_calls(eight()[:5]) <= 300


def test_five_ops_cost_at_most_220_calls():
    step = step_of(FIVE, "cpu")
    profile = cProfile.Profile()
    profile.enable()
    step()
    profile.disable()
    assert pstats.Stats(profile).total_calls <= 220


class Doubled(ma.ComputeDice):
    def get_output_tensors(self, predictions, label, build_ctx):
        outputs = super().get_output_tensors(predictions, label, build_ctx)
        return {tag: 2 * value for tag, value in outputs.items()}


class WithoutHits(ma.ComputeDice):
    def counts(self, build_ctx):
        return super().counts(build_ctx)._replace(tp=torch.zeros(2, 4, dtype=torch.int64))


def mended(op):
    op.get_output_tensors = lambda predictions, label, build_ctx: {"dice": torch.ones(len(predictions))}
    return op


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
@pytest.mark.parametrize(
    "make",
    [
        lambda: Doubled("dice"),
        lambda: WithoutHits("dice", statistics=["recall"]),
        lambda: mended(ma.ComputeDice("dice")),
        lambda: mended(ma.DiceMaskedOutput("dice")),
    ],
)
def test_what_a_subclass_overrides_is_not_passed_over(make):
    planned, alone, plan = make(), make(), None
    for seed in range(4):
        scores, label, _ = batch(seed)
        every, plan = measure_together([planned], ma.BuildContext(scores, label), plan)
        for tag, value in alone(scores, label).items():
            torch.testing.assert_close(every[0][tag], value, equal_nan=True)
    assert planned.aggregate() == alone.aggregate()


def test_ops_of_many_classes_run_in_full():
    for classes, groups in ((plans.MAX_CLASSES, 1), (plans.MAX_CLASSES + 1, 0)):
        scores = torch.randn(1, classes, 4, 4)
        context = ma.BuildContext(scores, scores.argmax(1, keepdim=True))
        _, plan = measure_together([ma.ComputeDice("dice")], context, None)
        assert len(plan.groups) == groups
