"""Small plots with matplotlib, which is loaded when one is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Bounds = tuple[float | None, float | None]


def axes(width: float, height: float) -> Any:
    """Create axes in a new figure, which a notebook shows, without pyplot's global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "monai-auxops[demo]"') from error
    return Figure(figsize=(width, height), layout="constrained").subplots()


def draw_bars(values: Mapping[str, float], bounds: Bounds = (None, None), ax: Any = None) -> Any:
    """Draw a bar per name with its number; NaN is an empty place that says so.

    Examples:
        >>> [t.get_text() for t in draw_bars({"dice": 0.9, "dice_gray": float("nan")}, (0, 1)).texts]
        ['0.900', 'nothing to measure']
    """
    ax = axes(5, 0.6 + 0.35 * len(values)) if ax is None else ax
    numbers = [0.0 if math.isnan(value) else value for value in values.values()]
    bars = ax.barh(list(values), numbers, height=0.6)
    texts = ["nothing to measure" if math.isnan(value) else f"{value:.3f}" for value in values.values()]
    ax.bar_label(bars, texts, padding=4, clip_on=True)
    ax.margins(x=0.2)
    ax.set_xlim(*bounds)
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def draw_matrix(rows: Sequence[Sequence[float]], names: Sequence[str], ax: Any = None) -> Any:
    """Draw a confusion matrix, with the shares of each row as shades and numbers.

    Examples:
        >>> draw_matrix([[8, 2], [0, 0]], ["a", "b"]).texts[0].get_text()
        '0.80'
    """
    ax = axes(2 + 0.7 * len(names), 1.6 + 0.6 * len(names)) if ax is None else ax
    shares = [[value / sum(row) if sum(row) else math.nan for value in row] for row in rows]
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(shares):
        for j, share in enumerate(row if len(names) <= 20 else []):
            color = "white" if share > 0.5 else "black"
            ax.text(j, i, "" if math.isnan(share) else f"{share:.2f}", ha="center", va="center", color=color)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="predicted", ylabel="labeled")
    return ax


def draw_roc(points: Mapping[str, tuple[Sequence[float], Sequence[float]]], ax: Any = None) -> Any:
    """Draw a receiver operating characteristic per name from ``(false positive rates, true positive rates)``.

    Examples:
        >>> draw_roc({"a": ([0, 1], [0, 1])}).get_xlabel()
        'false positive rate'
    """
    ax = axes(4, 4) if ax is None else ax
    for name, (fpr, tpr) in points.items():
        ax.plot(fpr, tpr, label=name)
    ax.plot([0, 1], [0, 1], linestyle=":", color="gray")
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.legend(loc="lower right", frameon=False)
    return ax
