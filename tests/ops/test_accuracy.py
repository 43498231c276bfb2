import math
import warnings

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from reference import SPATIAL, class_accuracy, element_accuracy, indices_of, multihot_of, scores_of
from sklearn.metrics import accuracy_score

from monai_auxops import ComputeAccuracy

LABELS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64]
SCORES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def accuracy(predictions, label, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*look one-hot")
        return ComputeAccuracy("accuracy", **options)(predictions, label)["accuracy"].numpy()


@pytest.mark.parametrize("use_sigmoid", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
def test_same_shape_compares_every_element(spatial, channels, use_sigmoid):
    predictions = scores_of(3, channels, spatial) - (0.5 if use_sigmoid else 0)
    label = torch.randint(-1, 3, predictions.shape)  # -1 and 2 are left out
    expected = element_accuracy(predictions, label, use_sigmoid=use_sigmoid)
    np.testing.assert_allclose(accuracy(predictions, label, use_sigmoid=use_sigmoid), expected, atol=1e-6)
    named = "sigmoid" if use_sigmoid else None
    np.testing.assert_allclose(accuracy(predictions, label, final_activation=named), expected, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
def test_class_indices_compare_the_argmax(spatial, classes):
    predictions, label = scores_of(3, classes, spatial), indices_of(3, classes, spatial)
    expected = class_accuracy(predictions, label)
    np.testing.assert_allclose(accuracy(predictions, label), expected, atol=1e-6)
    np.testing.assert_allclose(accuracy(predictions, label[:, 0]), expected, atol=1e-6)
    np.testing.assert_allclose(accuracy(predictions, label, final_activation="softmax"), expected, atol=1e-6)


@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
def test_exclusive_compares_the_argmax_of_onehot_labels(spatial):
    predictions = scores_of(3, 4, spatial)
    label = torch.nn.functional.one_hot(torch.randint(0, 4, (3, *spatial)), 4).movedim(-1, 1)
    np.testing.assert_allclose(
        accuracy(predictions, label, exclusive=True), class_accuracy(predictions, label, onehot=True), atol=1e-6
    )


@pytest.mark.parametrize("label", LABELS, ids=str)
@pytest.mark.parametrize("score", SCORES, ids=str)
@pytest.mark.usefixtures("plain_counts")
def test_dtypes(score, label):
    predictions, multihot, indices = scores_of(3, 4, (7,)), multihot_of(3, 4, (7,)), torch.randint(0, 6, (3, 1, 7))
    given = predictions.to(score)
    np.testing.assert_allclose(accuracy(given, multihot.to(label)), element_accuracy(predictions, multihot), atol=1e-6)
    np.testing.assert_allclose(accuracy(given, indices.to(label)), class_accuracy(predictions, indices), atol=1e-6)


def test_bool_labels_and_predictions():
    predictions, label = scores_of(3, 2, (7,)), multihot_of(3, 2, (7,))
    expected = element_accuracy(predictions, label)
    np.testing.assert_allclose(accuracy(predictions, label.bool()), expected, atol=1e-6)
    np.testing.assert_allclose(accuracy(predictions > 0.5, label.bool()), expected, atol=1e-6)


@pytest.mark.parametrize("shapes", [((4,), (4,)), ((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (4, 1))], ids=str)
def test_one_logit_a_sample(shapes):
    predictions, label = torch.tensor([2.0, -1.0, 3.0, 0.0]), torch.tensor([1, 1, -1, 0])
    out = accuracy(predictions.reshape(shapes[0]), label.reshape(shapes[1]), use_sigmoid=True)
    np.testing.assert_equal(out, [1.0, 0.0, np.nan, 1.0])


@pytest.mark.parametrize("layout", ["meta", "strided", "list"])
def test_layouts(layout):
    predictions, label = scores_of(2, 3, (4, 6)), indices_of(2, 3, (4, 6))
    given = {"meta": MetaTensor(predictions), "strided": predictions.mT.contiguous().mT, "list": [predictions, None]}
    np.testing.assert_allclose(accuracy(given[layout], label), class_accuracy(predictions, label), atol=1e-6)


def test_nan_labels_are_left_out_and_a_nan_prediction_is_never_right():
    predictions = torch.tensor([[0.9, math.nan, 0.1, math.nan], [math.nan] * 4])
    label = torch.tensor([[1.0, 0.0, math.nan, 1.0], [math.nan] * 4])
    np.testing.assert_allclose(accuracy(predictions, label), [1 / 3, np.nan])
    scores = torch.tensor([[[0.9, math.nan, 0.1], [0.1, 0.1, 0.9]]])
    np.testing.assert_allclose(accuracy(scores, torch.tensor([[[0.0, 1.0, math.nan]]])), [1 / 2])


def test_epoch_value_equals_scikit_learn():
    op, predicted, true = ComputeAccuracy("accuracy"), [], []
    for size in (5, 1, 7):
        predictions, label = torch.rand(size, 4), torch.randint(0, 4, (size, 1))
        op(predictions, label)
        predicted += predictions.argmax(1).tolist()
        true += label[:, 0].tolist()
    assert op.aggregate()["accuracy"] == pytest.approx(accuracy_score(true, predicted), abs=1e-6)


def test_onehot_labels_warn_once():
    op, label = ComputeAccuracy("accuracy"), torch.eye(3)
    with pytest.warns(UserWarning, match=r"ComputeAccuracy\(tag='accuracy'\).*exclusive=True") as caught:
        _ = [(op(torch.rand(3, 3), label), op.aggregate()) for _ in range(3)]
    assert len(caught) == 1


def test_guessing_among_105_onehot_classes_scores_098_unless_exclusive():
    label = torch.nn.functional.one_hot(torch.arange(105), 105)
    guess = torch.nn.functional.one_hot((torch.arange(105) + 1) % 105, 105).float()
    assert accuracy(guess, label).mean() > 0.98
    assert accuracy(guess, label, exclusive=True).mean() == 0.0


@pytest.mark.parametrize(
    ("predictions", "label"),
    [(torch.rand(2, 5), torch.tensor([[1, 0, 1, 0, 0], [1, 1, 1, 0, 0]])), (torch.rand(2, 1), torch.ones(2, 1))],
    ids=["multilabel", "one_column"],
)
def test_other_labels_do_not_warn(predictions, label):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for op, *batch in (
            (ComputeAccuracy("accuracy"), predictions, label),
            (ComputeAccuracy("accuracy", exclusive=True), torch.rand(3, 3), torch.eye(3)),
        ):
            op(*batch)
            op.aggregate()


@pytest.mark.parametrize(
    "options",
    [
        {"final_activation": "relu"},
        {"use_sigmoid": True, "final_activation": "sigmoid"},
        {"use_sigmoid": True, "final_activation": "softmax"},
        {"stage": "late"},
    ],
    ids=str,
)
def test_wrong_arguments(options):
    with pytest.raises(ValueError, match=r"ComputeAccuracy\(tag='accuracy'.*expected .*got"):
        ComputeAccuracy("accuracy", **options)


WRONG = {
    "no_label": (torch.rand(2, 3), None, {}),
    "softmax_of_binary_labels": (torch.rand(2, 3), torch.ones(2, 3), {"final_activation": "softmax"}),
    "one_channel": (torch.rand(2, 1, 4), torch.ones(2, 1, 5), {}),
    "one_channel_exclusive": (torch.rand(2, 1, 4), torch.ones(2, 1, 4), {"exclusive": True}),
    "spatial": (torch.rand(2, 3, 4), torch.ones(2, 1, 5), {}),
    "channels": (torch.rand(2, 3, 4), torch.ones(2, 2, 4), {}),
}


@pytest.mark.parametrize(("predictions", "label", "options"), WRONG.values(), ids=WRONG)
def test_wrong_batches(predictions, label, options):
    with pytest.raises(ValueError, match=r"(?s)ComputeAccuracy\(tag='accuracy'.*expected .*got"):
        ComputeAccuracy("accuracy", **options)(predictions, label)
