import math

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from reference import SPATIAL, mean_of_valid, reduce_mean_masked

from monai_auxops import ReduceMeanMasked

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
LABELS = [torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64]


def batch(spatial, channels=3, label_channels=1):
    predictions = torch.randn(2, channels, *spatial)
    predictions.view(-1)[::7] = math.nan
    predictions.view(-1)[3::11] = math.inf
    label = torch.randint(-1, 3, (2, label_channels, *spatial)).float()
    label.view(-1)[::5] = math.nan
    return predictions, label


def check(predictions, label, axis=None, **options):
    out = ReduceMeanMasked("mean", axis=axis, **options)(predictions, label)
    sample = tuple(range(1, predictions.dim()))
    mean, mask = reduce_mean_masked(predictions, label, sample if axis is None else axis, **options)
    np.testing.assert_allclose(out["mean"].numpy(), mean, atol=1e-6, rtol=1e-6)
    np.testing.assert_array_equal(out["mean_mask"].numpy(), mask)


@pytest.mark.parametrize("label_channels", [0, 1, 3])
@pytest.mark.parametrize("activation", [None, "sigmoid", "softmax"])
@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
def test_one_value_per_sample(spatial, activation, label_channels):
    predictions, label = batch(spatial, label_channels=max(label_channels, 1))
    if activation:  # a NaN or an infinity is for the reference's float64 what it is for float32
        predictions = torch.randn(2, 3, *spatial)
    check(predictions, label if label_channels else None, final_activation=activation)


@pytest.mark.parametrize(
    "axis", [0, 1, -1, 2, [1, 2], (2, 3), [0, 2, 3], [1, 2, 3], [-1, -2, -3], [0, 1, 2, 3], []], ids=str
)
def test_axes_of_the_batched_tensor(axis):
    check(*batch((3, 4)), axis=axis)


@pytest.mark.parametrize("label", LABELS, ids=str)
@pytest.mark.parametrize("score", DTYPES, ids=str)
def test_dtypes(score, label):
    predictions, labels = torch.randn(2, 3, 4).to(score), torch.randint(-1, 3, (2, 3, 4)).to(label)
    check(predictions, labels)
    check(predictions, labels, axis=[1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool], ids=str)
def test_unsigned_labels_leave_nothing_out(dtype):
    predictions = torch.randn(2, 3, 4)
    out = ReduceMeanMasked("mean")(predictions, torch.randint(0, 2, (2, 3, 4)).to(dtype))
    torch.testing.assert_close(out["mean"], predictions.mean((1, 2)))


def test_half_precision_is_summed_in_float32():
    predictions = torch.full((1, 1, 64, 64, 32), 0.1, dtype=torch.float16)
    mean = ReduceMeanMasked("mean")(predictions, None)["mean"]
    assert mean.dtype == torch.float32
    assert mean.item() == pytest.approx(float(predictions.flatten()[0]), rel=1e-5)


def test_a_label_without_the_channel_dimension_counts():
    predictions, label = batch((4, 5))
    with_channel = ReduceMeanMasked("mean")(predictions, label)["mean"]
    torch.testing.assert_close(ReduceMeanMasked("mean")(predictions, label[:, 0])["mean"], with_channel)


@pytest.mark.parametrize("shape", [(3,), (3, 1)], ids=str)
@pytest.mark.parametrize("label_shape", [(3,), (3, 1)], ids=str)
def test_one_logit_a_sample(shape, label_shape):
    predictions, label = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, -1, 2])
    out = ReduceMeanMasked("mean")(predictions.reshape(shape), label.reshape(label_shape))
    np.testing.assert_equal(out["mean"].numpy(), [1.0, np.nan, 3.0])
    assert out["mean_mask"].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("shape", [(2, 2, 4), (2, 3, 5), (2, 1, 1, 4)], ids=str)
def test_a_label_of_another_shape_masks_nothing(shape):
    predictions = torch.randn(2, 3, 4)
    out = ReduceMeanMasked("mean")(predictions, torch.full(shape, -1))
    torch.testing.assert_close(out["mean"], predictions.mean((1, 2)))


