import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from reference import multiclass_accuracy

from benchmarks.host import Operations
from monai_auxops import BuildContext, ComputeMulticlassAccuracy

FORMATS = {"all_binary": [1, 1, 1], "one_multiclass": [4], "mixed": [3, 1, 2, 1], "one_binary": [1]}
SCORES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
LABELS = [torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64]


def batch(label_format, size=6, low=-1, above=1):
    """Quarters (ties, and exactly 0 and 0.5); labels from -1 to one too many."""
    logits = torch.randint(-4, 5, (size, sum(label_format))) / 4
    return logits, torch.stack([torch.randint(low, max(k, 2) + above, (size,)) for k in label_format], 1)


def accuracy(predictions, labels, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*second sigmoid")
        return ComputeMulticlassAccuracy("accuracy", **options)(predictions, labels)["accuracy"].numpy()


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=3)), ids=str)
@pytest.mark.parametrize("label_format", FORMATS.values(), ids=FORMATS)
def test_every_combination_of_options(label_format, flags):
    binary, _multiclass, second = flags
    logits, labels = batch(label_format)
    options = dict(
        zip(("use_sigmoid_for_binary", "use_softmax_for_multiclass", "use_sigmoid_for_accuracy"), flags, strict=True)
    )
    expected = multiclass_accuracy(logits, labels, label_format, sigmoid_for_binary=binary, second_sigmoid=second)
    np.testing.assert_allclose(accuracy(logits, labels, label_format=label_format, **options), expected, atol=1e-6)


@pytest.mark.parametrize("label", LABELS, ids=str)
@pytest.mark.parametrize("score", SCORES, ids=str)
def test_dtypes(score, label):
    logits, labels = batch([3, 1, 2])
    out = accuracy(logits.to(score), labels.to(label), label_format=[3, 1, 2])
    np.testing.assert_allclose(out, multiclass_accuracy(logits, labels, [3, 1, 2]), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool], ids=str)
def test_unsigned_labels(dtype):
    logits, labels = batch([1, 2, 1], low=0, above=0)
    out = accuracy(logits, labels.to(dtype), label_format=[1, 2, 1])
    np.testing.assert_allclose(out, multiclass_accuracy(logits, labels, [1, 2, 1]), atol=1e-6)


def test_labels_that_name_no_class_are_left_out():
    logits = torch.tensor([[0.1, 0.9, 0.0, 2.0]] * 5)
    labels = torch.tensor([[1.0, math.nan], [3, 1], [-1, -1], [0.5, 1], [1, 2]])
    np.testing.assert_equal(accuracy(logits, labels, label_format=[3, 1]), [1, 1, np.nan, 1, 1])


def test_a_nan_prediction_is_never_right():
    logits = torch.tensor([[math.nan, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, math.nan], [0.0, 1.0, 0.0, 1.0]])
    np.testing.assert_equal(accuracy(logits, torch.tensor([[1, 1]] * 3), label_format=[3, 1]), [0.5, 0.5, 1])


@pytest.mark.parametrize("logit", [-200.0, -20.0, -1.0, 0.0, 3.0])
def test_a_second_sigmoid_makes_every_binary_prediction_positive(logit):
    out = accuracy(torch.tensor([[logit]]), torch.tensor([[1]]), label_format=[1], use_sigmoid_for_accuracy=True)
    assert out == [1.0]


def test_the_second_sigmoid_warns_once_and_only_then():
    op = ComputeMulticlassAccuracy("accuracy", label_format=[1, 1], use_sigmoid_for_accuracy=True)
    with pytest.warns(UserWarning, match=r"ComputeMulticlassAccuracy\(tag='accuracy'.*second sigmoid") as caught:
        _ = [op(*batch([1, 1])) for _ in range(3)]
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ComputeMulticlassAccuracy("accuracy", label_format=[1, 1])(*batch([1, 1]))


def test_label_format_of_the_data_unless_the_argument_says_otherwise():
    logits, labels = batch([2, 1])
    ctx = BuildContext(logits, labels, data_property={"label_format": [2, 1]})
    came = ComputeMulticlassAccuracy("accuracy")(logits, labels, build_ctx=ctx)["accuracy"]
    np.testing.assert_allclose(came.numpy(), multiclass_accuracy(logits, labels, [2, 1]), atol=1e-6)
    ctx = BuildContext(logits, labels, data_property={"label_format": [2, 1]})
    came = ComputeMulticlassAccuracy("accuracy", label_format=[1, 2])(logits, labels, build_ctx=ctx)["accuracy"]
    np.testing.assert_allclose(came.numpy(), multiclass_accuracy(logits, labels, [1, 2]), atol=1e-6)


def test_claras_method_takes_labels_and_an_optional_context():
    logits, labels = batch([2, 1])
    op = ComputeMulticlassAccuracy("accuracy", label_format=[2, 1])
    assert list(op.get_output_tensors(predictions=logits, labels=labels)) == ["accuracy"]


def test_metatensor_and_vectors():
    logits, labels = torch.tensor([1.0, -1.0]), torch.tensor([1, 1])
    out = ComputeMulticlassAccuracy("accuracy", label_format=[1])(MetaTensor(logits), MetaTensor(labels))["accuracy"]
    assert out.tolist() == [1.0, 0.0]
    assert type(out) is torch.Tensor


@pytest.mark.parametrize(
    "options", [{"label_format": []}, {"label_format": [-1]}, {"label_format": 2}, {"stage": "late"}], ids=str
)
def test_wrong_arguments(options):
    with pytest.raises(ValueError, match=r"ComputeMulticlassAccuracy\(tag='accuracy'.*expected .*got"):
        ComputeMulticlassAccuracy("accuracy", **options)


WRONG = {
    "no_format": (torch.rand(2, 2), torch.ones(2, 2), None),
    "no_label": (torch.rand(2, 2), None, [2]),
    "columns": (torch.rand(2, 3), torch.ones(2, 1), [2]),
    "labels": (torch.rand(2, 2), torch.ones(2, 2), [2]),
    "batch": (torch.rand(2, 2), torch.ones(3, 1), [2]),
}


@pytest.mark.parametrize(("predictions", "labels", "label_format"), WRONG.values(), ids=WRONG)
def test_wrong_batches(predictions, labels, label_format):
    op = ComputeMulticlassAccuracy("accuracy", label_format=label_format)
    with pytest.raises(ValueError, match=r"ComputeMulticlassAccuracy\(tag='accuracy'.*expect.*got"):
        op(predictions, labels)


def operations(label_format) -> int:
    op = ComputeMulticlassAccuracy("accuracy", label_format=label_format)
    logits, labels = (x.to("meta") for x in batch(label_format, low=0, above=0))
    op(logits, labels)
    with Operations() as counted:
        op(logits, labels)
    return len(counted.kernels)


def test_many_labels_cost_as_many_operations_as_one():
    assert operations([1]) == operations([1] * 14) == 31
    assert operations([3, 3, 3]) == operations([3])
    assert operations([1, 3, 1, 3, 3]) == operations([3, 1])
