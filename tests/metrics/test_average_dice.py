import math

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.metrics import DiceMetric
from reference import dice_per_sample, indices_of, mean_of_valid, multihot_of, scores_of

from monai_auxops import BuildContext, ComputeAverageDice


def expected(predictions, label, *, remove_bg=True, onehot=False, threshold=0.5):
    return dice_per_sample(
        predictions,
        label,
        skip_background=remove_bg and predictions.shape[1] > 1,
        is_onehot_targets=onehot,
        is_independent_predictions=onehot,
        threshold=threshold,
    )


@pytest.mark.filterwarnings("ignore:.*labels.* are (neither 0 nor 1|not class indices)")
@pytest.mark.parametrize("threshold", [0.25, 0.5])
@pytest.mark.parametrize("onehot", [False, True], ids=["index", "onehot"])
@pytest.mark.parametrize("remove_bg", [False, True])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("spatial", [(4, 5), (3, 4, 2)], ids=["2d", "3d"])
def test_mean_over_cases(spatial, classes, remove_bg, onehot, threshold):
    metric = ComputeAverageDice(
        "dice",
        "model",
        is_2d=len(spatial) == 2,
        remove_bg=remove_bg,
        logit_thresh=threshold,
        is_one_hot_targets=onehot,
    )
    cases = []
    for size in (2, 1):
        predictions = scores_of(size, classes, spatial)
        label = (multihot_of if onehot else indices_of)(size, classes, spatial)
        out = metric(predictions, label)["dice"]
        each = expected(predictions, label, remove_bg=remove_bg, onehot=onehot, threshold=threshold)
        np.testing.assert_allclose(out.numpy(), each, atol=1e-6)
        cases += each
    assert metric.aggregate()["dice"] == pytest.approx(mean_of_valid(cases), abs=1e-6)


def test_equals_monai_on_finished_predictions():
    predicted, label = (torch.nn.functional.one_hot(torch.randint(0, 3, (4, 6, 6)), 3).movedim(-1, 1) for _ in range(2))
    metric = ComputeAverageDice("dice", "model", is_one_hot_targets=True)
    out = metric(predicted, label)["dice"]
    monai = DiceMetric(include_background=False, reduction="none")(predicted, label).nanmean(1)
    torch.testing.assert_close(out, monai, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.float16, torch.float32], ids=str)
@pytest.mark.usefixtures("plain_counts")
def test_finished_predictions_of_any_dtype(dtype):
    mask, label = torch.tensor([[[1, 1, 0, 0]]]), torch.tensor([[[1, 0, 0, 0]]])
    out = ComputeAverageDice("dice", "model")(MetaTensor(mask).to(dtype), MetaTensor(label).to(dtype))
    assert out["dice"].item() == pytest.approx(2 / 3)


def test_other_fields():
    ctx = BuildContext(
        torch.zeros(1, 1, 4), values={"pred_1": torch.tensor([[[1, 0]]]), "label_1": torch.tensor([[[1, 1]]])}
    )
    metric = ComputeAverageDice("dice", "pred_1", "label_1")
    assert metric(ctx.predictions, None, build_ctx=ctx)["dice"].item() == pytest.approx(2 / 3)


def test_a_case_without_any_class_is_skipped():
    metric = ComputeAverageDice("dice", "model")
    metric(torch.tensor([[[0.9]], [[0.9]]]), torch.tensor([[[0]], [[1]]]))
    assert metric.aggregate() == {"dice": 1.0}
    metric.reset()
    metric(torch.tensor([[[0.9]]]), torch.tensor([[[0]]]))
    with pytest.warns(UserWarning, match="nothing to measure"):
        assert math.isnan(metric.aggregate()["dice"])


WRONG = {
    "is_2d": (torch.rand(1, 2, 3, 4, 5), torch.zeros(1, 1, 3, 4, 5), {"is_2d": True}),
    "no_label": (torch.rand(1, 2, 4), None, {}),
    "spatial": (torch.rand(1, 2, 4), torch.zeros(1, 1, 5), {}),
    "onehot": (torch.rand(1, 2, 4), torch.zeros(1, 1, 4), {"is_one_hot_targets": True}),
    "missing": (torch.rand(1, 2, 4), torch.zeros(1, 1, 4), {"label_field": "label_grey"}),
}


@pytest.mark.parametrize(("predictions", "label", "options"), WRONG.values(), ids=WRONG)
def test_wrong_batches(predictions, label, options):
    with pytest.raises(ValueError, match=r"ComputeAverageDice\(name='dice', field='model'.*expected .*"):
        ComputeAverageDice("dice", "model", **options)(predictions, label)


@pytest.mark.parametrize(
    ("channels", "label", "message"),
    [
        (3, [[[0, 1, 2, 255]], [[2, 2, -1, 255]]], r"3 labels in 'label' are not class indices from 0 to 2.*check the"),
        (1, [[[0, 1, 2, 3]], [[0, 0, 1, 1]]], r"2 labels in 'label' are neither 0 nor 1.*give each a channel first"),
    ],
)
def test_labels_that_are_no_class_are_reported(channels, label, message):
    metric = ComputeAverageDice("dice", field="model")
    scores = torch.rand(2, channels, 4)
    metric(scores, torch.tensor(label))
    metric(scores, torch.zeros(2, 1, 4))
    with pytest.warns(UserWarning, match=message):
        metric.aggregate()


def test_right_labels_are_not_reported(recwarn):
    metric = ComputeAverageDice("dice", field="model")
    metric(torch.rand(2, 3, 4), torch.randint(0, 3, (2, 1, 4)))
    onehot = ComputeAverageDice("regions", field="model", is_one_hot_targets=True)
    onehot(torch.rand(2, 3, 4), torch.randint(-1, 2, (2, 3, 4)))
    metric.aggregate()
    onehot.aggregate()
    assert not [w for w in recwarn if "labels" in str(w.message)]
