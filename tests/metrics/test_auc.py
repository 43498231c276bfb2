"""ComputeAUC and ComputeMulticlassAverage against scikit-learn and the definition."""

import io
import math

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from reference import mean_of_valid, pairwise_auc
from sklearn.metrics import roc_auc_score

from monai_auxops import (
    BuildContext,
    ComputeAUC,
    ComputeBinaryPreds,
    ComputeMulticlassAverage,
    ComputeMulticlassPreds,
)

AVERAGES = ["macro", "weighted", "micro"]


def feed(metric, scores, labels, sizes=(5, 1, 14)):
    for x, y in zip(scores.split(sizes), labels.split(sizes), strict=True):
        metric(x, y)
    return metric.aggregate()[metric.name]


def scores(columns):
    return torch.randint(0, 8, (20, columns)) / 8  # ties


# --- ComputeAUC -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("columns", [1, 4])
def test_equals_scikit_learn(columns, average, dtype):
    x, y = scores(columns), torch.randint(0, 2, (20, columns))
    expected = roc_auc_score(y.numpy(), x.numpy(), average=average)
    assert feed(ComputeAUC("auc", "model", "label", average), x.to(dtype), y) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_class_indices_are_one_against_the_rest(average):
    x, y = torch.rand(20, 4).softmax(1), torch.arange(20)[:, None] % 4
    expected = roc_auc_score(y[:, 0].numpy(), x.double().numpy(), average=average, multi_class="ovr", labels=range(4))
    assert feed(ComputeAUC("auc", "model", "label", average), x, y) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("average", AVERAGES)
def test_chosen_columns(average):
    x, y = scores(4), torch.randint(0, 2, (20, 4))
    one = feed(ComputeAUC("auc", "model", "label", average, class_index=2), x, y)
    assert one == pytest.approx(roc_auc_score(y[:, 2].numpy(), x[:, 2].numpy()), abs=1e-6)
    some = feed(ComputeAUC("auc", "model", "label", average, include_list=[3, 0]), x, y)
    assert some == pytest.approx(roc_auc_score(y[:, [0, 3]].numpy(), x[:, [0, 3]].numpy(), average=average), abs=1e-6)


def test_labels_that_are_nan_or_negative_are_left_out():
    x, y = scores(3), torch.randint(-1, 2, (20, 3)).float()
    y[::6] = math.nan
    expected = [pairwise_auc(x[:, i].tolist(), y[:, i].tolist()) for i in range(3)]
    assert feed(ComputeAUC("auc", "model", "label"), x, y) == pytest.approx(np.mean(expected), abs=1e-6)
    micro = pairwise_auc(x.flatten().tolist(), y.flatten().tolist())
    assert feed(ComputeAUC("auc", "model", "label", "micro"), x, y) == pytest.approx(micro, abs=1e-6)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_a_column_with_one_kind_of_label_is_skipped(average):
    x, y = scores(3), torch.randint(0, 2, (20, 3))
    y[:, 1] = 1
    rest = roc_auc_score(y[:, [0, 2]].numpy(), x[:, [0, 2]].numpy(), average=average)
    assert feed(ComputeAUC("auc", "model", "label", average), x, y) == pytest.approx(rest, abs=1e-6)


@pytest.mark.parametrize("average", AVERAGES)
def test_nothing_valid_is_nan(average):
    assert math.isnan(ComputeAUC("auc", "model", "label", average).aggregate()["auc"])
    nan = torch.full((20, 2), math.nan)
    for x, y in [(scores(2), torch.ones(20, 2)), (nan, torch.randint(0, 2, (20, 2)))]:
        with pytest.warns(UserWarning, match=r"ComputeAUC\(.*\): the AUC of a whole epoch is NaN"):
            assert math.isnan(feed(ComputeAUC("auc", "model", "label", average), x, y))


def test_infinite_scores_have_an_order():
    x = torch.tensor([[-math.inf], [0.0], [0.0], [math.inf]])
    assert feed(ComputeAUC("auc", "model", "label"), x, torch.tensor([0, 0, 1, 1]), (2, 2)) == 0.875


