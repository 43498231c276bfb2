"""What ComputeDice adds to the shared Dice: one value per sample, and its mask."""

import numpy as np
import pytest
import torch
from reference import dice_per_sample, indices_of, mean_of_valid, scores_of

from monai_auxops import ComputeDice


def test_without_a_mask_tag_there_is_one_output():
    assert list(ComputeDice("dice")(scores_of(2, 3, (5,)), indices_of(2, 3, (5,)))) == ["dice"]


@pytest.mark.parametrize(("skip_background", "classes"), [(False, 3), (True, 2)])
def test_the_mask_marks_the_valid_classes_and_is_not_accumulated(skip_background, classes):
    label = torch.tensor([[[0, 0, 2]], [[1, 1, 1]]])
    op = ComputeDice("dice", "mask", skip_background=skip_background)
    mask = op(torch.rand(2, 3, 3), label)["mask"]
    assert mask.tolist() == [[1.0, 0.0, 1.0][-classes:], [0.0, 1.0, 0.0][-classes:]]
    assert mask.dtype == torch.float32
    assert list(op.aggregate()) == ["dice"]


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
def test_the_epoch_value_is_the_mean_over_valid_samples():
    op, expected = ComputeDice("dice"), []
    for size in (3, 1, 4):
        predictions, label = scores_of(size, 3, (6,)), indices_of(size, 3, (6,))
        label[0] = -1  # the first sample of each batch has nothing to measure
        op(predictions, label)
        expected += dice_per_sample(predictions, label)
    assert sum(np.isnan(expected)) >= 3
    assert op.aggregate()["dice"] == pytest.approx(mean_of_valid(expected), abs=1e-6)


@pytest.mark.parametrize("mask_tag", ["dice", "_mask", "", "pred"])
def test_a_mask_tag_that_cannot_be(mask_tag):
    with pytest.raises(ValueError, match=rf"ComputeDice\(tag='dice'.*expected.*{mask_tag!r}"):
        ComputeDice("dice", mask_tag=mask_tag)
