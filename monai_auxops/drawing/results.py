"""All curves of a run in one picture, with matplotlib, which is loaded when it is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from monai_auxops.drawing.names import families, split_name

Curves = dict[str, dict[int, float]]
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a7500", "#6a51a3")
MAX_CLASSES = 10  # most lines in one panel; more are a band between the worst and the best class


def draw_results(curves: Mapping[str, Mapping[int, float]]) -> Any:
    """Draw a panel per quantity: training dashed, validation solid, a color per class, the mean in black.

    Args:
        curves: the value of each epoch, by metric name.

    Returns:
        A matplotlib figure.

    Examples:
        >>> figure = draw_results({"train_dice": {1: 0.5, 2: 0.75}, "val_dice": {1: 0.5, 2: 0.625}})
        >>> [axes.get_title(loc="left") for axes in figure.axes], len(figure.axes[0].lines)
        (['dice'], 2)
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install matplotlib") from error
    curves = {name: points for name, points in curves.items() if not split_name(name)[1].startswith("support/")}
    panels = families(rest for _, rest in map(split_name, curves))
    columns = min(3, max(1, len(panels)))
    rows = math.ceil(max(1, len(panels)) / columns)
    figure = Figure(figsize=(4.6 * columns, 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (family, members) in zip(grid, panels.items(), strict=False):
        _draw_panel(axes, family, members, curves)
    for axes in grid[len(panels) :]:
        axes.remove()
    return figure


def _draw_panel(axes: Any, family: str, members: Mapping[str, str], curves: Mapping[str, Mapping[int, float]]) -> None:
    classes = [member for member in members if member]
    splits = {split_name(name)[0] for name in curves if split_name(name)[1] in members.values()}
    for name, points in curves.items():
        split, rest = split_name(name)
        member = next((member for member, full in members.items() if full == rest), None)
        if member is None or (member and len(classes) > MAX_CLASSES):
            continue
        color = "black" if not member else COLORS[classes.index(member) % len(COLORS)]
        style = "--" if split == "train" else "-"
        words = (split if len(splits) > 1 else "", member or ("mean" if classes else ""))
        label = " ".join(word for word in words if word) or family
        axes.plot(list(points), list(points.values()), style, color=color, label=label, linewidth=1.6, markersize=3)
    if len(classes) > MAX_CLASSES:
        _draw_band(axes, [members[member] for member in classes], curves)
    axes.set_title(family, loc="left", fontsize=10)
    axes.set_xlabel("epoch", fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines and len(axes.lines) + len(axes.collections) > 1:
        axes.legend(frameon=False, fontsize=8, ncols=2 if len(axes.lines) > 4 else 1)


def _draw_band(axes: Any, rests: list[str], curves: Mapping[str, Mapping[int, float]]) -> None:
    """Draw the range of many classes, of validation if there is any."""
    found = [
        points for name, points in curves.items() if split_name(name)[1] in rests and split_name(name)[0] != "train"
    ]
    epochs = sorted({epoch for points in found for epoch in points})
    if epochs:
        ranges = [[points[epoch] for points in found if epoch in points] for epoch in epochs]
        low, high = [min(each) for each in ranges], [max(each) for each in ranges]
        axes.fill_between(epochs, low, high, alpha=0.2, color=COLORS[0], label=f"{len(rests)} classes")