def test_nothing_valid_is_nan_with_mask_0_and_skipped_in_the_epoch():
    op = ReduceMeanMasked("mean", "valid")
    out = op(torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]]]), torch.tensor([[[1, 0]], [[-1, -1]]]))
    np.testing.assert_equal(out["mean"].numpy(), [2.0, np.nan])
    assert out["valid"].tolist() == [1.0, 0.0]
    assert op.aggregate() == {"mean": 2.0}


def test_the_epoch_value_is_the_mean_over_samples_not_entries():
    op, values = ReduceMeanMasked("mean"), []
    for size in (2, 1, 3):
        predictions, label = batch((size, 4))
        op(predictions, label)
        values += reduce_mean_masked(predictions, label, (1, 2, 3))[0].tolist()
    assert op.aggregate()["mean"] == pytest.approx(mean_of_valid(values), abs=1e-6)


@pytest.mark.parametrize(
    ("axis", "accumulated"),
    [(None, True), ([1, 2], True), ((-1, -2), True), (0, False), ([0, 1, 2], False), (1, False), ([], False)],
    ids=str,
)
def test_only_a_value_per_sample_is_accumulated(axis, accumulated):
    op = ReduceMeanMasked("mean", axis=axis)
    op(torch.randn(2, 2, 2), torch.zeros(2, 1, 2))  # each reduced tensor might be mistaken for [B] = [2]
    assert list(op.aggregate()) == (["mean"] if accumulated else [])


def test_two_outputs_always_plain_tensors():
    out = ReduceMeanMasked("mean")(MetaTensor(torch.randn(2, 1, 4)).requires_grad_(), MetaTensor(torch.ones(2, 1, 4)))
    assert {tag: type(value) for tag, value in out.items()} == {"mean": torch.Tensor, "mean_mask": torch.Tensor}
    assert not out["mean"].requires_grad


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64], ids=str)
@pytest.mark.parametrize("axis", [None, [2]])
def test_an_unsigned_label_leaves_nothing_out(dtype, axis):
    predictions, label = torch.randn(2, 1, 4), torch.ones(2, 1, 4)
    out = ReduceMeanMasked("mean", axis=axis)(predictions, label.to(dtype))
    torch.testing.assert_close(out, ReduceMeanMasked("mean", axis=axis)(predictions, label))


def test_layouts():
    predictions, label = batch((4, 6))
    expected = ReduceMeanMasked("mean")(predictions, label)["mean"]
    for given in (predictions.mT.contiguous().mT, predictions.to(memory_format=torch.channels_last), [predictions, 0]):
        torch.testing.assert_close(ReduceMeanMasked("mean")(given, label)["mean"], expected)


@pytest.mark.parametrize(
    "options",
    [
        {"mask_tag": "mean"},
        {"mask_tag": "_mask"},
        {"axis": "channel"},
        {"axis": [1, 2.0]},
        {"axis": 1.5},
        {"final_activation": "tanh"},
        {"stage": "late"},
    ],
    ids=str,
)
def test_wrong_arguments(options):
    with pytest.raises(ValueError, match=r"ReduceMeanMasked\(tag='mean'.*expected .*got"):
        ReduceMeanMasked("mean", **options)


@pytest.mark.parametrize("axis", [3, -4, [0, 5]], ids=str)
def test_an_axis_that_is_not_there(axis):
    with pytest.raises(ValueError, match=r"ReduceMeanMasked\(tag='mean'.*expected axis within the 3 axes.*got"):
        ReduceMeanMasked("mean", axis=axis)(torch.rand(2, 3, 4), None)


def test_a_softmax_over_no_channels():
    with pytest.raises(ValueError, match=r"ReduceMeanMasked\(tag='mean'.*expected predictions \[B, C"):
        ReduceMeanMasked("mean", final_activation="softmax")(torch.rand(2), None)
