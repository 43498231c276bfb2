"""The functions give what the classes give, batch by batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import dice_per_class, indices_of, multihot_of, scores_of

from monai_auxops import BuildContext, ComputeAccuracy, ComputeDice, functional

OPTIONS = st.fixed_dictionaries(
    {
        "skip_background": st.booleans(),
        "is_onehot_targets": st.booleans(),
        "is_independent_predictions": st.booleans(),
        "threshold": st.sampled_from([0.3, 0.5]),
    }
)


@given(OPTIONS, st.integers(2, 4), st.booleans(), st.integers(0, 99))
def test_dice_and_jaccard_equal_the_reference_and_the_class(options, classes, jaccard, seed):
    torch.manual_seed(seed)
    predictions = scores_of(2, classes, (3, 4))
    label = (multihot_of if options["is_onehot_targets"] else indices_of)(2, classes, (3, 4))
    each = (functional.jaccard if jaccard else functional.dice)(predictions, label, **options)
    np.testing.assert_allclose(each, dice_per_class(predictions, label, jaccard=jaccard, **options), atol=1e-6)
    mean = ComputeDice("dice", jaccard=jaccard, **options)(predictions, label)["dice"]
    torch.testing.assert_close(each.nanmean(1), mean, rtol=0, atol=0, equal_nan=True)


@given(st.booleans(), st.sampled_from([None, 1, 2]), st.integers(0, 99))
def test_masks_and_ignored_labels_are_left_out_as_in_the_class(onehot, ignored, seed):
    torch.manual_seed(seed)
    predictions, label = scores_of(2, 3, (5,)), (multihot_of if onehot else indices_of)(2, 3, (5,))
    mask = torch.randint(0, 2, (2, 1, 5))
    ctx = BuildContext(predictions, label, batch={"mask": mask})
    options = {"is_onehot_targets": onehot, "ignore_index": ignored}
    expected = ComputeDice("dice", mask_key="mask", **options)(predictions, label, build_ctx=ctx)["dice"]
    each = functional.dice(predictions, label, mask=mask, **options)
    torch.testing.assert_close(each.nanmean(1), expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4)])
def test_accuracy_equals_the_class(shape):
    predictions = torch.randn(shape)
    for label, options in (
        (torch.randint(-1, 3, (2, 1, *shape[2:])), {}),
        (torch.randint(-1, 2, shape), {}),
        (torch.randint(0, 2, shape), {"exclusive": True}),
    ):
        expected = ComputeAccuracy("a", **options)(predictions, label)["a"]
        torch.testing.assert_close(functional.accuracy(predictions, label, **options), expected, equal_nan=True)


def test_counts_and_confusion_agree():
    predictions, label = scores_of(2, 3, (6,)), indices_of(2, 3, (6,))
    tp, fp, fn, tn = functional.counts(predictions, label)
    table = functional.confusion(predictions, label)
    assert torch.equal(table.diagonal(dim1=1, dim2=2), tp)
    assert torch.equal(table.sum(2) - tp, fn)
    assert torch.equal(table.sum(1) - tp, fp)
    assert torch.equal(tp + fp + fn + tn, table.sum((1, 2))[:, None].expand(2, 3))


def test_bad_input_says_what_was_expected():
    predictions, label = torch.rand(1, 1, 4), torch.ones(1, 1, 4)
    with pytest.raises(ValueError, match="skip_background drops class 0, expected at least 2 channels, got 1"):
        functional.dice(predictions, label, skip_background=True)
    with pytest.raises(ValueError, match=r"expected threshold to be a number, got '0\.5'"):
        functional.counts(predictions, label, threshold="0.5")
    with pytest.raises(ValueError, match=r"expected a label of the shape \[1, 1, 4\], got \[1, 5\]"):
        functional.accuracy(predictions, torch.ones(1, 5))


def test_nothing_is_kept_of_gradients_or_of_the_input():
    predictions = torch.rand(1, 2, 4, requires_grad=True)
    value = functional.dice(predictions, torch.zeros(1, 1, 4), empty_value=math.nan)
    assert not value.requires_grad
