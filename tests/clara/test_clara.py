"""The classes that migrated bundles need, against PyTorch and MONAI."""

import pytest
import torch
from monai.transforms import ConvertToMultiChannelBasedOnBratsClasses

from monai_auxops.clara import ActivateByLabelFormatd, BratsClassesd, MulticlassClassificationLoss


def test_binary_labels_are_a_binary_cross_entropy():
    logits, label = torch.randn(4, 5), torch.randint(0, 2, (4, 5))
    loss = MulticlassClassificationLoss([1] * 5)(logits, label)
    torch.testing.assert_close(loss, torch.nn.functional.binary_cross_entropy_with_logits(logits, label.float()))


def test_a_label_of_several_classes_is_a_cross_entropy():
    logits, label = torch.randn(4, 3), torch.tensor([[0], [2], [1], [1]])
    expected = torch.nn.functional.cross_entropy(logits, label[:, 0], weight=torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(MulticlassClassificationLoss([3], [1, 2, 3])(logits, label), expected)
    torch.testing.assert_close(MulticlassClassificationLoss((), [1, 2, 3])(logits, label[:, 0]), expected)


def test_mixed_labels_are_averaged():
    logits, label = torch.randn(4, 4), torch.tensor([[1.0, 0], [0, 2], [1, 1], [0, 0]])
    parts = [
        MulticlassClassificationLoss([1])(logits[:, :1], label[:, :1]),
        MulticlassClassificationLoss([3])(logits[:, 1:], label[:, 1:]),
    ]
    torch.testing.assert_close(MulticlassClassificationLoss([1, 3])(logits, label), torch.stack(parts).mean())


def test_the_loss_has_a_gradient_and_no_parameters():
    loss = MulticlassClassificationLoss([1, 3], [1, 1, 1])
    logits = torch.randn(2, 4, requires_grad=True)
    loss(logits, torch.tensor([[1, 2], [0, 0]])).backward()
    assert logits.grad.abs().sum() > 0
    assert list(loss.parameters()) == []


@pytest.mark.parametrize(("shape", "labels"), [((2, 3), (2, 2)), ((2, 4), (2, 1))])
def test_shapes_that_do_not_fit(shape, labels):
    with pytest.raises(ValueError, match=r"label_format \[1, 3\] expected 4 logits and 2 labels"):
        MulticlassClassificationLoss([1, 3])(torch.zeros(shape), torch.zeros(labels))
    with pytest.raises(ValueError, match="1 or more"):
        MulticlassClassificationLoss([0])


def test_all_brats_classes_are_monais():
    label = torch.tensor([0, 1, 2, 4])[torch.randint(0, 4, (1, 4, 5, 6))]
    found = BratsClassesd("label", ["TC", "WT", "ET"])({"label": label})["label"]
    assert torch.equal(found.bool(), ConvertToMultiChannelBasedOnBratsClasses()(label).bool())


def test_a_subset_in_its_order():
    item = {"label": torch.tensor([[0, 1, 2, 4]]), "other": 1}
    found = BratsClassesd(["label"], ["WT"])(item)
    assert found["label"].tolist() == [[0.0, 1.0, 1.0, 1.0]]
    assert found["other"] == 1
    assert BratsClassesd("label", ["ET"])({"label": torch.tensor([0, 4])})["label"].tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("names", [[], ["XX"]])
def test_unknown_brats_classes(names):
    with pytest.raises(ValueError, match="class names among"):
        BratsClassesd("label", names)


def test_activation_by_label_format():
    found = ActivateByLabelFormatd("pred", [1, 3])({"pred": torch.tensor([0.0, 1.0, 2.0, 3.0])})["pred"]
    expected = torch.cat([torch.tensor([0.5]), torch.softmax(torch.tensor([1.0, 2.0, 3.0]), 0)])
    torch.testing.assert_close(found, expected)