def test_reads_two_outputs_of_one_aux_op():
    logits, labels = torch.randn(20, 4), torch.randint(0, 2, (20, 2))
    op, metric = ComputeBinaryPreds(label_format=[3, 1]), ComputeAUC("auc", "binary_preds", "binary_labels")
    for x, y in zip(logits.split(7), labels.split(7), strict=True):
        ctx = BuildContext(x, y)
        op(x, y, build_ctx=ctx)
        metric(x, y, build_ctx=ctx)
    assert metric.aggregate()["auc"] == pytest.approx(roc_auc_score(labels[:, 1].numpy(), logits[:, 3].numpy()))


@pytest.mark.parametrize("shapes", [((20,), (20,)), ((20, 1), (20,)), ((20,), (20, 1))], ids=str)
def test_vectors(shapes):
    x, y = scores(1), torch.randint(0, 2, (20, 1))
    came = feed(ComputeAUC("auc", "model", "label"), x.reshape(shapes[0]), y.reshape(shapes[1]))
    assert came == pytest.approx(roc_auc_score(y.numpy(), x.numpy()), abs=1e-6)


def test_reset_forgets_the_samples():
    metric, x, y = ComputeAUC("auc", "model", "label"), scores(1), torch.randint(0, 2, (20, 1))
    feed(metric, 1 - x, y)
    metric.reset()
    assert feed(metric, x, y) == pytest.approx(roc_auc_score(y.numpy(), x.numpy()), abs=1e-6)


