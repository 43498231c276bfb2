"""Named classes, pooled values, masks: against counts made by hand in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ignite.engine import Engine

from monai_auxops import AuxiliaryOperation, BuildContext, ComputeAccuracy, ComputeDice, DiceMaskedOutput
from monai_auxops.counting.overlap import STATISTICS

NAMES = ["grey", "white"]


def batches(seed: int = 0, n: int = 4) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Three classes; the last is absent from some labels."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for i in range(n):
        label = torch.randint(0, 2 if i % 2 else 3, (2, 1, 5, 6), generator=generator)
        found.append((torch.randn(2, 3, 5, 6, generator=generator), label))
    return found


def table(data, keep=lambda label: np.ones(label.shape, bool)):
    """tp, fp, fn, tn per sample and foreground class, from boolean arrays."""
    rows = []
    for scores, label in data:
        for x, y in zip(scores.numpy().argmax(1), label[:, 0].numpy(), strict=True):
            use = keep(y)
            sides = [((x == c)[use], (y == c)[use]) for c in (1, 2)]
            rows.append([[(p & t).sum(), (p & ~t).sum(), (~p & t).sum(), (~p & ~t).sum()] for p, t in sides])
    return np.array(rows, float).transpose(2, 0, 1)


def mean(values):
    valid = values[~np.isnan(values)]
    return valid.mean() if len(valid) else math.nan


def divided(part, whole):
    with np.errstate(invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def epoch(op, data):
    for predictions, label in data:
        op(predictions, label)
    return op.aggregate()


@pytest.mark.parametrize("jaccard", [False, True])
@pytest.mark.parametrize("make", [ComputeDice, DiceMaskedOutput])
def test_everything_from_the_same_counts(make, jaccard):
    data = batches()
    op = make("dice", skip_background=True, jaccard=jaccard, class_names=NAMES, statistics=STATISTICS)
    tp, fp, fn, tn = table(data)
    scale = 1 if jaccard else 2
    over, under = scale * tp, scale * tp + fp + fn
    dice = np.where(tp + fn > 0, divided(over, under), np.nan)
    pooled = divided(over.sum(0), under.sum(0))
    each = {
        "precision": divided(tp, tp + fp),
        "recall": divided(tp, tp + fn),
        "specificity": divided(tn, tn + fp),
    }
    each["balanced_accuracy"] = (each["recall"] + each["specificity"]) / 2
    expected = {"dice": mean(np.array([mean(row) for row in dice])), "dice_global": pooled.mean()}
    for name, values in each.items():
        expected[name] = mean(np.array([mean(row) for row in values]))
    for c, label in enumerate(NAMES):
        expected |= {f"dice/{label}": mean(dice[:, c]), f"dice_global/{label}": pooled[c]}
        expected[f"support/{label}"] = (tp + fn > 0)[:, c].sum()
        expected |= {f"{name}/{label}": mean(values[:, c]) for name, values in each.items()}
    assert epoch(op, data) == pytest.approx(expected, abs=1e-6)
    assert set(op.epoch_tags) == set(expected)


@pytest.mark.parametrize("cuts", [[8], [1] * 8, [3, 5]], ids=str)
def test_pooled_values_do_not_depend_on_batches(cuts):
    scores, labels = (torch.cat(column) for column in zip(*batches(), strict=True))
    op = ComputeDice("dice", class_names=["back", *NAMES], statistics=["global", "support"])
    whole = epoch(op, batches())
    other = ComputeDice("dice", class_names=["back", *NAMES], statistics=["global", "support"])
    assert epoch(other, zip(scores.split(cuts), labels.split(cuts), strict=True)) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("empty", [math.nan, 0.0, 1.0])
def test_the_value_of_an_empty_class(empty):
    predictions = torch.tensor([[[0.1, 0.9]], [[0.1, 0.1]]])
    dice = ComputeDice("dice", mask_tag="valid", empty_value=empty)
    found = dice(predictions, torch.zeros(2, 1, 2))
    missed, both = (math.nan, math.nan) if math.isnan(empty) else (0.0, empty)
    assert found["dice"].tolist() == pytest.approx([missed, both], nan_ok=True)
    assert found["valid"].flatten().tolist() == [float(not math.isnan(empty))] * 2


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32], ids=str)
@pytest.mark.parametrize("ignored", [0, 2, 7])
def test_an_ignored_label_is_left_out(dtype, ignored):
    generator = torch.Generator().manual_seed(1)
    data = [(x, y.masked_fill(torch.rand(y.shape, generator=generator) < 0.2, 7).to(dtype)) for x, y in batches()]
    op = DiceMaskedOutput("dice", skip_background=True, ignore_index=ignored, statistics=["specificity"])
    looked_at = [0] if ignored == 2 else [0, 1]  # of the foreground: an ignored class is no class
    tp, fp, fn, tn = (x[:, looked_at] for x in table(data, keep=lambda y: (y != ignored) & (y != 7)))
    dice = np.where(tp + fn > 0, divided(2 * tp, 2 * tp + fp + fn), np.nan)
    specificity = divided(tn, tn + fp)
    found = epoch(op, data)
    assert found["dice"] == pytest.approx(mean(np.array([mean(row) for row in dice])), abs=1e-6, nan_ok=True)
    assert found["specificity"] == pytest.approx(mean(np.array([mean(row) for row in specificity])), abs=1e-6)


@pytest.mark.parametrize("onehot", [False, True])
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_a_mask_of_the_batch_says_what_counts(onehot, data_format):
    options = {"is_onehot_targets": onehot, "data_format": data_format, "statistics": ["specificity", "precision"]}
    masked, plain = ComputeDice("dice", mask_key="brain", **options), ComputeDice("dice", **options)
    move = (lambda x: x.movedim(1, -1)) if data_format == "channels_last" else (lambda x: x)
    for predictions, index in batches():
        label = torch.nn.functional.one_hot(index[:, 0], 3).movedim(-1, 1) if onehot else index
        mask = torch.zeros(2, 1, 5, 6)
        mask[..., :4] = 1
        ctx = BuildContext(move(predictions), move(label), batch={"brain": move(mask)})
        masked(move(predictions), move(label), build_ctx=ctx)
        plain(move(predictions[..., :4]), move(label[..., :4]))
    assert masked.aggregate() == pytest.approx(plain.aggregate(), abs=1e-7)


def test_a_onehot_channel_can_be_ignored():
    data = [(x, torch.nn.functional.one_hot(y[:, 0], 3).movedim(-1, 1)) for x, y in batches()]
    op = ComputeDice("dice", is_onehot_targets=True, ignore_index=1, statistics=["specificity"])
    index = ComputeDice("dice", ignore_index=1, statistics=["specificity"])
    assert epoch(op, data) == pytest.approx(epoch(index, batches()), abs=1e-7)


def test_counts_with_and_without_a_mask_are_not_confused():
    predictions, label = batches()[0]
    ctx = BuildContext(predictions, label, batch={"brain": torch.zeros(2, 1, 5, 6)})
    plain, masked = ComputeDice("plain"), ComputeDice("masked", mask_key="brain")
    for op in (plain, masked):
        op(predictions, label, build_ctx=ctx)
    assert plain.aggregate()["plain"] > 0
    with pytest.warns(UserWarning, match="nothing to measure"):
        assert math.isnan(masked.aggregate()["masked"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": "grey"}, "class_names to be a list"),
        ({"class_names": ["a", "a"]}, "class_names to be a list of different names"),
        ({"statistics": ["f1"]}, r"statistics to be a list out of .*got \['f1'\]"),
        ({"statistics": "recall"}, "statistics to be a list"),
        ({"statistics": ["support"]}, "class_names for"),
    ],
    ids=str,
)
def test_arguments_that_cannot_work(options, message):
    with pytest.raises(ValueError, match=rf"ComputeDice\(tag='dice'.*expected {message}"):
        ComputeDice("dice", **options)


def test_names_that_do_not_match_the_classes():
    predictions, label = batches()[0]
    with pytest.raises(ValueError, match=r"expected 3 class_names, one for each class, got \['grey', 'white'\]"):
        ComputeDice("dice", class_names=NAMES)(predictions, label)


def test_a_mask_that_is_not_there_or_does_not_fit():
    predictions, label = batches()[0]
    op = ComputeDice("dice", mask_key="brain")
    with pytest.raises(ValueError, match="expected a tensor under 'brain' in the batch, which holds nothing"):
        op(predictions, label)
    with pytest.raises(ValueError, match=r"mask_key='brain'\): expected a mask \[2, 1, 5, 6\], got \[2, 5, 6\]"):
        op(predictions, label, build_ctx=BuildContext(predictions, label, batch={"brain": torch.ones(2, 5, 6)}))


def test_states_hold_the_pooled_sums():
    data = batches()
    whole, first, second = (ComputeDice("d", class_names=["b", *NAMES], statistics=["global"]) for _ in range(3))
    expected = epoch(whole, data)
    epoch(first, data[:1])
    second.load_state_dict(first.state_dict())
    assert epoch(second, data[1:]) == pytest.approx(expected, abs=1e-12)


def test_a_state_saved_before_the_first_batch_is_an_empty_one():
    class Share(AuxiliaryOperation):
        def get_output_tensors(self, predictions, label, build_ctx):
            return {"share": label.float().flatten(1).mean(1)}

    fresh, used = Share(), Share()
    used(*batches()[0])
    used.load_state_dict(fresh.state_dict())
    assert math.isnan(used.aggregate()["share"])


# --- names ------------------------------------------------------------------------------------------------------------


def test_statistics_take_the_ops_tag_where_names_would_meet():
    (predictions, label), engine = batches()[0], Engine(lambda engine, batch: batch)
    options = {"skip_background": True, "class_names": NAMES, "statistics": ["recall", "support", "global"]}
    ComputeDice("dice", **options).attach(engine, "val_dice")
    ComputeDice("iou", jaccard=True, **options).attach(engine, "val_iou")
    engine.run([(predictions, label)])
    found = engine.state.metrics
    for op in ("dice", "iou"):
        kept = {"val_" + op, f"val_{op}/grey", f"val_{op}_global", f"val_{op}_global/white"}
        longer = {f"val_{op}/recall", f"val_{op}/recall/white", f"val_{op}/support/grey"}
        assert kept | longer <= set(found)
    assert found["val_dice/recall"] == found["val_iou/recall"]
    assert "val_recall" not in found


def test_alone_statistics_keep_their_short_names():
    engine = Engine(lambda engine, batch: batch)
    ComputeDice("dice", statistics=["recall"]).attach(engine)
    engine.run([batches()[0]])
    assert set(engine.state.metrics) == {"dice", "recall"}


def test_names_that_meet_in_a_shared_context():
    (predictions, label), found = batches()[0], []
    ctx = BuildContext(predictions, label)
    for tag in ("dice", "iou"):
        op = ComputeDice(tag, statistics=["recall"])
        op(predictions, label, build_ctx=ctx)
        found.append(op.aggregate())
    assert set(found[0]) == {"dice", "recall"}
    assert set(found[1]) == {"iou", "iou/recall"}


def test_a_class_named_like_a_statistic():
    op = DiceMaskedOutput(["dice", "recall", "b", "c"], statistics=["recall"])
    found = epoch(op, batches())
    assert set(found) == {"dice", "recall", "b", "c", "dice/recall"}
    plain = epoch(DiceMaskedOutput(["dice", "a", "b", "c"]), batches())
    assert found["recall"] == plain["a"]
    with pytest.raises(ValueError, match=r"expected different names .* got \['dice/a'\] twice"):
        DiceMaskedOutput(["dice", "dice/a"], class_names=["a"])


def test_two_ops_of_one_tag_are_still_an_error():
    engine = Engine(lambda engine, batch: batch)
    ComputeDice("dice", statistics=["recall"]).attach(engine)
    with pytest.raises(ValueError, match="'dice' is already taken"):
        ComputeDice("dice", statistics=["recall"]).attach(engine)


def test_names_come_from_the_options_in_linear_work():
    """4,000 classes: one tuple that is kept, not one for each name."""
    op = ComputeDice("dice", class_names=[str(i) for i in range(4000)], statistics=STATISTICS)
    assert op.epoch_tags is op.epoch_tags
    assert len(op.epoch_tags) == 4001 + 4 * 4001 + 4001 + 4000


# --- ignored classes --------------------------------------------------------------------------------------------------

Y = torch.tensor([[[0, 0, 1, 1, 2, 2]]])
X = torch.nn.functional.one_hot(torch.tensor([[0, 2, 1, 1, 0, 1]]), 3).movedim(-1, 1).float()


@pytest.mark.parametrize("ignored", [2, [2], [2, 255], (255, 2)])
@pytest.mark.parametrize("onehot", [False, True])
def test_an_ignored_class_is_in_no_mean_name_or_statistic(ignored, onehot):
    if onehot and ignored not in (2, [2]):
        ignored = [2]
    label = torch.nn.functional.one_hot(Y[:, 0], 3).movedim(-1, 1) if onehot else Y
    options = {"ignore_index": ignored, "is_onehot_targets": onehot}
    op = ComputeDice("dice", empty_value=1.0, statistics=["precision"], class_names=["a", "b"], **options)
    op(X, label)
    expected = {"dice": 5 / 6, "precision": 1.0, "dice/a": 2 / 3, "dice/b": 1.0, "precision/a": 1, "precision/b": 1}
    assert op.aggregate() == pytest.approx(expected)
    each = DiceMaskedOutput(["dice", "a", "b"], **options)
    each(X, label)
    assert each.aggregate() == pytest.approx({"dice": 5 / 6, "a": 2 / 3, "b": 1.0})


def test_a_class_between_others_may_be_ignored():
    op = DiceMaskedOutput(["dice", "a", "c"], ignore_index=1)
    op(X, Y)
    keep = Y[0, 0] != 1
    plain = DiceMaskedOutput(["dice", "a", "b", "c"], is_independent_predictions=True)
    plain(X[..., keep], Y[..., keep])
    assert {tag: op.aggregate()[tag] for tag in "ac"} == {tag: plain.aggregate()[tag] for tag in "ac"}


def test_accuracy_leaves_out_labels_and_masks_as_well():
    ctx = BuildContext(X, Y, batch={"mask": torch.tensor([[[1, 1, 1, 0, 1, 1]]])})
    for options, expected in (
        ({}, 3 / 6),
        ({"ignore_index": 2}, 3 / 4),
        ({"ignore_index": [2, 0]}, 1.0),
        ({"mask_key": "mask"}, 2 / 5),
        ({"mask_key": "mask", "ignore_index": 2}, 2 / 3),
    ):
        op = ComputeAccuracy("_".join(["a", *map(str, options.values())]), **options)
        op(X, Y, build_ctx=ctx)
        assert [*op.aggregate().values()] == [pytest.approx(expected)]


def test_elements_are_left_out_by_value_and_mask():
    x, y = torch.tensor([[0.9, 0.1, 0.9]]).view(1, 3, 1), torch.tensor([[1.0, 1.0, 255.0]]).view(1, 3, 1)
    op = ComputeAccuracy("a", ignore_index=255)
    op(x, y)
    assert op.aggregate() == {"a": 0.5}
    ctx = BuildContext(x, y.clamp(max=1), batch={"mask": torch.zeros(1, 1, 1)})
    assert ComputeAccuracy("b", mask_key="mask")(x, ctx.label, build_ctx=ctx)["b"].isnan().all()


@pytest.mark.parametrize("wrong", ["255", 1.5, [], [1, "2"], True, {2}])
@pytest.mark.parametrize("op", [ComputeDice, DiceMaskedOutput, ComputeAccuracy])
def test_what_ignore_index_cannot_be(op, wrong):
    with pytest.raises(ValueError, match=rf"{op.__name__}\(.*ignore_index to be an integer or a list of integers, got"):
        op("tag", ignore_index=wrong)


def test_a_channel_that_is_not_there_and_no_class_left():
    onehot = torch.nn.functional.one_hot(Y[:, 0], 3).movedim(-1, 1)
    with pytest.raises(ValueError, match=r"ignore_index within the channels 0\.\.2 of one-hot labels, got 255"):
        ComputeDice("dice", is_onehot_targets=True, ignore_index=255)(X, onehot)
    with pytest.raises(ValueError, match="at least one class that is not left out"):
        ComputeDice("dice", ignore_index=[0, 1, 2])(X, Y)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool])
def test_a_value_that_the_dtype_cannot_hold_is_ignored_nowhere(dtype):
    label = torch.tensor([[[0, 1, -1 if dtype == torch.int8 else 1]]]).to(dtype)
    scores = torch.tensor([[[0.9, 0.1, 0.1], [0.1, 0.9, 0.9]]])
    plain, ignoring = ComputeDice("dice"), ComputeDice("dice", ignore_index=255 if dtype != torch.uint8 else -1)
    assert torch.equal(plain(scores, label)["dice"], ignoring(scores, label)["dice"])
