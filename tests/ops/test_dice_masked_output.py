"""What DiceMaskedOutput adds to the shared Dice: one tag per class."""

import pytest
import torch
from reference import dice_per_class, dice_per_sample, indices_of, mean_of_valid, scores_of

from monai_auxops import DiceMaskedOutput


@pytest.mark.parametrize("tags", ["dice", ["dice"], ("dice",)], ids=repr)
@pytest.mark.parametrize("classes", [1, 3])
def test_one_tag_is_the_mean_over_present_classes(classes, tags):
    predictions, label = scores_of(3, classes, (6,)), indices_of(3, classes, (6,))
    out = DiceMaskedOutput(tags)(predictions, label)
    assert list(out) == ["dice"]
    assert out["dice"].tolist() == pytest.approx(dice_per_sample(predictions, label), abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("skip_background", [False, True])
def test_the_other_tags_name_the_classes_in_order(skip_background):
    predictions, label = scores_of(3, 4, (8,)), indices_of(3, 4, (8,))
    names = ["a", "b", "c", "d"][int(skip_background) :]
    out = DiceMaskedOutput(["dice", *names], skip_background=skip_background)(predictions, label)
    expected = dice_per_class(predictions, label, skip_background=skip_background)
    for c, name in enumerate(names):
        assert out[name].tolist() == pytest.approx([sample[c] for sample in expected], abs=1e-6, nan_ok=True)


def test_two_channels_without_background_leave_one_class_and_one_tag():
    predictions, label = scores_of(2, 2, (6,)), indices_of(2, 2, (6,))
    assert list(DiceMaskedOutput("dice", skip_background=True)(predictions, label)) == ["dice"]
    with pytest.raises(ValueError, match="expected 1 tags for 1 classes, got 2"):
        DiceMaskedOutput(["dice", "dice_1"], skip_background=True)(predictions, label)


@pytest.mark.parametrize("number", [2, 3, 5, 6])
def test_a_number_of_tags_that_does_not_fit_says_both_numbers(number):
    op = DiceMaskedOutput([f"t{i}" for i in range(number)])
    with pytest.raises(ValueError, match=rf"DiceMaskedOutput\(tags=.*'t0'.*expected 1 or 4 tags.*got {number}"):
        op(torch.rand(1, 3, 4), torch.zeros(1, 1, 4))


@pytest.mark.parametrize("tags", [[], ["a", "a"], ["a", "_b"], ["a", "loss"], ["a", ""], ["a", 3], 5, None], ids=repr)
def test_tags_that_cannot_be(tags):
    with pytest.raises(ValueError, match=r"DiceMaskedOutput\(.*expected .*got"):
        DiceMaskedOutput(tags)


def test_every_class_has_its_own_number_of_samples():
    """A class that a sample lacks does not count for that sample: neither as 0 nor in the divisor."""
    op, rows = DiceMaskedOutput(["mean", "a", "b", "c"]), []
    for size in (2, 3, 1):
        predictions, label = scores_of(size, 3, (4,)), torch.randint(0, 2, (size, 1, 4))  # class 2 never occurs
        label[0] = 1
        op(predictions, label)
        rows += dice_per_class(predictions, label)
    expected = {"mean": mean_of_valid([mean_of_valid(row) for row in rows])}
    expected |= {tag: mean_of_valid(column) for tag, column in zip("abc", zip(*rows, strict=True), strict=True)}
    assert op.aggregate() == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert op.aggregate()["c"] != op.aggregate()["c"]  # NaN: nothing to measure in the whole epoch