def test_a_state_saved_in_mid_epoch_continues():
    x, y, file = scores(2), torch.randint(0, 2, (20, 2)), io.BytesIO()
    first, second = ComputeAUC("auc", "model", "label"), ComputeAUC("auc", "model", "label")
    first(x[:8], y[:8])
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    second.epoch_started()
    second(x[8:], y[8:])
    assert second.aggregate()["auc"] == pytest.approx(roc_auc_score(y.numpy(), x.numpy()), abs=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_epoch_resumed_on_a_gpu():
    x, y = scores(2), torch.randint(0, 2, (20, 2))
    first, second = ComputeAUC("auc", "model", "label"), ComputeAUC("auc", "model", "label")
    first(x[:8].cuda(), y[:8].cuda())
    second.load_state_dict(first.state_dict())
    second(x[8:].cuda(), y[8:].cuda())
    assert second.aggregate()["auc"] == pytest.approx(roc_auc_score(y.numpy(), x.numpy()), abs=1e-6)


METRICS = {
    "ComputeAUC": lambda **options: ComputeAUC("auc", "model", "label", **options),
    "ComputeMulticlassAverage": lambda **options: ComputeMulticlassAverage("auc", "model", "label", **options),
}


@pytest.mark.parametrize("name", METRICS)
def test_can_be_the_key_metric(name):
    engine = Engine(lambda engine, batch: batch)
    METRICS[name](is_key_metric=True).attach(engine)
    assert engine.state.key_metric_name == "auc"


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("options", [{"auc_average": "samples"}, {"auc_average": None}], ids=str)
def test_an_unknown_average(name, options):
    with pytest.raises(ValueError, match=rf"{name}\(.*'auc'.*expected auc_average in .*got"):
        METRICS[name](**options)


@pytest.mark.parametrize("options", [{"class_index": 1, "include_list": [1]}, {"include_list": []}], ids=str)
def test_wrong_columns_at_construction(options):
    with pytest.raises(ValueError, match=r"ComputeAUC\(name='auc'.*expected .*got"):
        METRICS["ComputeAUC"](**options)


WRONG = {
    "samples": (torch.rand(2, 3), torch.ones(3, 3), {}),
    "columns": (torch.rand(2, 3), torch.ones(2, 2), {}),
    "class_index": (torch.rand(2, 3), torch.ones(2, 3), {"class_index": 3}),
    "negative_index": (torch.rand(2, 3), torch.ones(2, 3), {"class_index": -1}),
    "include_list": (torch.rand(2, 3), torch.ones(2, 1), {"include_list": [0, 5]}),
    "images": (torch.rand(2, 1, 4), torch.ones(2, 1, 4), {}),
}


@pytest.mark.parametrize(("predictions", "label", "options"), WRONG.values(), ids=WRONG)
def test_wrong_shapes_are_refused_at_the_first_batch(predictions, label, options):
    with pytest.raises(ValueError, match=r"ComputeAUC\(name='auc'.*expected .*got"):
        METRICS["ComputeAUC"](**options)(predictions, label)


def test_batches_of_other_widths_are_refused():
    metric = METRICS["ComputeAUC"]()
    metric(torch.rand(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"ComputeAUC\(name='auc'.*expected 3 scores .*got 2"):
        metric(torch.rand(2, 2), torch.ones(2, 2))


# --- ComputeMulticlassAverage -----------------------------------------------------------------------------------------

FORMAT = [3, 1, 2]


def multiclass_batch():
    labels = torch.stack([torch.randint(0, max(k, 2), (20,)) for k in FORMAT], 1)
    return torch.cat([torch.rand(20, k).softmax(1) if k > 1 else torch.rand(20, k) for k in FORMAT], 1), labels


def label_auc(x, y, k, average):
    if k == 1:
        return roc_auc_score(y, x)
    onehot = np.eye(k)[y]
    return roc_auc_score(onehot, x, average=average)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("index", [None, 0, 1, 2])
def test_mean_over_labels(index, average):
    x, y = multiclass_batch()
    parts = zip(x.split(FORMAT, 1), y.unbind(1), FORMAT, strict=True)
    each = [label_auc(a.numpy(), b.numpy(), k, average) for a, b, k in parts]
    metric = METRICS["ComputeMulticlassAverage"](auc_average=average, label_index=index, label_format=FORMAT)
    assert feed(metric, x, y) == pytest.approx(np.mean(each) if index is None else each[index], abs=1e-6)


def test_a_label_without_an_auc_is_skipped():
    x, y = multiclass_batch()
    y[:, 1] = 0
    y[:, 2] = -1
    metric = METRICS["ComputeMulticlassAverage"](label_format=FORMAT)
    expected = mean_of_valid([label_auc(x[:, :3].numpy(), y[:, 0].numpy(), 3, "macro"), math.nan, math.nan])
    assert feed(metric, x, y) == pytest.approx(expected, abs=1e-6)


def test_reads_multiclass_preds_and_the_format_of_the_data():
    logits, labels = torch.randn(20, 6), multiclass_batch()[1]
    op, metric = ComputeMulticlassPreds(), ComputeMulticlassAverage("auc", "preds", "labels")
    ctx = BuildContext(logits, labels, data_property={"label_format": FORMAT})
    op(logits, labels, build_ctx=ctx)
    metric(logits, labels, build_ctx=ctx)
    preds = ctx.get("preds").numpy()
    starts = zip((0, 3, 4), FORMAT, labels.unbind(1), strict=True)
    each = [label_auc(preds[:, i : i + k], y.numpy(), k, "macro") for i, k, y in starts]
    assert metric.aggregate()["auc"] == pytest.approx(np.mean(each), abs=1e-6)


WRONG_FORMATS = {
    "none": (torch.rand(2, 3), torch.ones(2, 1), {}),
    "columns": (torch.rand(2, 3), torch.ones(2, 1), {"label_format": [2]}),
    "labels": (torch.rand(2, 3), torch.ones(2, 2), {"label_format": [3]}),
    "label_index": (torch.rand(2, 3), torch.ones(2, 1), {"label_format": [3], "label_index": 1}),
}


@pytest.mark.parametrize(("predictions", "label", "options"), WRONG_FORMATS.values(), ids=WRONG_FORMATS)
def test_formats_that_do_not_fit_are_refused_at_the_first_batch(predictions, label, options):
    with pytest.raises(ValueError, match=r"ComputeMulticlassAverage\(name='auc'.*expected .*got"):
        METRICS["ComputeMulticlassAverage"](**options)(predictions, label)


def test_a_wrong_format_is_refused_at_construction():
    with pytest.raises(ValueError, match=r"ComputeMulticlassAverage\(name='auc'.*positive integers, got \[0\]"):
        METRICS["ComputeMulticlassAverage"](label_format=[0])


# --- what is ranked, and by which labels ------------------------------------------------------------------------------


def auc_of(scores, labels, *ops, field="model", label_field="label"):
    metric, ctx = ComputeAUC("auc", field, label_field), BuildContext(scores, labels)
    for op in (*ops, metric):
        op(scores, labels, build_ctx=ctx)
    return metric.aggregate()["auc"]


def expected_auc(scores, labels):
    return roc_auc_score(labels.flatten().tolist(), scores.double().flatten().tolist())


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64], ids=str)
def test_scores_are_ranked_as_they_come(dtype):
    labels = torch.tensor([[0], [1], [1], [0]])
    scores = torch.tensor([[1], [2], [3], [2]]).to(dtype)
    scores = 1 - scores * 1e-12 if dtype == torch.float64 else scores + 2**30
    assert auc_of(scores, labels) == pytest.approx(expected_auc(scores, labels), abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 20.0, 400.0])
