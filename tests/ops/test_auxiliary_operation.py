"""The contract of every aux-op, on ops a user would write."""

import contextlib
import io
import math
import warnings

import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.metrics import Metric
from reference import indices_of, multihot_of

from monai_auxops import (
    AuxiliaryOperation,
    BuildContext,
    ComputeAccuracy,
    ComputeBinaryPreds,
    ComputeDice,
    ComputeMulticlassAccuracy,
    DiceMaskedOutput,
    NegLoss,
    ReduceMeanMasked,
)


class Volume(AuxiliaryOperation):
    """A user's aux-op: predicted foreground per sample; leaves the mask for others."""

    def get_output_tensors(self, predictions, label, build_ctx):
        mask = predictions > 0.5
        build_ctx.set("foreground_mask", mask)
        return {"volume": mask.flatten(1).sum(1)}


class LabelInMask(AuxiliaryOperation):
    """Another one that reads what the first left."""

    def get_output_tensors(self, predictions, label, build_ctx):
        mask = build_ctx.must_get("foreground_mask")
        return {"inside": (label.bool() & mask).flatten(1).sum(1) / mask.flatten(1).sum(1)}


class Returns(AuxiliaryOperation):
    """Returns what it was made with, batch by batch."""

    def __init__(self, *batches):
        super().__init__()
        self.batches = list(batches)

    def get_output_tensors(self, predictions, label, build_ctx):
        return self.batches.pop(0)


def feed(op, *sizes):
    return [op(torch.zeros(size, 1), None) for size in sizes]


# --- a user's own -----------------------------------------------------------------------------------------------------


def test_ten_lines_make_an_aux_op_and_another_reads_what_it_left():
    predictions = torch.tensor([[[0.9, 0.8, 0.1, 0.2]], [[0.9, 0.9, 0.9, 0.9]]])
    label = torch.tensor([[[1, 0, 1, 0]], [[1, 1, 1, 0]]])
    ctx, volume, inside = BuildContext(predictions, label), Volume(), LabelInMask()
    volume(predictions, label, build_ctx=ctx)
    inside(predictions, label, build_ctx=ctx)
    assert volume.aggregate() == {"volume": 3.0}
    assert inside.aggregate() == {"inside": (1 / 2 + 3 / 4) / 2}
    assert ctx.get("volume").tolist() == [2, 4]


def test_reading_what_nobody_left_names_reader_and_key():
    with pytest.raises(RuntimeError, match=r"LabelInMask\(\) failed: KeyError.*'foreground_mask'"):
        LabelInMask()(torch.rand(1, 1, 4), torch.ones(1, 1, 4))


def test_is_a_monai_metric():
    assert isinstance(Volume(), Metric)


def test_without_its_method_it_cannot_be_made():
    with pytest.raises(TypeError, match="get_output_tensors"):
        AuxiliaryOperation()


def test_overriding_build_is_refused():
    with pytest.raises(TypeError, match=r"Mine overrides build\(\).*get_output_tensors"):
        type("Mine", (Volume,), {"build": lambda self, build_ctx: {}})
    mixin = type("Mixin", (), {"build": lambda self, build_ctx: {}})
    with pytest.raises(TypeError, match=r"Mixed overrides build\(\)"):
        type("Mixed", (mixin, Volume), {})


def test_an_op_without_super_init_works():
    class Plain(AuxiliaryOperation):
        def __init__(self):
            pass

        def get_output_tensors(self, predictions, label, build_ctx):
            return {"plain": predictions.mean()}

    op = Plain()
    op(torch.ones(2, 1))
    assert (op.aggregate(), op.do_print, op.do_summary) == ({"plain": 1.0}, True, True)


# --- which outputs accumulate -----------------------------------------------------------------------------------------

SHAPES = {(): True, (1,): True, (3,): True, (2,): False, (3, 1): False, (1, 3): False, (3, 4): False, (0,): False}


@pytest.mark.parametrize(("shape", "accumulates"), SHAPES.items(), ids=str)
def test_scalars_and_values_per_sample_accumulate(shape, accumulates):
    op = Returns({"tag": torch.ones(shape)})
    expected = contextlib.nullcontext() if accumulates else pytest.warns(UserWarning, match="no output has an epoch")
    with expected:
        feed(op, 3)
    assert op.aggregate() == ({"tag": 1.0} if accumulates else {})


