"""The process' default dtype and default device change no value."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import monai_auxops as ma
from monai_auxops import functional
from monai_auxops.counting.overlap import STATISTICS

HEIGHT, WIDTH = 260, 264  # in a sample more voxels than float16 can hold
INDEX = (torch.arange(2 * HEIGHT * WIDTH) % 3).view(2, 1, HEIGHT, WIDTH)
SCORES = torch.nn.functional.one_hot(INDEX[:, 0].roll(1, 1), 3).movedim(-1, 1).float() * 0.9
SCORES[:, :, :90] = SCORES[:, :, :90].roll(1, 1)
LOGITS, LABELS = torch.linspace(-3, 3, 24).view(6, 4), torch.tensor([[0, 1], [2, 0], [1, 1], [2, 1], [0, 0], [1, 0]])
ONEHOT = torch.nn.functional.one_hot(INDEX[:, 0], 3).movedim(-1, 1)

OPS = {
    "dice": (lambda: ma.ComputeDice("a", class_names=["x", "y", "z"], statistics=STATISTICS), SCORES, INDEX),
    "jaccard": (lambda: ma.DiceMaskedOutput("a", jaccard=True, empty_value=1.0), SCORES, INDEX),
    "independent": (
        lambda: ma.ComputeDice("a", is_independent_predictions=True, final_activation="softmax"),
        SCORES * 4 - 2,
        INDEX,
    ),
    "class maps": (lambda: ma.ComputeDice("a", num_classes=3), INDEX.roll(1, 2), INDEX),
    "ignored": (lambda: ma.ComputeDice("a", ignore_index=[1, 9]), SCORES, INDEX),
    "accuracy": (lambda: ma.ComputeAccuracy("a"), SCORES, INDEX),
    "elements": (lambda: ma.ComputeAccuracy("a"), SCORES, ONEHOT),
    "exclusive": (lambda: ma.ComputeAccuracy("a", exclusive=True), SCORES, ONEHOT),
    "mean": (lambda: ma.ReduceMeanMasked("a"), SCORES, ONEHOT),
    "several labels": (lambda: ma.ComputeMulticlassAccuracy("a", label_format=[3, 1]), LOGITS, LABELS),
    "loss": (lambda: ma.NegLoss("a", loss_function=lambda x, y: 0.1), SCORES, INDEX),
    "average dice": (lambda: ma.ComputeAverageDice("a", "model"), SCORES, INDEX),
    "average": (lambda: ma.ComputeAverage("a", "label"), LOGITS, LABELS[:, :1]),
    "auc": (lambda: ma.ComputeAUC("a", "model", "label"), LOGITS[:, :2], LABELS.clamp(max=1)),
    "auc of classes": (lambda: ma.ComputeAUC("a", "model", "label", "weighted"), LOGITS[:, :3], LABELS[:, :1]),
    "auc of several labels": (
        lambda: ma.ComputeMulticlassAverage("a", "model", "label", label_format=[3, 1]),
        LOGITS,
        LABELS,
    ),
}


@pytest.fixture
def restored() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device("cpu")


def value(make, predictions, label):
    op = make()
    op(predictions, label)
    op(predictions, label)
    return op.aggregate()


@pytest.mark.filterwarnings("ignore:.*look one-hot", "ignore:.*are not class indices")
@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("other", [torch.float16, torch.bfloat16, torch.float64, "meta"], ids=str)
@pytest.mark.parametrize(("make", "predictions", "label"), OPS.values(), ids=OPS)
def test_default_dtype_and_device_change_nothing(make, predictions, label, other):
    expected = value(make, predictions, label)
    if other == "meta":
        torch.set_default_device(other)
    else:
        torch.set_default_dtype(other)
    assert value(make, predictions, label) == expected
    assert all(0 <= abs(number) < 1e9 for number in expected.values())


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_functions_as_well(dtype):
    expected = functional.dice(SCORES, INDEX), functional.jaccard(SCORES, INDEX), functional.accuracy(SCORES, INDEX)
    torch.set_default_dtype(dtype)
    found = functional.dice(SCORES, INDEX), functional.jaccard(SCORES, INDEX), functional.accuracy(SCORES, INDEX)
    assert all(map(torch.equal, found, expected))


@pytest.mark.usefixtures("restored")
def test_what_preds_ops_leave_does_not_change():
    ops = [lambda: ma.ComputeBinaryPreds(label_format=[3, 1]), lambda: ma.ComputeMulticlassPreds(label_format=[3, 1])]
    for make in ops:
        expected = make()(LOGITS, LABELS)
        torch.set_default_dtype(torch.float16)
        assert all(map(torch.equal, make()(LOGITS, LABELS).values(), expected.values()))
        torch.set_default_dtype(torch.float32)
