"""Every option of the two Dice aux-ops against the reference."""

import itertools
import math

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.metrics import DiceMetric
from reference import SPATIAL, dice_per_class, dice_per_sample, indices_of, multihot_of, scores_of

from monai_auxops import BuildContext, ComputeDice, DiceMaskedOutput

FLAGS = ("skip_background", "is_onehot_targets", "is_independent_predictions", "jaccard")
LABEL_DTYPES = [
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
]
SCORE_DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def measured(predictions, label, **options):
    """Dice per sample and class ``[B][C']`` by DiceMaskedOutput, and per sample by ComputeDice."""
    skipped = options.get("skip_background", False)
    channels = predictions.shape[-1 if options.get("data_format") == "channels_last" else 1] - skipped
    tags = [f"class_{c}" for c in range(channels)]
    tags = ["mean", *tags] if channels > 1 else ["mean"]
    each = DiceMaskedOutput(tags, **options)(predictions, label)
    mean = ComputeDice("dice", mask_tag="mask", **options)(predictions, label)
    columns = torch.stack([each[tag] for tag in (tags[1:] or tags)], 1)
    assert torch.equal(mean["mask"], (~columns.isnan()).float())
    torch.testing.assert_close(each["mean"], mean["dice"], rtol=0, atol=0, equal_nan=True)
    return columns, mean["dice"]