def test_before_the_first_batch_nothing_is_known():
    assert Volume().aggregate() == {}


def test_a_scalar_weighs_as_its_batch():
    op = Returns({"tag": torch.tensor(1.0)}, {"tag": torch.tensor([5.0])})
    feed(op, 3, 1)
    assert op.aggregate() == {"tag": 2.0}


@pytest.mark.parametrize("second", [{"tag": torch.ones(3, 2)}, {"tag": torch.ones(2)}, {}, {"other": torch.ones(3)}])
def test_what_was_decided_at_the_first_batch_is_checked_after(second):
    op = Returns({"tag": torch.ones(3)}, second)
    with pytest.raises(ValueError, match=r"Returns\(.*expected 'tag' to be of shape \(\), \[1\] or \[3\].*got"):
        feed(op, 3, 3)


def test_what_did_not_accumulate_at_first_never_does():
    op = Returns({"tag": torch.ones(3), "classes": torch.ones(4)}, {"tag": torch.ones(4), "classes": torch.ones(4)})
    feed(op, 3, 4)
    assert list(op.aggregate()) == ["tag"]


def test_integers_keep_their_value_beside_half_precision():
    op = Returns({"voxels": torch.tensor([2**24 + 1]), "share": torch.tensor([0.5], dtype=torch.float16)})
    feed(op, 1)
    assert op.aggregate() == {"voxels": 2.0**24 + 1, "share": 0.5}


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float64])
def test_output_dtypes(dtype):
    op = Returns({"tag": torch.tensor([1, 0]).to(dtype)})
    feed(op, 2)
    assert op.aggregate() == {"tag": 0.5}


def test_nan_is_skipped_per_tag():
    op = Returns({"a": torch.tensor([1.0, math.nan]), "b": torch.tensor([math.nan, math.nan])})
    feed(op, 2)
    assert op.aggregate() == pytest.approx({"a": 1.0, "b": math.nan}, nan_ok=True)


def test_inf_stays():
    op = Returns({"a": torch.tensor([1.0, math.inf])})
    feed(op, 2)
    assert op.aggregate() == {"a": math.inf}


# --- the plain loop ---------------------------------------------------------------------------------------------------


def test_accumulate_aggregate_reset():
    op = ComputeDice("dice")
    assert math.isnan(op.aggregate()["dice"])
    good, bad = torch.tensor([[[0.9]]]), torch.tensor([[[0.1]]])
    op(good, torch.ones(1, 1, 1))
    op(bad, torch.ones(1, 1, 1))
    assert op.aggregate() == op.aggregate() == {"dice": 0.5}
    op(good, torch.ones(1, 1, 1))  # aggregating does not end the epoch
    assert op.aggregate()["dice"] == pytest.approx(2 / 3)
    op.reset()
    assert math.isnan(op.aggregate()["dice"])
    op(good, torch.ones(1, 1, 1))
    assert op.aggregate() == {"dice": 1.0}


