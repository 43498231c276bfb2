"""The page: one HTML file with everything in it. Whatever comes from a run is escaped; the page asks no network."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

from monai_auxops import __version__
from monai_auxops.report import charts
from monai_auxops.report.run import Run, Table, number
from monai_auxops.report.style import STYLE
from monai_auxops.report.thumbnails import Thumbnails

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline' 'unsafe-eval'; "
    "base-uri 'none'; form-action 'none'"
)
START = """
const options = {actions: false, renderer: "svg"};
for (const place of document.querySelectorAll(".chart")) vegaEmbed(place, charts[place.dataset.chart], options);
"""


class Page:
    """Collects the parts, and the charts that a script draws into their places."""

    def __init__(self, runs: Sequence[Run], worst: int = 8) -> None:
        self.runs, self.worst = runs, worst
        self._charts: list[charts.Chart] = []

    def html(self) -> str:
        """The whole page."""
        title = escape(" · ".join(run.name for run in self.runs))
        body = "\n".join(self._body())
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<header><h1>{title}</h1></header>\n{body}\n"
            f"<footer>Made by monai-auxops {__version__}.</footer>\n</main>\n{self._scripts()}</body>\n</html>\n"
        )

    def _scripts(self) -> str:
        if not self._charts:
            return ""
        return f"<script>{library()}</script>\n<script>const charts = {in_script(self._charts)};{START}</script>\n"

    def _body(self) -> Iterator[str]:
        if len(self.runs) > 1:
            yield from self._comparison()
        for run in self.runs:
            if len(self.runs) > 1:
                yield f"<h1 class='next'>{escape(run.name)}</h1>"
            yield from self._run(run)

    def _comparison(self) -> Iterator[str]:
        head = ["run", "key metric", "best", "in epoch", "epochs", "time"]
        rows = [[run.name, run.metric or "", *best_of(run), str(run.epochs), duration(run)] for run in self.runs]
        yield f"<h2>Runs</h2><div class='card wide'>{table(head, rows, numeric=range(2, 6))}</div>"
        different = differences(self.runs)
        if different:
            yield "<h2>What differs</h2>"
            yield f"<div class='card wide'>{table(['', *(run.name for run in self.runs)], different)}</div>"
        yield "<h2>Side by side</h2>" + self._grid(charts.comparison_charts(self.runs))

    def _run(self, run: Run) -> Iterator[str]:
        if run.problems:
            items = "".join(f"<li>{escape(problem)}</li>" for problem in run.problems)
            yield f"<div class='note'>Not everything is here.<ul>{items}</ul></div>"
        yield tiles(run)
        if run.series:
            yield "<h2>Curves</h2>" + self._grid(charts.family_charts(run) + charts.iteration_charts(run))
        yield from self._cases(run)
        parts = [part for part in (self._matrix(run), self._seconds(run)) if part]
        if parts:
            yield "<h2>Classes and time</h2><div class='grid'>" + "".join(parts) + "</div>"
        yield facts(run)

    def _grid(self, named: Iterable[tuple[str, charts.Chart]]) -> str:
        return "<div class='grid'>" + "".join(self._card(name, chart) for name, chart in named) + "</div>"

    def _card(self, name: str, chart: charts.Chart, remark: str = "") -> str:
        self._charts.append(chart)
        place = f"<div class='chart' data-chart='{len(self._charts) - 1}'></div>"
        return f"<section class='card'><h3>{escape(name)}</h3>{place}{remark}</section>"

    def _cases(self, run: Run) -> Iterator[str]:
        if run.cases is None or not run.cases.rows:
            return
        epoch = shown_epoch(run, run.cases)
        columns = run.cases.columns[3:]
        by = columns[0]
        rows = sorted(run.cases.of(epoch), key=lambda row: (number(row[by]) != number(row[by]), number(row[by])))
        yield f"<h2>Worst cases <small>of {len(rows)}, epoch {epoch}, by {escape(by)}</small></h2>"
        yield self._pictures(run, rows[: self.worst], by)
        cells = [[row["file"], *(rounded(row[name]) for name in columns)] for row in rows[: max(self.worst, 20)]]
        yield f"<div class='card wide'>{table(['file', *columns], cells, numeric=range(1, len(columns) + 1))}</div>"

    def _pictures(self, run: Run, rows: list[dict[str, str]], by: str) -> str:
        thumbnails = Thumbnails(run)
        found = [(thumbnails.of(row, number(row[by])), f"{rounded(row[by])} · {row['file']}") for row in rows]
        if not any(picture for picture, _ in found) and run.worst is not None and run.worst.rows:
            epoch = shown_epoch(run, run.worst)  # the nearest one that was drawn
            found = [
                (thumbnails.of(row, number(row["value"])), f"epoch {epoch}: {rounded(row['value'])} · {row['file']}")
                for row in run.worst.of(epoch)
            ]
        figures = "".join(figure(*picture, caption) for picture, caption in found if picture is not None)
        return f"<div class='grid pictures'>{figures}</div>" if figures else ""

    def _matrix(self, run: Run) -> str:
        if run.matrix is None or not run.matrix.rows:
            return ""
        epoch = shown_epoch(run, run.matrix)
        chart = charts.matrix_chart(run.matrix.of(epoch), run.matrix.columns[2:])
        return self._card(
            f"Confusion matrix, epoch {epoch}", chart, "<p><small>Shares of each labelled class.</small></p>"
        )

    def _seconds(self, run: Run) -> str:
        chart = charts.seconds_chart(run)
        return "" if chart is None else self._card("Time per epoch", chart)


@functools.cache
def library() -> str:
    """The scripts that draw: Vega, Vega-Lite and Vega-Embed in one, from a package, not from the network."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")


