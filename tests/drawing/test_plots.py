"""What an aux-op can show of itself."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import roc_curve as sklearns

import monai_auxops as ma
from monai_auxops.drawing.results import draw_results
from monai_auxops.metrics.roc import roc_curve

X, Y = torch.rand(2, 3, 4, 4), torch.randint(0, 3, (2, 1, 4, 4))
BOUNDED = {
    "ComputeDice": lambda: ma.ComputeDice("dice"),
    "DiceMaskedOutput": lambda: ma.DiceMaskedOutput("dice", class_names=["a", "b", "c"], statistics=["support"]),
    "ComputeAccuracy": lambda: ma.ComputeAccuracy("accuracy"),
    "ComputeAverageDice": lambda: ma.ComputeAverageDice("dice", "model"),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_bars_of_the_values_within_the_bounds(name):
    op = BOUNDED[name]()
    op(X, Y)
    ax = op.plot()
    values = {tag: value for tag, value in op.aggregate().items() if "support" not in tag}
    assert [text.get_text() for text in ax.get_yticklabels()] == list(values)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(list(values.values()))
    assert ax.get_xlim() == op.bounds == (0, 1)
    assert op.higher_is_better


def test_an_absent_class_says_so():
    op = ma.DiceMaskedOutput("dice", class_names=["a", "b", "c"])
    op(X, torch.zeros_like(Y))
    assert [text.get_text() for text in op.plot().texts][2:] == ["nothing to measure"] * 2


def test_given_axes_are_drawn_on():
    from matplotlib.figure import Figure

    ax, op = Figure().subplots(), ma.NegLoss("negloss")
    op(X, Y, loss=torch.tensor(0.5))
    assert op.plot(ax) is ax
    assert op.bounds == (None, None)


@pytest.mark.parametrize("op", [ma.ComputeBinaryPreds(), ma.ReduceMeanMasked("mean", axis=1)], ids=repr)
def test_nothing_to_plot(op):
    with pytest.raises(ValueError, match="expected an epoch value to plot"):
        op.plot()


def test_the_curve_under_which_the_area_is():
    scores, labels = torch.randint(0, 8, (60,)) / 8, torch.randint(0, 2, (60,))
    fpr, tpr, _ = sklearns(labels, scores, drop_intermediate=False)
    assert roc_curve(scores, labels) == (pytest.approx(fpr.tolist()), pytest.approx(tpr.tolist()))
    metric = ma.ComputeAUC("auc", "model", "label")
    metric(scores[:, None], labels[:, None])
    line = metric.plot().lines[0]
    assert torch.trapezoid(torch.tensor(line.get_ydata()), torch.tensor(line.get_xdata())).item() == pytest.approx(
        metric.aggregate()["auc"]
    )


def test_a_column_with_one_kind_of_label_has_no_curve():
    metric = ma.ComputeAUC("auc", "model", "label")
    metric(torch.rand(4, 2), torch.tensor([[0, 1]] * 4))
    assert [math.isnan(line.get_ydata()[-1]) for line in metric.plot().lines[:2]] == [True, False]
    with pytest.raises(ValueError, match="expected samples to plot"):
        ma.ComputeAUC("auc", "model", "label").plot()


def test_the_legend_of_the_curves_is_beside_them():
    names = ["", "/liver", "/a_class_with_a_long_name"]
    curves = {f"{split}_dice{name}": {1: 0.9, 2: 0.1, 3: 0.9} for split in ("train", "val") for name in names}
    figure = draw_results(curves)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    legend = axes.get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["mean", "liver", "a_class_with_a_long_name", "train", "val"]
    assert not legend.get_window_extent().overlaps(axes.get_window_extent().padded(-1))
    assert legend.get_window_extent().x1 <= figure.bbox.x1
