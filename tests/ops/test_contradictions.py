"""Data that contradicts the options is reported once, at the end of the epoch, with the option to set."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from ignite.engine import Engine

from monai_auxops import (
    ComputeAccuracy,
    ComputeDice,
    ComputeMulticlassAccuracy,
    DiceMaskedOutput,
    ReduceMeanMasked,
)
from monai_auxops.ops.contradictions import beyond_probabilities, grid, has_overlap, is_one_hot, within_probabilities

HALF = torch.zeros(1, 1, 8, 8)
HALF[:, :, :4] = 1
LOGITS = torch.where(HALF > 0, 0.4, -0.4)
PROBABILITIES = torch.where(HALF > 0, 0.9, 0.1)
FOUR = torch.arange(4.0).repeat(16).view(1, 1, 8, 8)  # a class index in each voxel
WIDE = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
REGIONS = torch.cat([HALF, torch.ones_like(HALF)], 1)  # a voxel may be in both

SAID = {
    "logits, a threshold of probabilities": (ComputeDice("d"), LOGITS, HALF, r"final_activation='sigmoid'"),
    "logits, element by element": (ComputeAccuracy("a"), LOGITS, HALF, r"final_activation='sigmoid'"),
    "independent logits": (
        DiceMaskedOutput("d", is_independent_predictions=True),
        WIDE,
        FOUR,
        r"final_activation='sigmoid'",
    ),
    "class maps": (ComputeAccuracy("a"), FOUR, HALF, r"num_classes="),
    "class labels of one channel": (ComputeAccuracy("a"), PROBABILITIES, FOUR, r"neither 0 nor 1.*num_classes="),
    "class labels of one channel, Dice": (ComputeDice("d"), PROBABILITIES, FOUR, r"neither 0 nor 1.*num_classes="),
    "probabilities, a sigmoid": (
        ComputeDice("d", final_activation="sigmoid"),
        PROBABILITIES,
        HALF,
        r"within 0 to 1, although final_activation='sigmoid'",
    ),
    "probabilities, Clara's sigmoid": (
        ComputeAccuracy("a", use_sigmoid=True),
        PROBABILITIES,
        HALF,
        r"within 0 to 1, although use_sigmoid=True",
    ),
    "probabilities, a sigmoid before the mean": (
        ReduceMeanMasked("m", final_activation="sigmoid"),
        PROBABILITIES,
        HALF,
        r"within 0 to 1, although final_activation='sigmoid'",
    ),
    "probabilities, several labels": (
        ComputeMulticlassAccuracy("a", label_format=[1, 3]),
        torch.rand(2, 4),
        torch.ones(2, 2),
        r"use_sigmoid_for_binary=False",
    ),
    "logits, several labels": (
        ComputeMulticlassAccuracy("a", use_sigmoid_for_binary=False, label_format=[1, 1]),
        torch.tensor([[3.0, -3.0]]),
        torch.ones(1, 2),
        r"use_sigmoid_for_binary=True",
    ),
    "a label above its classes": (
        ComputeMulticlassAccuracy("a", label_format=[1, 3]),
        torch.randn(2, 4) * 9,
        torch.tensor([[0, 3], [1, 2]], dtype=torch.uint8),
        r"1 labels are above the classes.*label_format",
    ),
    "classes that overlap, an argmax": (
        ComputeDice("d", is_onehot_targets=True),
        torch.rand(1, 2, 8, 8),
        REGIONS,
        r"1 of 1 samples the one-hot labels overlap.*is_independent_predictions=True",
    ),
    "classes that overlap, an exclusive accuracy": (
        ComputeAccuracy("a", exclusive=True),
        torch.rand(1, 2, 8, 8),
        REGIONS,
        r"overlap.*leave out exclusive=True",
    ),
    "one-hot labels, element by element": (
        ComputeAccuracy("a"),
        torch.rand(1, 2, 8, 8),
        torch.cat([HALF, 1 - HALF], 1),
        r"look one-hot.*exclusive=True",
    ),
    "indices that are no class": (
        ComputeDice("d"),
        torch.randn(1, 3, 8, 8),
        FOUR,
        r"16 labels are not class indices from 0 to 2",
    ),
    "indices that are no class, accuracy": (
        ComputeAccuracy("a"),
        torch.randn(1, 3, 8, 8),
        FOUR,
        r"16 labels are not class indices from 0 to 2.*ignore_index=",
    ),
    "others than the ignored": (
        ComputeDice("d", ignore_index=2),
        torch.randn(1, 3, 8, 8),
        FOUR,
        r"16 labels are not class indices from 0 to 2",
    ),
}

RIGHT = {
    "probabilities": (ComputeDice("d"), PROBABILITIES, HALF),
    "logits": (ComputeDice("d", final_activation="sigmoid"), LOGITS, HALF),
    "another scale": (ComputeDice("d", threshold=0.0), LOGITS, HALF),
    "scores": (ComputeDice("d"), WIDE, FOUR),
    "scores and an activation that changes nothing": (
        ComputeDice("d", final_activation="softmax"),
        WIDE.sigmoid(),
        FOUR,
    ),
    "a hard prediction": (ComputeDice("d"), HALF, HALF),
    "a resampled prediction": (ComputeDice("d"), PROBABILITIES * 1.1 + 0.001, HALF),
    "one-hot labels": (
        ComputeDice("d", is_onehot_targets=True),
        torch.rand(1, 2, 8, 8),
        torch.cat([HALF, 1 - HALF], 1),
    ),
    "regions": (
        ComputeDice("d", is_onehot_targets=True, is_independent_predictions=True),
        torch.rand(1, 2, 8, 8),
        REGIONS,
    ),
    "ignored": (ComputeDice("d", ignore_index=[2, 3]), torch.randn(1, 2, 8, 8), FOUR),
    "ignored by the accuracy": (ComputeAccuracy("a", ignore_index=3), torch.randn(1, 3, 8, 8), FOUR),
    "class maps": (ComputeAccuracy("a", num_classes=4), FOUR, FOUR),
    "not annotated": (ComputeAccuracy("a"), torch.rand(2, 3), torch.tensor([[1, -1, 1], [0, 1, 1]])),
    "several labels": (
        ComputeMulticlassAccuracy("a", label_format=[1, 3]),
        torch.tensor([[-2.0, 0, 1, 0]]),
        torch.ones(1, 2),
    ),
    "NaN": (ComputeDice("d", final_activation="sigmoid"), torch.full_like(LOGITS, math.nan), HALF),
}


@pytest.mark.parametrize(("op", "predictions", "label", "message"), SAID.values(), ids=SAID)
def test_a_contradiction_is_reported_once(op, predictions, label, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing while the epoch runs
        op(predictions, label)
        op(predictions, label)
    if "16 labels" in message or message.startswith("1 "):
        message = message.replace("16 labels", "32 labels").replace("1 labels", "2 labels").replace("1 of 1", "2 of 2")
    with pytest.warns(UserWarning, match=message) as caught:
        op.aggregate()
    assert repr(op) in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        op(predictions, label)
        op.aggregate()


@pytest.mark.filterwarnings("error", "ignore:.*nothing to measure")
@pytest.mark.parametrize(("op", "predictions", "label"), RIGHT.values(), ids=RIGHT)
def test_no_warning_if_the_options_fit_the_data(op, predictions, label):
    op(predictions, label)
    op.aggregate()


def test_a_later_batch_is_seen_as_well_and_the_numbers_add_up():
    """BraTS labels its classes 0, 1, 2 and 4: from the second batch on."""
    y = torch.arange(3).repeat(24).view(1, 1, 8, 9)
    z, x = torch.where(y == 2, 4, y), torch.randn(1, 4, 8, 9)
    engine = Engine(lambda engine, batch: {"pred": x, "label": batch})
    DiceMaskedOutput(["dice", "ncr", "ed", "et"], skip_background=True).attach(engine)
    ComputeAccuracy("acc").attach(engine)
    with pytest.warns(UserWarning, match=r"DiceMaskedOutput.*72 labels are not class indices from 0 to 3") as caught:
        engine.run([y, z, z, z], max_epochs=2)
    assert len(caught) == 1  # of two aux-ops that see it, one says it, in one of two epochs


def test_a_state_carries_what_was_noted():
    first, second = ComputeDice("d"), ComputeDice("d")
    first(torch.randn(1, 3, 8, 8), FOUR)
    second.load_state_dict(first.state_dict())
    second.epoch_started()
    second(torch.randn(1, 3, 8, 8), torch.zeros_like(FOUR))
    with pytest.warns(UserWarning, match="16 labels are not class indices"):
        second.aggregate()


def test_a_process_without_a_batch_does_not_know_the_classes():
    first, second = ComputeDice("d"), ComputeDice("d")
    first(torch.randn(1, 3, 8, 8), FOUR)
    second.load_state_dict(first.state_dict())
    with pytest.warns(UserWarning, match=r"16 labels are not class indices \(255"):
        second.aggregate()


def test_large_samples_are_checked_on_a_grid_that_copies_nothing():
    x = torch.zeros(2, 3, 70, 80, 90)
    view = grid(x)
    assert view.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert view[0].numel() <= 3 * 65_536
    x[1] = 2
    assert beyond_probabilities(x).tolist() == [False, True]
    assert within_probabilities(x).tolist() == [True, False]
    assert has_overlap(x).tolist() == [False, True]
    x[1, 1:] = 0
    assert is_one_hot(x).tolist() == [False, True]


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float64])
def test_every_dtype(dtype):
    assert beyond_probabilities(torch.ones(2, 1, 4).to(dtype)).tolist() == [False, False]
    assert within_probabilities(torch.ones(2, 1, 4).to(dtype)).tolist() == [True, True]
