import itertools
import math

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from reference import multiclass_preds

from benchmarks.host import Operations
from monai_auxops import BuildContext, ComputeMulticlassPreds

FORMATS = {"all_binary": [1, 1, 1], "one_multiclass": [4], "mixed": [3, 1, 2, 1], "one_binary": [1]}


def batch(label_format, dtype=torch.float32):
    logits = (torch.randn(4, sum(label_format)) * 4).to(dtype)
    return logits, torch.stack([torch.randint(0, max(k, 2), (4,)) for k in label_format], 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=2)), ids=str)
@pytest.mark.parametrize("label_format", FORMATS.values(), ids=FORMATS)
def test_an_activation_per_label(label_format, flags, dtype):
    logits, labels = batch(label_format, dtype)
    op = ComputeMulticlassPreds("preds", "labels", *flags, label_format=label_format)
    out = op(logits, labels)
    expected = multiclass_preds(logits, label_format, sigmoid_for_binary=flags[0], softmax_for_multiclass=flags[1])
    np.testing.assert_allclose(out["preds"].numpy(), expected, atol=1e-6)
    assert torch.equal(out["labels"], labels)


def test_probabilities_are_not_rounded_to_half_precision():
    logits = torch.tensor([[6.0, -6.0]], dtype=torch.float16)
    preds = ComputeMulticlassPreds(label_format=[2])(logits, torch.ones(1, 1))["preds"]
    assert preds.dtype == torch.float32
    torch.testing.assert_close(preds, logits.float().softmax(1))


@pytest.mark.parametrize(
    ("label_format", "labels", "expected"),
    [
        ([3, 1], [[2, 1]], [[0, 0, 1, 1]]),
        ([1, 2], [[0, 1]], [[0, 0, 1]]),
        ([3, 1], [[-1, math.nan]], [[math.nan] * 4]),
        ([3, 1], [[3, 2]], [[math.nan] * 4]),
        ([3], [[0.5]], [[math.nan] * 3]),
    ],
    ids=str,
)
def test_labels_onehot(label_format, labels, expected):
    op = ComputeMulticlassPreds(label_format=label_format, labels_onehot=True)
    out = op(torch.zeros(1, sum(label_format)), torch.tensor(labels))
    np.testing.assert_equal(out["labels"].numpy(), np.array(expected, dtype=np.float32))


def test_label_format_of_the_data():
    logits, labels = batch([2, 1])
    ctx = BuildContext(logits, labels, data_property={"label_format": [2, 1]})
    out = ComputeMulticlassPreds()(logits, labels, build_ctx=ctx)
    np.testing.assert_allclose(out["preds"].numpy(), multiclass_preds(logits, [2, 1]), atol=1e-6)


def test_claras_method_takes_labels_and_an_optional_context():
    logits, labels = batch([2, 1])
    op = ComputeMulticlassPreds(label_format=[2, 1])
    assert list(op.get_output_tensors(predictions=logits, labels=labels)) == ["preds", "labels"]


def test_is_neither_printed_nor_summarized_nor_accumulated():
    op = ComputeMulticlassPreds("p", "y", label_format=[2, 1])
    out = op(*(MetaTensor(x) for x in batch([2, 1])))
    assert (op.do_print, op.do_summary, op.accumulated, op.aggregate()) == (False, False, (), {})
    assert [(tag, type(value)) for tag, value in out.items()] == [("p", torch.Tensor), ("y", torch.Tensor)]


def test_a_label_vector_becomes_a_column():
    out = ComputeMulticlassPreds(label_format=[2])(torch.zeros(3, 2), torch.tensor([1, 0, 1]))
    assert out["labels"].shape == (3, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"preds_name": "same", "labels_name": "same"},
        {"preds_name": "pred"},
        {"labels_name": "_y"},
        {"label_format": [0]},
        {"label_format": 2},
    ],
    ids=str,
)
def test_wrong_arguments(options):
    with pytest.raises(ValueError, match=r"ComputeMulticlassPreds\(.*expected .*got"):
        ComputeMulticlassPreds(**options)


WRONG = {
    "no_format": (torch.rand(2, 2), torch.ones(2, 2), None),
    "no_label": (torch.rand(2, 2), None, [2]),
    "columns": (torch.rand(2, 3), torch.ones(2, 1), [2]),
    "labels": (torch.rand(2, 2), torch.ones(2, 2), [2]),
}


@pytest.mark.parametrize(("predictions", "labels", "label_format"), WRONG.values(), ids=WRONG)
def test_wrong_batches(predictions, labels, label_format):
    op = ComputeMulticlassPreds(label_format=label_format)
    with pytest.raises(ValueError, match=r"ComputeMulticlassPreds\(preds_name='preds'.*expect.*got"):
        op(predictions, labels)


def operations(label_format, **options) -> int:
    op, size = ComputeMulticlassPreds(label_format=label_format, **options), sum(label_format)
    logits, labels = torch.zeros(2, size, device="meta"), torch.zeros(2, len(label_format), device="meta").long()
    op(logits, labels)
    with Operations() as counted:
        op(logits, labels, build_ctx=BuildContext(logits, labels))
    return len(counted.kernels)


@pytest.mark.parametrize("onehot", [False, True])
def test_many_labels_cost_as_many_operations_as_one(onehot):
    assert operations([3], labels_onehot=onehot) == operations([3] * 14, labels_onehot=onehot) <= 22
    assert operations([1, 3, 1, 3, 3], labels_onehot=onehot) == operations([3, 1], labels_onehot=onehot)