def in_script(value: Any) -> str:
    """JSON that cannot end a script, nor begin a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return (
        text.replace("<", "\\u003c").replace(">", "\\u003e").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )


def shown_epoch(run: Run, rows: Table) -> int:
    """The best epoch, if there are rows of it; else the last one before it, else the first."""
    wanted = run.best.step if run.best else rows.epochs[-1]
    return max((epoch for epoch in rows.epochs if epoch <= wanted), default=rows.epochs[0])


def tiles(run: Run) -> str:
    """The few numbers one looks for first."""
    value, epoch = best_of(run)
    shown = [(value, f"best {run.metric}", "best"), (epoch, "best epoch", "best")] if run.best else []
    shown += [(str(run.epochs), "epochs", ""), (duration(run), "in all", ""), (per_epoch(run), "per epoch", "")]
    inner = "".join(
        f"<div class='card {kind}'><b>{escape(text)}</b><span class='soft'>{escape(name)}</span></div>"
        for text, name, kind in shown
        if text
    )
    return f"<div class='tiles'>{inner}</div>"


def best_of(run: Run) -> tuple[str, str]:
    """Value and epoch of the best point."""
    return (f"{run.best.value:.4f}", str(run.best.step)) if run.best else ("", "")


def duration(run: Run) -> str:
    """All epochs together, in words."""
    return words(sum(value for _, value in run.seconds))


def per_epoch(run: Run) -> str:
    """The mean epoch, in words."""
    return words(sum(value for _, value in run.seconds) / max(1, len(run.seconds)))


def words(seconds: float) -> str:
    """A duration for people.

    >>> words(75.0), words(7.25), words(9000.0), words(0)
    ('1 min 15 s', '7.2 s', '2 h 30 min', '')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds else ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def rounded(text: str) -> str:
    """A table's number with four digits; "–" where there is none.

    >>> rounded("0.12345678"), rounded("nan")
    ('0.1235', '–')
    """
    value = number(text)
    return "–" if value != value else f"{value:.4f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    """An HTML table of escaped texts."""
    kinds = [" class='n'" if i in set(numeric) else "" for i in range(len(head))]
    top = "".join(f"<th{kind}>{escape(text)}</th>" for text, kind in zip(head, kinds, strict=True))
    lines = "".join(
        "<tr>"
        + "".join(f"<td{kind or ' class=file'}>{escape(text)}</td>" for text, kind in zip(row, kinds, strict=True))
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"


def figure(address: str, remark: str, caption: str) -> str:
    """A thumbnail of three panels."""
    panels = "<div class='three'><span>image</span><span>label</span><span>prediction</span></div>"
    image = f"<img src='{escape(address)}' alt='image, label and prediction' title='{escape(remark)}'>"
    return f"<figure class='card'>{panels}{image}<figcaption>{escape(caption)}</figcaption></figure>"


def facts(run: Run) -> str:
    """What is known of the run beside its numbers."""
    rows = [[key, value] for key, value in flat(run.facts)]
    config = run.facts.get("config")
    text = config if isinstance(config, str) else json.dumps(config, indent=2)
    shown = f"<details><summary>Configuration</summary><pre>{escape(text)}</pre></details>" if config else ""
    if not rows and not config:
        return ""
    lines = "".join(f"<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>" for key, value in rows)
    return f"<h2>Run</h2><div class='card facts'><table>{lines}</table>{shown}</div>"


def flat(known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The facts as rows of text."""
    for key in ("started", "finished", "device", "processes"):
        if known.get(key) is not None:
            yield key, str(known[key])
    for key, value in (known.get("training") or {}).items():
        yield (
            key,
            f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value),
        )
    versions = known.get("versions") or {}
    if versions:
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    for place, ops in (known.get("aux_ops") or {}).items():
        yield f"aux-ops, {place}", "; ".join(f"{name}: {' '.join(str(op).split())}" for name, op in ops.items())


def differences(runs: Sequence[Run]) -> list[list[str]]:
    """The facts in which runs differ, a row each."""
    tables = [dict(flat(run.facts)) for run in runs]
    keys = dict.fromkeys(key for known in tables for key in known if key not in ("started", "finished"))
    rows = [[key, *(known.get(key, "") for known in tables)] for key in keys]
    return [row for row in rows if len(set(row[1:])) > 1]
