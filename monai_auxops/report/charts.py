"""Charts as Vega-Lite specifications, by Altair. Colours follow the page's text, so one chart serves light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt

from monai_auxops.drawing.names import families, split_name
from monai_auxops.report.events import Point
from monai_auxops.report.run import Run, number

PALETTE = ("#3987e0", "#e08a1e", "#2e9e5b", "#c2549d", "#d9534f", "#1fa3a3", "#9a8235", "#7d6bc9", "#7f8c9a")
INK = "currentColor"
MOST = 300  # points of a curve over iterations
Chart = dict[str, Any]
Row = dict[str, Any]

CONFIG: Chart = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "tickColor": INK,
        "domainColor": INK,
        "gridColor": INK,
        "gridOpacity": 0.12,
        "domainOpacity": 0.4,
        "tickOpacity": 0.4,
        "labelOpacity": 0.75,
        "titleOpacity": 0.75,
        "titleFontWeight": "normal",
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "orient": "top",
        "title": None,
        "symbolStrokeWidth": 3,
        "labelFontSize": 12,
    },
    "text": {"color": INK},
    "rule": {"color": INK},
}


def family_charts(run: Run) -> list[tuple[str, Chart]]:
    """A chart per family of curves over epochs: a colour per class, training dashed."""
    curves = run.by_epoch()
    charts = []
    found = families(rest for _, rest in map(split_name, curves))
    for family, members in sorted(found.items(), key=lambda item: -len(item[1])):  # stable: many classes first
        rows = [
            row
            for name, points in curves.items()
            for split, rest in [split_name(name)]
            for member, full in members.items()
            if rest == full
            for row in rows_of(points, member or ("mean" if len(members) > 1 else family), split)
        ]
        charts.append((family, lines(rows, "epoch", best=run.best, mean=len(members) > 1)))
    return charts


def iteration_charts(run: Run) -> list[tuple[str, Chart]]:
    """A chart per curve over iterations, of at most ``MOST`` means."""
    return [(name, lines(rows_of(thinned(p), name, ""), "iteration")) for name, p in run.by_iteration().items()]


def comparison_charts(runs: Sequence[Run]) -> list[tuple[str, Chart]]:
    """A chart per quantity: a colour per run, training dashed."""
    curves: dict[str, list[Row]] = {}
    for run in runs:
        for name, points in run.by_epoch().items():
            split, rest = split_name(name)
            curves.setdefault(rest, []).extend(rows_of(points, run.name, split))
    return [(name, lines(rows, "epoch")) for name, rows in curves.items()]


def rows_of(points: Iterable[Point], series: str, split: str) -> list[Row]:
    """The data of a curve; what is not finite is a gap."""
    finite = ((p.step, float(f"{p.value:.6g}") if math.isfinite(p.value) else None) for p in points)
    return [{"x": step, "y": value, "series": series, "split": split or "value"} for step, value in finite]


def thinned(points: Sequence[Point], most: int = MOST) -> list[Point]:
    """At most ``most`` points: the means of neighbours, at the last one's step.

    >>> thinned([Point(i, float(i), 0.0) for i in range(1, 5)], 2)
    [Point(step=2, value=1.5, time=0.0), Point(step=4, value=3.5, time=0.0)]
    """
    size = math.ceil(len(points) / most)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [Point(g[-1].step, sum(p.value for p in g) / len(g), g[-1].time) for g in groups]


def lines(rows: list[Row], over: str, best: Point | None = None, mean: bool = False) -> Chart:
    """Curves; a click on the legend brings one forward."""
    names, splits = (list(dict.fromkeys(row[key] for row in rows)) for key in ("series", "split"))
    colours = [INK, *PALETTE] if mean and "mean" in names[:1] else list(PALETTE)
    picked = alt.selection_point(fields=["series"], bind="legend")
    first, last = (pick((row["x"] for row in rows), default=1) for pick in (min, max))
    axis = alt.Axis(format="d", tickMinStep=1, grid=False, tickCount=min(8, last))
    scale = alt.Scale(domain=[first, last], nice=False, zero=False, padding=6)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("x:Q", title=over, axis=axis, scale=scale),
        y=alt.Y("y:Q", title=None, scale=alt.Scale(zero=False, padding=8)),
        color=alt.Color(
            "series:N",
            scale=alt.Scale(domain=names, range=[colours[i % len(colours)] for i in range(len(names))]),
            legend=None if len(names) == 1 else alt.Legend(),
        ),
        opacity=alt.condition(picked, alt.value(1.0), alt.value(0.12)),
        tooltip=[
            alt.Tooltip("series:N", title="curve"),
            alt.Tooltip("split:N", title="of"),
            alt.Tooltip("x:Q", title=over),
            alt.Tooltip("y:Q", title="value", format=".4f"),
        ],
    )
    dash = alt.StrokeDash(
        "split:N",
        scale=alt.Scale(domain=splits, range=[[5, 4] if split == "train" else [1, 0] for split in splits]),
        legend=None if len(splits) == 1 else alt.Legend(),
    )
    invalid = "break-paths-show-path-domains"
    curves = base.mark_line(strokeWidth=2, invalid=invalid).encode(strokeDash=dash)
    dots = base.mark_circle(size=36 if len(rows) <= 60 * len(names) else 8).transform_filter("isValid(datum.y)")
    return finished(alt.layer(*best_rule(best, scale), curves, dots).add_params(picked))


def best_rule(best: Point | None, scale: Any) -> list[Any]:
    """A vertical line at the best epoch, with its name on the side where there is room."""
    if best is None:
        return []
    first, last = scale.domain
    early = best.step - first < (last - first) / 3
    at = alt.Chart(alt.Data(values=[{"x": best.step, "name": f"best: {best.step}"}]))
    at = at.encode(x=alt.X("x:Q", scale=scale))
    name = at.mark_text(
        align="left" if early else "right", dx=5 if early else -5, dy=-4, opacity=0.8, baseline="bottom"
    )
    return [at.mark_rule(strokeDash=[2, 3], opacity=0.6), name.encode(y=alt.value(0), text="name:N")]


def seconds_chart(run: Run) -> Chart | None:
    """A bar per epoch."""
    rows = [{"x": epoch, "y": round(value, 2)} for epoch, value in run.seconds]
    if not rows:
        return None
    chart = alt.Chart(alt.Data(values=rows)).mark_bar(color=PALETTE[0], opacity=0.8)
    ticks = alt.Axis(labelOverlap=True, labelAngle=0, grid=False)
    return finished(
        chart.encode(
            x=alt.X("x:O", title="epoch", axis=ticks),
            y=alt.Y("y:Q", title="seconds"),
            tooltip=[alt.Tooltip("x:O", title="epoch"), alt.Tooltip("y:Q", title="seconds")],
        )
    )


def matrix_chart(rows: list[dict[str, str]], names: list[str]) -> Chart:
    """The confusion matrix of one epoch: shares of each labelled class."""
    cells = []
    for row in rows:
        total = sum(number(row[name]) for name in names)
        for name in names:
            share = number(row[name]) / total if total else None
            cells.append({"label": row["label"], "predicted": name, "share": share, "count": int(number(row[name]))})
    base = alt.Chart(alt.Data(values=cells)).encode(
        x=alt.X("predicted:N", sort=names, axis=alt.Axis(labelAngle=0 if len(names) < 6 else -45, grid=False)),
        y=alt.Y("label:N", sort=names, title="labelled", axis=alt.Axis(grid=False)),
        tooltip=["label:N", "predicted:N", alt.Tooltip("share:Q", format=".1%"), alt.Tooltip("count:Q", format=",")],
    )
    opacity = alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.85]), legend=None)
    boxes = base.mark_rect(color=PALETTE[0], cornerRadius=3).encode(opacity=opacity)
    texts = base.mark_text(fontSize=13).encode(text=alt.Text("share:Q", format=".0%"))
    return finished(alt.layer(boxes, *([texts] if len(names) <= 12 else [])), height=60 + 34 * len(names))


def finished(chart: Any, height: int = 240) -> Chart:
    """The specification, as wide as its place on the page."""
    spec: Chart = chart.properties(width="container", height=height).to_dict(validate=False)
    return spec | {"config": CONFIG, "autosize": {"type": "fit-x", "contains": "padding"}}