def test_an_overconfident_classifier_keeps_its_ranking(scale):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (40, 1), generator=generator)
    logits = scale * (5 + labels + torch.randn(40, 1, generator=generator))
    found = auc_of(logits, labels, ComputeBinaryPreds(), field="binary_preds", label_field="binary_labels")
    assert found == pytest.approx(expected_auc(logits, labels), abs=1e-12)


def test_of_several_classes_too():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (60, 1), generator=generator)
    logits = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    logits += torch.nn.functional.one_hot(labels[:, 0], 3)
    onehot = torch.nn.functional.one_hot(labels[:, 0], 3)
    for scale in (1, 100):  # sharper: other probabilities, near 0 and 1
        probabilities = torch.tensor([[float(x) for x in row] for row in _exact_softmax(logits * scale)])
        ops = [ComputeMulticlassPreds(label_format=[3])]
        found = auc_of(logits * scale, labels, *ops, field="preds", label_field="labels")
        expected = roc_auc_score(onehot.numpy(), _log_odds(logits * scale).numpy(), average="macro")
        assert found == pytest.approx(expected, abs=1e-9)
        if scale == 1:
            assert found == pytest.approx(roc_auc_score(onehot.numpy(), probabilities.numpy()), abs=1e-9)


def _exact_softmax(logits):
    return torch.softmax(logits, 1).tolist()


def _log_odds(logits):
    """Each against the others, one by one."""
    columns = []
    for k in range(logits.shape[1]):
        others = [logits[:, j] for j in range(logits.shape[1]) if j != k]
        columns.append(logits[:, k] - torch.stack(others).exp().sum(0).log())
    return torch.stack(columns, 1)


def test_what_was_changed_after_the_aux_op_is_ranked_itself():
    """A post-processing that replaces the scores wins over the logits they were made of."""
    logits, labels = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0], [1], [1]])
    ctx, metric = BuildContext(logits, labels), ComputeAUC("auc", "binary_preds", "binary_labels")
    ComputeBinaryPreds()(logits, labels, build_ctx=ctx)
    ctx.set("binary_preds", -ctx.get("binary_preds"))
    metric(logits, labels, build_ctx=ctx)
    assert metric.aggregate()["auc"] == 0.0


@pytest.mark.parametrize("odd", [255, 2, 0.5])
def test_a_label_that_is_neither_0_nor_1_is_left_out_and_reported(odd):
    scores, labels = torch.tensor([[0.1], [0.9], [0.5], [0.0]]), torch.tensor([[0], [1], [odd], [odd]])
    metric = ComputeAUC("auc", "model", "label")
    metric(scores, labels)
    with pytest.warns(UserWarning, match=r"ComputeAUC\(.*2 labels in 'label' are not class indices"):
        assert metric.aggregate()["auc"] == 1.0


@pytest.mark.filterwarnings("error")
def test_places_that_nobody_annotated_are_left_out_quietly():
    assert auc_of(torch.tensor([[0.1], [0.9], [0.5]]), torch.tensor([[0.0], [1.0], [-1.0]])) == 1.0


def test_indices_above_the_classes_are_reported():
    metric = ComputeAUC("auc", "model", "label")
    metric(torch.rand(4, 3), torch.tensor([[0], [1], [2], [7]]))
    with pytest.warns(UserWarning, match="1 labels in 'label' are not class indices"):
        metric.aggregate()


def test_a_state_holds_what_was_ranked():
    logits, labels = torch.tensor([[20.0], [24.0], [28.0]]), torch.tensor([[0], [1], [1]])
    ctx, metric = BuildContext(logits, labels), ComputeAUC("auc", "binary_preds", "binary_labels")
    for op in (ComputeBinaryPreds(), metric):
        op(logits, labels, build_ctx=ctx)
    other = ComputeAUC("auc", "binary_preds", "binary_labels")
    other.load_state_dict(metric.state_dict())
    assert other.aggregate() == {"auc": 1.0}
