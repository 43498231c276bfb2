"""All curves of a run in one picture, with matplotlib, which is loaded when it is drawn."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from monai_auxops.drawing.names import families, split_name

Curves = dict[str, dict[int, float]]
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a7500", "#6a51a3")
STYLES = {"train": "--"}  # all others are solid
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


def save_results(curves: Mapping[str, Mapping[int, float]], path: Path) -> None:
    """Write the picture; it replaces an earlier one only when it is complete.

    Raises:
        ImportError: matplotlib is missing.
    """
    figure = draw_results(curves)
    new = path.with_name(f"{path.stem}.{os.getpid()}{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # the font may lack characters of a class name; they become boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(new, dpi=110)
    new.replace(path)


def _draw_panel(axes: Any, family: str, members: Mapping[str, str], curves: Mapping[str, Mapping[int, float]]) -> None:
    classes = [member for member in members if member]
    member_of = {rest: member for member, rest in members.items() if not member or len(classes) <= MAX_CLASSES}
    colors = {"": "black"} | {member: COLORS[i % len(COLORS)] for i, member in enumerate(classes)}
    shown: dict[str, None] = {}
    for name, points in curves.items():
        split, rest = split_name(name)
        if rest in member_of:
            style, member = STYLES.get(split, "-"), member_of[rest]
            axes.plot(list(points), list(points.values()), style, color=colors[member], linewidth=1.6, markersize=3)
            shown |= {split: None}
    if len(classes) > MAX_CLASSES:
        _draw_band(axes, [members[member] for member in classes], curves)
    _describe(axes, family)
    _draw_legend(axes, {member or "mean": colors[member] for member in member_of.values()} if classes else {}, shown)


def _describe(axes: Any, family: str) -> None:
    axes.set_title(family, loc="left", fontsize=10)
    axes.set_xlabel("epoch", fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_legend(axes: Any, colors: Mapping[str, str], splits: Iterable[str]) -> None:
    """Name the colors and the styles beside the panel, where no curve can run through them."""
    from matplotlib.lines import Line2D

    styles = {split: STYLES.get(split, "-") for split in splits}
    lines = [Line2D([], [], color=color, label=name) for name, color in colors.items()]
    lines += [Line2D([], [], color="gray", linestyle=style, label=split) for split, style in styles.items() if split]
    if len(axes.lines) + len(axes.collections) > 1:
        handles = [*lines, *axes.collections]
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)


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
