import math

import pytest
import torch
from ignite.engine import Engine
from reference import dice_per_sample, indices_of, mean_of_valid, scores_of

from monai_auxops import BuildContext, ComputeAverage, ComputeDice, NegLoss, ReduceMeanMasked


def averaged(*batches, **options):
    """ComputeAverage of the field ``value``, which each batch has as it is."""
    metric = ComputeAverage("mean", "value", **options)
    for value in map(torch.as_tensor, batches):
        size = len(value) if value.dim() else 2
        predictions = torch.zeros(size, 1)
        ctx = BuildContext(predictions, values={"value": value})
        metric(predictions, None, build_ctx=ctx)
    return metric.aggregate()["mean"]


@pytest.mark.filterwarnings("ignore:.*labels are not class indices")
def test_reads_what_an_aux_op_wrote():
    op, metric, expected = ComputeDice("dice"), ComputeAverage("val_dice", "dice"), []
    for size in (3, 1, 2):
        predictions, label = scores_of(size, 3, (6,)), indices_of(size, 3, (6,))
        label[-1] = -1
        ctx = BuildContext(predictions, label)
        op(predictions, label, build_ctx=ctx)
        metric(predictions, label, build_ctx=ctx)
        expected += dice_per_sample(predictions, label)
    assert metric.aggregate() == {"val_dice": pytest.approx(mean_of_valid(expected), abs=1e-6)}
    assert op.aggregate()["dice"] == metric.aggregate()["val_dice"]


@pytest.mark.parametrize("value", [[1.0, 3.0], [[1.0], [3.0]], [[[1.0]], [[3.0]]], torch.tensor(2.0)], ids=str)
def test_one_value_per_sample_in_any_of_its_shapes(value):
    assert averaged(value) == 2.0


def test_a_scalar_weighs_as_its_batch():
    op, metric = NegLoss("negloss"), ComputeAverage("mean", "negloss")
    for loss, size in ((1.0, 3), (5.0, 1)):
        predictions = torch.zeros(size, 1)
        ctx = BuildContext(predictions, loss=torch.tensor(loss))
        op(predictions, build_ctx=ctx)
        metric(predictions, build_ctx=ctx)
    assert metric.aggregate() == {"mean": -2.0}


@pytest.mark.parametrize("invalid", [-1, 0, 3.0, math.nan])
@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.float32, torch.float64], ids=str)
def test_invalid_values_are_skipped(dtype, invalid):
    values = torch.tensor([-1, 0, 3, 7]).to(dtype)
    expected = mean_of_valid([v if v != invalid else math.nan for v in (-1.0, 0.0, 3.0, 7.0)])
    assert averaged(values, invalid_value=invalid) == pytest.approx(expected)


def test_an_invalid_value_that_float32_rounds_is_found():
    assert averaged(torch.tensor([0.1, 2.0]), invalid_value=0.1) == 2.0


def test_nan_is_always_skipped_and_inf_stays():
    assert averaged([1.0, math.nan], [3.0], invalid_value=-1) == 2.0
    assert averaged([1.0, math.inf]) == math.inf


@pytest.mark.filterwarnings("ignore:.*nothing to measure")
@pytest.mark.parametrize("batches", [[], [[math.nan, math.nan]], [[-1.0]]], ids=["no_batch", "nan", "invalid"])
def test_nothing_valid_is_nan(batches):
    assert math.isnan(averaged(*batches, invalid_value=-1))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32], ids=str)
def test_negate_value(dtype):
    assert averaged(torch.tensor([1, 0]).to(dtype), negate_value=True) == -0.5
    assert averaged(torch.tensor([1, 0]).to(dtype), negate_value=True, invalid_value=0) == -1.0


def test_reset():
    metric = ComputeAverage("mean", "model")
    metric(torch.tensor([[1.0]]), None)
    metric.reset()
    metric(torch.tensor([[4.0], [6.0]]), None)
    assert metric.aggregate() == {"mean": 5.0}


@pytest.mark.parametrize("value", [torch.ones(2, 2), torch.ones(3), torch.ones(0)], ids=lambda x: str(list(x.shape)))
def test_more_than_one_value_per_sample_is_refused(value):
    predictions = torch.zeros(2, 1)
    with pytest.raises(
        ValueError, match=r"ComputeAverage\(name='mean', field='value'\).*one value per sample \[2\], got"
    ):
        ComputeAverage("mean", "value")(predictions, None, build_ctx=BuildContext(predictions, values={"value": value}))


@pytest.mark.parametrize("values", [{}, {"dice": torch.ones(1)}], ids=["nothing", "another"])
def test_a_field_that_nobody_wrote_is_refused(values):
    ctx = BuildContext(torch.zeros(1, 1), values=values)
    with pytest.raises(
        ValueError, match=r"ComputeAverage\(name='mean', field='dcie'\): expected a tensor named 'dcie'"
    ):
        ComputeAverage("mean", "dcie")(ctx.predictions, None, build_ctx=ctx)


def test_a_field_that_is_no_tensor_is_refused():
    ctx = BuildContext(torch.zeros(1, 1), values={"value": "text"})
    with pytest.raises(ValueError, match=r"ComputeAverage\(name='mean'.*expected a tensor named 'value', got str"):
        ComputeAverage("mean", "value")(ctx.predictions, None, build_ctx=ctx)


@pytest.mark.parametrize("name", ["", "_mean", "loss", None], ids=repr)
def test_names_that_cannot_be(name):
    with pytest.raises(ValueError, match=r"ComputeAverage\(.*expected a tag.*got"):
        ComputeAverage(name, "dice")


def test_two_metrics_may_read_one_field():
    predictions = torch.rand(2, 1, 3)
    ctx = BuildContext(predictions)
    ReduceMeanMasked("value")(predictions, build_ctx=ctx)
    up, down = ComputeAverage("up", "value"), ComputeAverage("down", "value", negate_value=True)
    for metric in (up, down):
        metric(predictions, build_ctx=ctx)
    assert up.aggregate()["up"] == -down.aggregate()["down"] == pytest.approx(predictions.mean().item())


def test_the_slot_wins_over_is_key_metric_and_a_contradiction_warns():
    engine = Engine(lambda engine, batch: batch)
    engine.state.key_metric_name = "val_dice"
    with pytest.warns(
        UserWarning, match=r"ComputeAverage\(name='mean'.*slot 'mean', but the engine's key metric is 'val_dice'"
    ):
        ComputeAverage("mean", "dice", is_key_metric=True).attach(engine)
    assert engine.state.key_metric_name == "val_dice"


@pytest.mark.parametrize(("is_key_metric", "expected"), [(True, "mean"), (False, None)])
def test_is_key_metric_where_no_slot_says(is_key_metric, expected):
    engine = Engine(lambda engine, batch: batch)
    ComputeAverage("mean", "dice", is_key_metric=is_key_metric).attach(engine)
    assert getattr(engine.state, "key_metric_name", None) == expected