@pytest.mark.parametrize("outside", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_no_gradient_survives_and_the_mode_does_not_matter(outside):
    op, predictions = ReduceMeanMasked("mean"), torch.ones(2, 1, 3, requires_grad=True)
    with torch.inference_mode():
        op(predictions.detach(), None)
    with outside():
        out = op(predictions * 3, None)
    assert not out["mean"].requires_grad
    assert op.aggregate() == {"mean": 2.0}


def test_autocast_does_not_change_a_value():
    predictions, label = torch.randn(2, 3, 16), torch.randn(2, 3, 16)
    op = NegLoss("negloss", loss_function=lambda x, y: (x.flatten(1) @ y.flatten(1).T).mean())
    expected = op(predictions, label)["negloss"]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(op(predictions, label)["negloss"], expected)


def test_inputs_are_not_changed():
    predictions, label = torch.rand(2, 3, 4), torch.randint(-1, 4, (2, 1, 4))
    before = predictions.clone(), label.clone()
    for op in (DiceMaskedOutput("d"), ComputeAccuracy("a"), ReduceMeanMasked("m", final_activation="softmax")):
        op(predictions, label)
    assert torch.equal(predictions, before[0])
    assert torch.equal(label, before[1])


def test_a_context_of_other_tensors_is_refused_by_name():
    ctx = BuildContext(torch.rand(2, 1, 4), torch.ones(2, 1, 4))
    for predictions, label in (
        (torch.rand(2, 1, 4), ctx.label),
        (ctx.predictions, None),
        (ctx.predictions[:1], ctx.label),
    ):
        with pytest.raises(ValueError, match=r"ComputeDice\(tag='dice'\): build_ctx was made from another"):
            ComputeDice("dice")(predictions, label, build_ctx=ctx)


# --- where predictions are --------------------------------------------------------------------------------------------


def dice_of(predictions, label, **options):
    op = ComputeDice("dice", **options)
    op(predictions, label)
    return op.aggregate()["dice"]


SCORES, INDICES = torch.randn(2, 3, 8, 9), torch.randint(0, 3, (2, 1, 8, 9))


@pytest.mark.parametrize("with_channel", [True, False])
@pytest.mark.parametrize("label_list", [True, False])
def test_a_list_of_samples_is_a_batch(label_list, with_channel):
    label = INDICES if with_channel else INDICES[:, 0]
    assert dice_of([*SCORES], [*label] if label_list else label) == dice_of(SCORES, INDICES)
    assert dice_of(tuple(SCORES), label) == dice_of(SCORES, INDICES)


def test_samples_of_different_sizes_are_batches_of_one():
    sizes, op = [(5, 6), (7, 4), (8, 8)], DiceMaskedOutput(["dice", "a", "b", "c"])
    pairs = [(torch.randn(3, *size), torch.randint(0, 3, (1, *size))) for size in sizes]
    outputs = op([x for x, _ in pairs], [y for _, y in pairs])
    expected = [op(x[None], y[None])["dice"] for x, y in pairs]
    assert torch.equal(outputs["dice"], torch.cat(expected))


def test_a_list_of_batches_is_deep_supervision_and_the_first_counts():
    outputs = [SCORES, SCORES[:, :, ::2, ::3], SCORES[:, :, ::4, ::3]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dice_of(outputs, INDICES) == dice_of(SCORES, INDICES)
        assert dice_of(outputs[:2], INDICES[:, 0]) == dice_of(SCORES, INDICES)  # as many outputs as samples
        assert dice_of(outputs[:2], [*INDICES]) == dice_of(SCORES, INDICES)


@pytest.mark.parametrize("size", [(9, 7), (4, 5, 6)])
def test_a_stack_of_outputs_is_told_to_be_one(size):
    stack, label = torch.randn(2, 2, 3, *size), torch.zeros(2, 1, *size)
    with pytest.raises(ValueError, match=r"of stacked outputs .* measure one, as in predictions\[:, 0\]"):
        dice_of(stack, label)


def test_of_outputs_of_one_size_the_first_is_measured_and_reported_once():
    op = ComputeDice("dice")
    with pytest.warns(
        UserWarning, match=r"ComputeDice.*3 outputs of the same size, and the first.*transform=-1"
    ) as said:
        _ = [op([SCORES, -SCORES, -SCORES], INDICES) for _ in range(2)]
    assert len(said) == 1
    assert op.aggregate()["dice"] == dice_of(SCORES, INDICES)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("outputs", "which"),
    [([-SCORES, -SCORES, SCORES], -1), ([SCORES, -SCORES], 0), ({"out": SCORES, "aux": -SCORES}, "out")],
    ids=["last", "first", "key"],
)
def test_output_transform_says_which(outputs, which):
    assert dice_of(outputs, INDICES, output_transform=which) == dice_of(SCORES, INDICES)


def test_output_transform_may_be_a_function_of_both():
    swapped = dice_of(INDICES, SCORES, output_transform=lambda output: (output[1], output[0]))
    assert swapped == dice_of(SCORES, INDICES)


@pytest.mark.parametrize("which", [-1, "out"])
def test_a_network_with_one_output_needs_no_choice(which):
    """As many have while they do not train."""
    assert dice_of(SCORES, INDICES, output_transform=which) == dice_of(SCORES, INDICES)


UNREADABLE = {
    "dict": ({"out": SCORES, "aux": SCORES}, INDICES, {}, r"a dict of \['out', 'aux'\].*output_transform='out'"),
    "key": ({"out": SCORES}, INDICES, {"output_transform": "pred"}, r"output_transform='pred' to be .* got \['out'\]"),
    "index": ([SCORES], INDICES, {"output_transform": 3}, r"output_transform=3"),
    "scalar": (torch.tensor(0.3), torch.tensor([1.0]), {}, r"batch axis.*scalar.*squeeze\(1\).*output_transform="),
    "nothing": (None, INDICES, {}, r"predictions to be a tensor, got NoneType; pass output_transform="),
    "no samples": ([], INDICES, {}, r"predictions to be a tensor, got list"),
    "more labels": ([*SCORES], [*INDICES, INDICES[0]], {}, r"as many predictions as labels.*list of 2.*list of 3"),
    "label of numbers": (SCORES, [0, 1], {}, r"all of them tensors.*list of 2 \(int\)"),
    "label": (SCORES, "label", {}, r"label to be a tensor, got str"),
}


@pytest.mark.parametrize("op", [ComputeDice, ComputeAccuracy, ReduceMeanMasked, DiceMaskedOutput])
@pytest.mark.parametrize(("predictions", "label", "options", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_names_the_op_and_the_argument(op, predictions, label, options, message):
    with pytest.raises(ValueError, match=rf"(?s)^{op.__name__}\(.*{message}"):
        op("tag", **options)(predictions, label)


@pytest.mark.parametrize("value", ["false", "true", None, 2])
@pytest.mark.parametrize("option", ["skip_background", "jaccard", "do_print"])
def test_a_switch_is_true_or_false(option, value):
    with pytest.raises(ValueError, match=rf"ComputeDice\(.*expected {option} to be True or False, got {value!r}"):
        ComputeDice("dice", **{option: value})


# --- sharing one context ----------------------------------------------------------------------------------------------


def ops(onehot=False):
    if onehot:
        return [
            ComputeDice("dice", "mask", is_onehot_targets=True),
            DiceMaskedOutput(["mean", "a", "b", "c"], is_onehot_targets=True, jaccard=True),
            ComputeDice("independent", is_onehot_targets=True, is_independent_predictions=True),
            ComputeAccuracy("elements"),
            ComputeAccuracy("exclusive", exclusive=True),
            ReduceMeanMasked("reduced"),
        ]
    return [
        ComputeDice("dice", "mask"),
        DiceMaskedOutput(["mean", "a", "b", "c"]),
        DiceMaskedOutput(["foreground", "fa", "fb"], skip_background=True, jaccard=True),
        ComputeDice("independent", is_independent_predictions=True),
        ComputeDice("independent_03", is_independent_predictions=True, threshold=0.3),
        ComputeDice("sigmoid", is_independent_predictions=True, final_activation="sigmoid"),
        ComputeDice("softmax", is_independent_predictions=True, final_activation="softmax"),
        ComputeAccuracy("accuracy"),
        ReduceMeanMasked("reduced"),
        NegLoss("negloss", loss_function=lambda x, y: (x - y).mean()),
    ]


@pytest.mark.filterwarnings(  # random labels contradict every option somewhere
    "ignore:(?s).*look one-hot", "ignore:.*labels are not class indices", "ignore:.*all predictions lie within 0 to 1"
)
@pytest.mark.filterwarnings("ignore:.*one-hot labels overlap")
@pytest.mark.parametrize("onehot", [False, True], ids=["index", "onehot"])
def test_sharing_one_context_equals_separate_computation(onehot):
    shared, alone = ops(onehot), ops(onehot)
    for _ in range(2):
        predictions = torch.rand(3, 3, 5)
        label = multihot_of(3, 3, (5,)) if onehot else indices_of(3, 3, (5,))
        ctx = BuildContext(predictions, label)
        for one, other in zip(shared, alone, strict=True):
            one(predictions, label, build_ctx=ctx)
            other(predictions, label)
    for one, other in zip(shared, alone, strict=True):
        assert one.aggregate() == pytest.approx(other.aggregate(), abs=0, nan_ok=True)


def test_voxels_are_counted_once_for_all_that_count_alike(monkeypatch):
    from monai_auxops.counting import reading

    calls, count = [], reading.count
    monkeypatch.setattr(reading, "count", lambda *a, **k: calls.append(k) or count(*a, **k))
    predictions, label = torch.rand(2, 3, 4), torch.randint(0, 3, (2, 1, 4))
    ctx = BuildContext(predictions, label)
    for op in (ops()[0], ops()[1], ops()[2], ComputeAccuracy("accuracy")):
        op(predictions, label, build_ctx=ctx)
    assert len(calls) == 1


# --- state ------------------------------------------------------------------------------------------------------------


def saved(op):
    file = io.BytesIO()
    torch.save(op.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


MAKERS = {
    "dice": lambda: DiceMaskedOutput(["mean", "a", "b", "c"]),
    "negloss": lambda: NegLoss("negloss", loss_function=lambda x, y: x.mean()),
    "undeclared": Volume,
    "nothing_accumulated": lambda: ReduceMeanMasked("m", axis=0),
}


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_a_state_saved_in_mid_epoch_continues(make, stop):
    batches = [(torch.rand(size, 3, 5), torch.randint(-1, 3, (size, 1, 5))) for size in (2, 1, 4, 3)]
    whole, first, second = make(), make(), make()
    for batch in batches:
        whole(*batch)
    for batch in batches[:stop]:
        first(*batch)
    second.load_state_dict(saved(first))
    second.epoch_started()  # fired again after a resume: the epoch goes on
    for batch in batches[stop:]:
        second(*batch)
    assert second.aggregate() == pytest.approx(whole.aggregate(), abs=0, nan_ok=True)
    second.epoch_started()  # the next epoch begins anew
    assert all(math.isnan(value) for value in second.aggregate().values())


def test_a_state_saved_after_the_epoch_does_not_leak_into_the_next():
    first, second = ComputeDice("dice"), ComputeDice("dice")
    first(torch.tensor([[[0.9]]]), torch.ones(1, 1, 1))
    first.epoch_completed()
    second.load_state_dict(saved(first))
    second.epoch_started()
    assert math.isnan(second.aggregate()["dice"])


def test_a_state_is_constant_in_size():
    op = DiceMaskedOutput(["mean", "a", "b", "c"])
    sizes = []
    for _ in range(3):
        op(torch.rand(4, 3, 32, 32), torch.randint(0, 3, (4, 1, 32, 32)))
        sizes.append(sum(x.numel() for x in op.state_dict()["states"][0].values() if isinstance(x, torch.Tensor)))
    assert sizes == [12, 12, 12]


def test_a_state_of_other_tags_is_refused():
    other = ComputeDice("other")
    other(torch.rand(1, 2, 3), torch.zeros(1, 1, 3))
    with pytest.raises(ValueError, match=r"\['other'\], expected \['dice'\]"):
        ComputeDice("dice").load_state_dict(other.state_dict())


OTHERWISE = {
    "jaccard": (lambda **o: ComputeDice("d", **o), {"jaccard": True}, "jaccard=True"),
    "threshold": (lambda **o: DiceMaskedOutput("d", **o), {"threshold": 0.3}, r"threshold=0\.3"),
    "sigmoid": (lambda **o: ComputeAccuracy("d", **o), {"use_sigmoid": True}, "sigmoid=True"),
    "activation": (lambda **o: ReduceMeanMasked("d", **o), {"final_activation": "softmax"}, "softmax"),
    "statistics": (lambda **o: ComputeDice("d", **o), {"statistics": ["recall"]}, "recall"),
}


@pytest.mark.parametrize(("make", "options", "named"), OTHERWISE.values(), ids=OTHERWISE)
def test_an_epoch_that_was_measured_otherwise_does_not_continue(make, options, named):
    first, other = make(), make(**options)
    first(torch.rand(2, 3, 5), torch.randint(0, 3, (2, 1, 5)))
    with pytest.raises(ValueError, match=rf"(?s)^{type(other).__name__}\(tag.*{named}.*got one measured with"):
        other.load_state_dict(first.state_dict())
    first.epoch_completed()  # between two epochs there is nothing to continue
    if "statistics" not in options:
        other.load_state_dict(first.state_dict())


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyError, TypeError, ZeroDivisionError])
def test_an_op_that_raises_names_itself_and_what_is_written_stays(error):
    class Broken(AuxiliaryOperation):
        def get_output_tensors(self, predictions, label, build_ctx):
            raise error("because")

    ctx = BuildContext(torch.rand(2, 1, 3), torch.ones(2, 1, 3))
    Volume()(ctx.predictions, ctx.label, build_ctx=ctx)
    with pytest.raises((ValueError, RuntimeError), match=r"Broken\(\).*because") as caught:
        Broken()(ctx.predictions, ctx.label, build_ctx=ctx)
    assert isinstance(caught.value.__cause__, error)
    assert ctx.get("volume").shape == (2,)


@pytest.mark.parametrize("tag", ["image", "label", "pred", "loss", "_mine", "", 3])
def test_a_users_tag_that_cannot_be(tag):
    with pytest.raises(ValueError, match=r"Returns\(.*expected a tag .*got"):
        feed(Returns({tag: torch.ones(2)}), 2)


@pytest.mark.parametrize("outputs", [None, torch.ones(2), {"tag": 0.5}, [torch.ones(2)]], ids=str)
def test_a_user_must_return_tensors_by_tag(outputs):
    with pytest.raises(ValueError, match=r"Returns\(.*expected get_output_tensors to return a dict of tensors, got"):
        feed(Returns(outputs), 2)


def test_a_tag_used_twice_in_one_iteration():
    ctx = BuildContext(torch.rand(2, 1, 3), torch.ones(2, 1, 3))
    ComputeDice("dice")(ctx.predictions, ctx.label, build_ctx=ctx)
    with pytest.raises(ValueError, match=r"DiceMaskedOutput\(tags=\('dice',\)\).*'dice' was already written"):
        DiceMaskedOutput("dice")(ctx.predictions, ctx.label, build_ctx=ctx)


TAGGED = [ComputeDice, ComputeAccuracy, ComputeMulticlassAccuracy, NegLoss, ReduceMeanMasked, DiceMaskedOutput]


@pytest.mark.parametrize("tag", ["image", "label", "pred", "loss", "_dice", "", None, 3], ids=repr)
@pytest.mark.parametrize("op", TAGGED, ids=lambda op: op.__name__)
def test_tags_that_cannot_be_are_refused_at_construction(op, tag):
    with pytest.raises(ValueError, match=rf"{op.__name__}\(.*expected a tag .*got {tag!r}"):
        op(tag)


def test_stage_is_kept_and_checked():
    assert ComputeDice("dice", stage="post").stage == "post"
    with pytest.raises(ValueError, match=r"ComputeDice\(tag='dice', stage='read'\): expected stage.*got 'read'"):
        ComputeDice("dice", stage="read")


def test_what_has_no_epoch_value_cannot_be_the_key_metric():
    engine = Engine(lambda engine, batch: batch)
    engine.state.key_metric_name = "key"
    with pytest.raises(ValueError, match=r"ComputeBinaryPreds\(.*no epoch value.*key metric 'key'"):
        ComputeBinaryPreds().attach(engine, "key")


def test_one_object_is_attached_once():
    op = ComputeDice("dice")
    op.attach(Engine(lambda engine, batch: batch))
    with pytest.raises(ValueError, match=r"ComputeDice\(tag='dice'\) is already attached"):
        op.attach(Engine(lambda engine, batch: batch))


def test_repr_shows_the_tag_and_what_differs_from_the_default():
    assert (
        repr(ComputeDice("dice", jaccard=True, stage="post")) == "ComputeDice(tag='dice', jaccard=True, stage='post')"
    )
    assert str(ComputeBinaryPreds(label_format=[1])) == (
        "ComputeBinaryPreds(binary_preds_name='binary_preds', binary_labels_name='binary_labels', label_format=[1])"
    )


def test_outputs_of_a_users_op_are_plain_and_detached():
    op = Returns({"tag": MetaTensor(torch.ones(2, requires_grad=True)) * 2})
    (out,) = feed(op, 2)
    assert type(out["tag"]) is torch.Tensor
    assert not out["tag"].requires_grad


class Maps(AuxiliaryOperation):
    """Returns what has no epoch value, as one easily does at first."""

    def get_output_tensors(self, predictions, label, build_ctx):
        return {"map": predictions.flatten(2).mean(2)}


def test_an_op_without_any_epoch_value_says_so_once():
    op, batch = Maps(), (torch.zeros(2, 3, 4), torch.zeros(2, 1, 4))
    with pytest.warns(UserWarning, match=r"Maps\(\): no output has an epoch value: .* got \{'map': \[2, 3\]\}"):
        op(*batch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        op(*batch)