def check(predictions, label, **options):
    columns, mean = measured(predictions, label, **options)
    expected = dice_per_class(predictions, label, **options)
    np.testing.assert_allclose(columns.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(mean.numpy(), dice_per_sample(predictions, label, **options), atol=1e-6)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize(
    "flags", list(itertools.product([False, True], repeat=4)), ids=lambda f: "".join("-+"[x] for x in f)
)
@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
def test_every_combination_of_options(spatial, classes, flags, data_format):
    options = dict(zip(FLAGS, flags, strict=True))
    predictions = scores_of(3, classes, spatial)
    label = (multihot_of if options["is_onehot_targets"] else indices_of)(3, classes, spatial)
    if data_format == "channels_last":
        predictions, label = predictions.movedim(1, -1), label.movedim(1, -1)
    if classes == 1 and options["skip_background"]:
        with pytest.raises(ValueError, match=r"ComputeDice\(tag='dice'.*at least 2 channels, got 1"):
            ComputeDice("dice", data_format=data_format, **options)(predictions, label)
    else:
        check(predictions, label, data_format=data_format, **options)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
def test_index_labels_need_no_channel_dimension(spatial, data_format):
    predictions, label = scores_of(3, 3, spatial), indices_of(3, 3, spatial)
    expected = ComputeDice("dice")(predictions, label)["dice"]
    if data_format == "channels_last":
        predictions = predictions.movedim(1, -1)
    came = ComputeDice("dice", data_format=data_format)(predictions, label[:, 0])["dice"]
    torch.testing.assert_close(came, expected, rtol=0, atol=0, equal_nan=True)


def test_one_logit_a_sample_needs_no_channel_dimension():
    predictions, label = torch.tensor([2.0, -1.0, 3.0]), torch.tensor([1, 1, 0])
    dice = ComputeDice("dice", is_independent_predictions=True, final_activation="sigmoid")(predictions, label)["dice"]
    np.testing.assert_equal(dice.numpy(), [1.0, 0.0, np.nan])


def check_dtypes(score_dtype, label_dtype, onehot):
    predictions = scores_of(2, 3, (4, 5)).to(score_dtype)
    label = multihot_of(2, 3, (4, 5)) if onehot else torch.randint(0, 5, (2, 1, 4, 5))
    check(predictions, label.to(label_dtype), is_onehot_targets=onehot)
    check(predictions, label.to(label_dtype), is_onehot_targets=onehot, is_independent_predictions=True, threshold=0.3)


@pytest.mark.parametrize("onehot", [False, True], ids=["index", "onehot"])
@pytest.mark.parametrize("label_dtype", LABEL_DTYPES, ids=str)
@pytest.mark.parametrize("score_dtype", SCORE_DTYPES, ids=str)
@pytest.mark.usefixtures("plain_counts")
def test_every_pair_of_dtypes(score_dtype, label_dtype, onehot):
    check_dtypes(score_dtype, label_dtype, onehot)


@pytest.mark.parametrize("onehot", [False, True], ids=["index", "onehot"])
@pytest.mark.parametrize(
    ("score_dtype", "label_dtype"),
    [(torch.float16, torch.uint8), (torch.bfloat16, torch.int32), (torch.float32, torch.float32)],
    ids=str,
)
def test_dtypes_of_mixed_precision(score_dtype, label_dtype, onehot):
    check_dtypes(score_dtype, label_dtype, onehot)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_bool_labels(classes):
    predictions, label = scores_of(2, classes, (4, 5)), torch.rand(2, 1, 4, 5) > 0.5
    check(predictions, label)
    check(predictions, multihot_of(2, classes, (4, 5)).bool(), is_onehot_targets=True)


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.3, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("dtype", SCORE_DTYPES, ids=str)
@pytest.mark.usefixtures("plain_counts")
def test_a_score_at_the_threshold_is_not_above_it(dtype, threshold):
    predictions = torch.cat([scores_of(2, 2, (9,)), torch.full((2, 2, 1), 0.3)], 2).to(dtype)
    check(
        predictions,
        multihot_of(2, 2, (10,)),
        is_onehot_targets=True,
        is_independent_predictions=True,
        threshold=threshold,
    )


@pytest.mark.parametrize("jaccard", [False, True])
@pytest.mark.parametrize("dtype", LABEL_DTYPES[-4:], ids=str)
@pytest.mark.usefixtures("plain_counts")
def test_labels_outside_the_classes_are_left_out_of_the_prediction_too(dtype, jaccard):
    label = torch.tensor([[[0.0, 1, 1, -1, 3, 255, math.nan, 0.5]]], dtype=dtype)
    predictions = torch.nn.functional.one_hot(torch.tensor([[0, 1, 0, 1, 1, 1, 1, 1]]), 3).movedim(-1, 1).float()
    columns, mean = measured(predictions, label, jaccard=jaccard)
    both = 1 / 2 if jaccard else 2 / 3  # class 0: {0, 2} against {0}; class 1: {1} against {1, 2}; class 2 is absent
    np.testing.assert_allclose(columns.numpy(), [[both, both, np.nan]], atol=1e-6)
    np.testing.assert_allclose(mean.numpy(), [both], atol=1e-6)


def test_one_channel_knows_labels_0_and_1_only():
    predictions, label = torch.tensor([[[0.9, 0.9, 0.9, 0.1]]]), torch.tensor([[[1, 2, 255, 1]]])
    assert ComputeDice("dice")(predictions, label)["dice"].item() == pytest.approx(2 / 3)
    onehot = ComputeDice("dice", is_onehot_targets=True)(predictions, label)["dice"].item()
    assert onehot == pytest.approx(2 * 3 / 7)  # all four labels exceed 0.5


def test_a_voxel_with_a_nan_score_belongs_to_no_class():
    predictions = torch.tensor([[[0.9, math.nan, 0.1], [0.1, 0.2, math.nan]]])
    label = torch.tensor([[[0, 0, 1]]])
    np.testing.assert_allclose(measured(predictions, label)[0].numpy(), [[2 / 3, 0]], atol=1e-6)
    onehot = torch.tensor([[[1, 1, 0], [0, 0, 1]]])
    independent = {"is_onehot_targets": True, "is_independent_predictions": True}
    np.testing.assert_allclose(measured(predictions, onehot, **independent)[0].numpy(), [[2 / 3, 0]], atol=1e-6)


def test_infinite_scores_have_an_order():
    predictions = torch.tensor([[[-math.inf, math.inf, math.inf], [0.0, 0.0, math.inf]]])
    check(predictions, torch.tensor([[[1, 0, 0]]]))


def test_an_absent_class_is_nan_even_where_it_is_predicted():
    predictions, label = torch.tensor([[[0.1, 0.1], [0.9, 0.9]]]), torch.tensor([[[0, 0]]])
    out = DiceMaskedOutput(["dice", "zero", "one"])(predictions, label)
    assert out["zero"].item() == 0.0
    assert out["dice"].item() == 0.0
    assert out["one"].isnan().item()


def test_an_image_without_any_class_is_nan():
    out = ComputeDice("dice", mask_tag="mask")(torch.rand(2, 3, 5), torch.full((2, 1, 5), -1))
    assert out["dice"].isnan().all()
    assert out["mask"].tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("include_background", [True, False])
@pytest.mark.parametrize("spatial", [s for s in SPATIAL.values() if s], ids=[k for k, s in SPATIAL.items() if s])
def test_equals_monai_where_both_are_defined(spatial, include_background, seed):
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 3, (4, 1, *spatial), generator=generator)
    labels = torch.randint(0, 3, (4, 1, *spatial), generator=generator)
    predictions = torch.nn.functional.one_hot(classes[:, 0], 3).movedim(-1, 1).float()
    onehot = torch.nn.functional.one_hot(labels[:, 0], 3).movedim(-1, 1).float()
    monai = DiceMetric(include_background=include_background, reduction="none")
    columns, _ = measured(predictions, labels, skip_background=not include_background)
    torch.testing.assert_close(columns, monai(predictions, onehot), rtol=0, atol=1e-6, equal_nan=True)
    columns, _ = measured(
        predictions,
        onehot,
        skip_background=not include_background,
        is_onehot_targets=True,
        is_independent_predictions=True,
    )
    torch.testing.assert_close(columns, monai(predictions, onehot), rtol=0, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("seed", range(3))
def test_epoch_value_equals_monais_mean_over_channels_then_samples(seed):
    generator = torch.Generator().manual_seed(seed)
    monai, ours = DiceMetric(reduction="mean_channel"), ComputeDice("dice", is_onehot_targets=True)
    per_sample = []
    for size in (1, 3, 2):
        predictions = torch.rand(size, 3, 6, generator=generator)
        predicted = torch.nn.functional.one_hot(predictions.argmax(1), 3).movedim(-1, 1)
        label = torch.nn.functional.one_hot(torch.randint(0, 3, (size, 6), generator=generator), 3).movedim(-1, 1)
        ours(predictions, label)
        monai(predicted, label)
        per_sample.append(monai.get_buffer()[-size:].nanmean(1))
    assert ours.aggregate()["dice"] == pytest.approx(torch.cat(per_sample).nanmean().item(), abs=1e-6)


LAYOUTS = {
    "meta": MetaTensor,
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "strided": lambda x: torch.stack([x, x], -1).flatten(-2)[..., ::2],
    "expanded": lambda x: x[:1].expand(x.shape),
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "channels_last_storage": lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1),
    "requires_grad": lambda x: x.clone().requires_grad_() if x.is_floating_point() else x,
    "list": lambda x: [x, x[:, :, ::2, ::2]] if x.is_floating_point() else x,
    "tuple": lambda x: (x, None) if x.is_floating_point() else x,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("onehot", [False, True], ids=["index", "onehot"])
def test_layouts(layout, onehot):
    predictions = scores_of(2, 3, (4, 6))
    label = multihot_of(2, 3, (4, 6)) if onehot else indices_of(2, 3, (4, 6))
    if layout is LAYOUTS["expanded"]:
        predictions, label = (x[:1].expand(x.shape) for x in (predictions, label))
    out = ComputeDice("dice", is_onehot_targets=onehot)(layout(predictions), layout(label))["dice"]
    np.testing.assert_allclose(out.numpy(), dice_per_sample(predictions, label, is_onehot_targets=onehot), atol=1e-6)
    assert type(out) is torch.Tensor
    assert not out.requires_grad


def test_channels_last_3d_memory():
    predictions, label = scores_of(2, 3, (3, 4, 2)), indices_of(2, 3, (3, 4, 2))
    check(predictions.contiguous(memory_format=torch.channels_last_3d), label)


# --- final_activation -------------------------------------------------------------------------------------------------


def dice_of(logits, label, **options):
    return measured(torch.as_tensor(logits), label, is_onehot_targets=True, is_independent_predictions=True, **options)[
        0
    ]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("dtype", SCORE_DTYPES, ids=str)
@pytest.mark.usefixtures("plain_counts")
def test_independent_activations(dtype, activation, threshold):
    logits = (torch.randn(2, 3, 4, 5) * 3).to(dtype)
    check(
        logits,
        multihot_of(2, 3, (4, 5)),
        is_onehot_targets=True,
        is_independent_predictions=True,
        final_activation=activation,
        threshold=threshold,
    )


@pytest.mark.parametrize("dtype", SCORE_DTYPES[:3], ids=str)
@pytest.mark.usefixtures("plain_counts")
def test_sigmoid_is_a_threshold_on_the_logit(dtype):
    """0.9 is not exact in half precision, nor is the sigmoid there: the logit decides, in float32."""
    cut = math.log(0.9 / 0.1)
    near = torch.tensor(cut).to(dtype)
    above = torch.nextafter(near, near + 1) if dtype != torch.bfloat16 else (near.float() * 1.01).to(dtype)
    below = torch.nextafter(near, near - 1) if dtype != torch.bfloat16 else (near.float() * 0.99).to(dtype)
    logits = torch.stack([below, near, above])
    expected = (logits.float() > torch.tensor(cut, dtype=torch.float32)).float()
    assert expected[0] == 0
    assert expected[2] == 1
    for i in range(3):
        dice = dice_of(logits[i].reshape(1, 1, 1), torch.ones(1, 1, 1), threshold=0.9, final_activation="sigmoid")
        assert dice.item() == expected[i]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
def test_sigmoid_at_one_half_is_the_sign_of_the_logit(dtype):
    tiny = torch.finfo(dtype).smallest_normal
    logits = torch.tensor([[[0.0]], [[tiny]], [[-tiny]]], dtype=dtype)
    dice = dice_of(logits, torch.ones(3, 1, 1), final_activation="sigmoid")
    assert dice.flatten().tolist() == [0.0, 1.0, 0.0]


def test_a_probability_in_half_precision_is_compared_in_float32():
    """float16(0.3) is 0.30005 > 0.3; compared in half precision it would equal the threshold."""
    predictions, label = torch.tensor([[[0.3]]], dtype=torch.float16), torch.ones(1, 1, 1)
    assert dice_of(predictions, label, threshold=0.3).item() == 1.0
    assert dice_of(predictions.float() - 1e-4, label, threshold=0.3).item() == 0.0


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_exclusive_classes_need_no_activation(activation):
    predictions, label = torch.randn(2, 3, 4, 5), indices_of(2, 3, (4, 5))
    check(predictions, label, final_activation=activation)


def test_one_channel_is_thresholded_after_its_sigmoid():
    logits, label = torch.tensor([[[0.4, -0.1, 0.1]]]), torch.tensor([[[1, 1, 0]]])
    assert ComputeDice("dice", final_activation="sigmoid")(logits, label)["dice"].item() == pytest.approx(0.5)
    assert ComputeDice("dice")(logits, label)["dice"].item() == 0.0  # no score exceeds 0.5


# --- bad input --------------------------------------------------------------------------------------------------------

CONSTRUCTORS = {
    "ComputeDice": lambda **options: ComputeDice("dice", **options),
    "DiceMaskedOutput": lambda **options: DiceMaskedOutput(["dice", "a", "b"], **options),
}
WRONG_ARGUMENTS = {
    "data_format": ({"data_format": "NCHW"}, "'channels_first' or 'channels_last', got 'NCHW'"),
    "activation": ({"final_activation": "relu"}, "got 'relu'"),
    "stage": ({"stage": "late"}, "'raw' or 'post', got 'late'"),
    "threshold_0": ({"final_activation": "sigmoid", "is_independent_predictions": True, "threshold": 0}, "got 0"),
    "threshold_1": ({"final_activation": "sigmoid", "is_independent_predictions": True, "threshold": 1.0}, "got 1.0"),
    "threshold_type": ({"threshold": "0.5"}, "got '0.5'"),
}


@pytest.mark.parametrize(("options", "came"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_wrong_arguments_are_refused_at_construction(name, options, came):
    with pytest.raises(ValueError, match="expected") as error:
        CONSTRUCTORS[name](**options)
    assert name in str(error.value)
    assert "dice" in str(error.value)
    assert came in str(error.value)


WRONG_SHAPES = {
    "no_label": (torch.rand(2, 3, 4), None, {}),
    "spatial": (torch.rand(2, 3, 4), torch.zeros(2, 1, 5), {}),
    "batch": (torch.rand(2, 3, 4), torch.zeros(3, 1, 4), {}),
    "onehot_without_saying_so": (torch.rand(2, 3, 4), torch.zeros(2, 3, 4), {}),
    "index_where_onehot_is_said": (torch.rand(2, 3, 4), torch.zeros(2, 1, 4), {"is_onehot_targets": True}),
    "four_spatial_dims": (torch.rand(1, 2, 2, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2, 2), {}),
    "label_dims": (torch.rand(2, 3, 4), torch.zeros(2, 1, 1, 4), {}),
    "softmax_of_one": (torch.rand(2, 1, 4), torch.zeros(2, 1, 4), {"final_activation": "softmax"}),
}


@pytest.mark.parametrize(("predictions", "label", "options"), WRONG_SHAPES.values(), ids=WRONG_SHAPES)
@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_wrong_shapes_are_refused_at_the_first_batch(name, predictions, label, options):
    op = CONSTRUCTORS[name](**options)
    with pytest.raises(ValueError, match="expected") as error:
        op(predictions, label)
    assert name in str(error.value)
    assert "dice" in str(error.value)


def test_a_numpy_array_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"ComputeDice\(tag='dice'\): expected predictions to be a tensor, got ndarray"
    ):
        ComputeDice("dice")(np.zeros((1, 2, 3)), torch.zeros(1, 1, 3))
    with pytest.raises(ValueError, match=r"ComputeDice\(tag='dice'\): expected label to be a tensor, got ndarray"):
        ComputeDice("dice")(torch.zeros((1, 2, 3)), np.zeros((1, 1, 3)))


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
@pytest.mark.parametrize(
    "make", [ComputeDice, DiceMaskedOutput, lambda tag: DiceMaskedOutput([tag, f"{tag}_0", f"{tag}_1"])]
)
def test_who_changes_an_output_changes_no_other(make):
    predictions, label = scores_of(2, 2, (9,)), indices_of(2, 2, (9,))
    alone = make("dice")
    alone(predictions, label)
    context = BuildContext(predictions, label)
    for value in make("first")(predictions, label, build_ctx=context).values():
        value.mul_(100)
    shared = make("dice")
    shared(predictions, label, build_ctx=context)
    assert shared.aggregate() == alone.aggregate()
