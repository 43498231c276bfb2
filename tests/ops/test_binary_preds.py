import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from reference import array, sigmoid

from monai_auxops import BuildContext, ComputeBinaryPreds

SCORES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
FORMATS = {"all_binary": [1, 1, 1], "mixed": [3, 1, 2, 1], "one": [1]}


def batch(label_format, dtype=torch.float32):
    logits = (torch.randn(4, sum(label_format)) * 4).to(dtype)
    return logits, torch.stack([torch.randint(0, max(k, 2), (4,)) for k in label_format], 1)


@pytest.mark.parametrize("dtype", SCORES, ids=str)
@pytest.mark.parametrize("label_format", FORMATS.values(), ids=FORMATS)
def test_sigmoid_of_the_binary_columns_and_their_labels(label_format, dtype):
    logits, labels = batch(label_format, dtype)
    out = ComputeBinaryPreds(label_format=label_format)(logits, labels)
    starts = [sum(label_format[:i]) for i, k in enumerate(label_format) if k == 1]
    np.testing.assert_allclose(out["binary_preds"].numpy(), sigmoid(array(logits)[:, starts]), atol=1e-6)
    assert torch.equal(out["binary_labels"], labels[:, [i for i, k in enumerate(label_format) if k == 1]])


def test_without_a_label_format_all_columns_are_binary():
    logits, labels = batch([1, 1, 1])
    out = ComputeBinaryPreds()(logits, labels)
    torch.testing.assert_close(out["binary_preds"], logits.sigmoid())
    assert torch.equal(out["binary_labels"], labels)


@pytest.mark.parametrize("given", [None, [1, 2]], ids=["from_data", "argument_wins"])
def test_label_format_of_the_data(given):
    logits, labels = batch([2, 1])
    ctx = BuildContext(logits, labels, data_property={"label_format": [2, 1]})
    out = ComputeBinaryPreds(label_format=given)(logits, labels, build_ctx=ctx)
    assert torch.equal(out["binary_labels"][:, 0], labels[:, 0 if given else 1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64, torch.bool, torch.float16, torch.float64])
def test_labels_stay_as_they_are(dtype):
    labels = torch.tensor([[1], [0]]).to(dtype)
    out = ComputeBinaryPreds()(torch.randn(2, 1), labels)
    assert torch.equal(out["binary_labels"], labels)
    assert out["binary_labels"].dtype == dtype


@pytest.mark.parametrize("shape", [(3,), (3, 1)], ids=str)
def test_one_logit_a_sample(shape):
    out = ComputeBinaryPreds()(torch.zeros(shape), torch.tensor([1, 0, 1]))
    assert out["binary_preds"].tolist() == [[0.5]] * 3
    assert out["binary_labels"].tolist() == [[1], [0], [1]]


def test_metatensor_and_names():
    logits, labels = batch([1, 1])
    out = ComputeBinaryPreds("p", "y")(MetaTensor(logits), MetaTensor(labels))
    assert list(out) == ["p", "y"]
    assert {type(value) for value in out.values()} == {torch.Tensor}


def test_is_neither_printed_nor_summarized_nor_accumulated():
    op = ComputeBinaryPreds()
    op(*batch([1, 1]))
    assert (op.do_print, op.do_summary, op.accumulated, op.aggregate()) == (False, False, (), {})


@pytest.mark.parametrize(
    "options",
    [
        {"binary_preds_name": "same", "binary_labels_name": "same"},
        {"binary_preds_name": "_p"},
        {"binary_labels_name": "label"},
        {"label_format": []},
        {"label_format": [0, 1]},
        {"label_format": 3},
        {"label_format": "11"},
        {"label_format": [1.0]},
        {"stage": "late"},
    ],
    ids=str,
)
def test_wrong_arguments(options):
    with pytest.raises(ValueError, match=r"ComputeBinaryPreds\(.*expected .*got"):
        ComputeBinaryPreds(**options)


WRONG = {
    "no_label": (torch.rand(2, 2), None, None),
    "columns": (torch.rand(2, 3), torch.ones(2, 2), None),
    "batch": (torch.rand(2, 2), torch.ones(3, 2), None),
    "format": (torch.rand(2, 3), torch.ones(2, 2), [1, 1]),
    "no_binary_label": (torch.rand(2, 3), torch.ones(2, 1), [3]),
    "images": (torch.rand(2, 1, 4), torch.ones(2, 1, 4), None),
}


@pytest.mark.parametrize(("predictions", "labels", "label_format"), WRONG.values(), ids=WRONG)
def test_wrong_batches(predictions, labels, label_format):
    op = ComputeBinaryPreds("p", "y", label_format=label_format)
    with pytest.raises(ValueError, match=r"ComputeBinaryPreds\(binary_preds_name='p'.*expect.*got"):
        op(predictions, labels)


def test_a_wrong_format_of_the_data_is_named():
    ctx = BuildContext(torch.rand(2, 1), torch.ones(2, 1), data_property={"label_format": ["1"]})
    with pytest.raises(ValueError, match=r"ComputeBinaryPreds\(binary_preds_name='binary_preds'.*got \['1'\]"):
        ComputeBinaryPreds()(ctx.predictions, ctx.label, build_ctx=ctx)
