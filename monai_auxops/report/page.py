"""The page: one self-contained HTML file. Everything from a run is escaped; the page needs no network."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from monai_auxops import __version__
from monai_auxops.report import case_charts, case_sections, comparison, curves
from monai_auxops.report.classes import class_table
from monai_auxops.report.facts import facts_table, facts_that_differ, tiles
from monai_auxops.report.judge import is_overlap, mapping_or_empty
from monai_auxops.report.markup import bullets, in_script

if TYPE_CHECKING:
    from monai_auxops.report.run import Run

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline' 'unsafe-eval'; "
    "base-uri 'none'; form-action 'none'"
)
PALETTE = (
    "#3987e0", "#e08a1e", "#2e9e5b", "#c2549d", "#d9534f", "#1fa3a3", "#9a8235", "#7d6bc9", "#7f8c9a", "#9db318",
)  # fmt: skip
FIRST_CHARTS = 24  # further ones are collapsed


class Page:
    """A report page with its parts, and the data that its script draws.

    Args:
        runs: one run, or several to compare.
        worst: how many of the worst cases get a picture, unless the run chose some.
        folder: the folder of the page, so that it can link to the tables.
    """

    def __init__(self, runs: Sequence[Run], worst: int = 8, folder: Path = Path()) -> None:
        self.runs, self.worst, self.folder = runs, worst, folder
        self._blocks = curves.ChartData(runs)
        self._tables: list[dict[str, Any]] = []

    def html(self) -> str:
        """Return the whole page."""
        body = "\n".join(self._body())
        running = any(run.is_running for run in self.runs)
        reload = "<label class='soft reload'><input type='checkbox' id='reload'> reload every 15 s</label>"
        return Template(resource("page.html")).substitute(
            title=escape(" · ".join(run.name for run in self.runs)),
            policy=POLICY,
            style=resource("page.css"),
            body=body,
            reload=reload if running else "",
            version=__version__,
            made=datetime.datetime.now().strftime(", %Y-%m-%d %H:%M"),
            scripts=self._scripts(),
        )

    def _scripts(self) -> str:
        data = {**self._blocks.data(), "tables": self._tables, "palette": PALETTE}
        library = f"<script>{vega()}</script>\n" if self._blocks.charts else ""
        return (
            f"{library}<script type='application/json' id='data'>{in_script(data)}</script>\n"
            f"<script>{resource('page.js')}</script>\n"
        )

    def _body(self) -> Iterator[str]:
        if len(self.runs) > 1:
            yield from self._comparison()
        for at, run in enumerate(self.runs):
            if len(self.runs) > 1:
                self._blocks.color = at
                yield f"<h1 class='next'>{comparison.run_chip(run, at, PALETTE)}</h1>"
            yield from self._run(run)

    def _comparison(self) -> Iterator[str]:
        yield comparison.run_legend(self.runs, PALETTE)
        yield f"<div class='card wide'>{comparison.run_table(self.runs)}</div>"
        pairs = comparison.run_pairs(self.runs)
        yield from comparison.difference_sections(pairs, self._card)
        yield bullets("remarks", "", list(comparison.unpaired_reasons(self.runs, pairs)))
        charts = curves.comparison_charts(self.runs, self._blocks)
        if charts:
            yield "<h2>Curves</h2>" + comparison.run_legend(self.runs, PALETTE) + self._grid(charts)
        different = facts_that_differ(self.runs)
        if different:
            yield f"<h2>What differs</h2><div class='card wide'>{different}</div>"

    def _run(self, run: Run) -> Iterator[str]:
        yield tiles(run)
        yield bullets("note", "This report is incomplete:", [*run.problems, *run.gaps])
        yield bullets("remarks", "", run.remarks)
        yield from self._classes(run)
        yield case_sections.picture_section(run, self.worst)
        if run.series:
            charts = curves.family_charts(run, self._blocks)
            rate = curves.rate_chart(run, self._blocks)
            charts += [] if rate is None else [("learning rate", rate)]
            charts += curves.iteration_charts(run, self._blocks)
            yield "<h2>Curves</h2>" + self._grid(charts)
        yield case_sections.case_section(run, self._tables, self.folder)
        parts = {"Confusion": self._matrix(run), "Time": self._seconds(run)}
        names = [name for name, part in parts.items() if part]
        if names:
            yield f"<h2>{' and '.join(names).capitalize()}</h2><div class='grid'>{''.join(parts.values())}</div>"
        yield facts_table(run)

    def _classes(self, run: Run) -> Iterator[str]:
        table = class_table(run)
        if table is None or not any(entry.values for entry in table.classes):
            return
        epoch = "" if run.cases is None or run.measured else f", epoch {run.cases.epoch}"
        title = "Classes" if is_overlap(table.metric) else "Values"
        yield f"<h2>{title} <small>by {escape(table.metric)}{epoch}</small></h2><div class='stack'>"
        yield f"<section class='card wide classes'>{case_sections.class_section(table)}</section>"
        yield self._card(table.metric, case_charts.strip_chart(table))
        if run.evaluation:
            measures = case_sections.measures_table(mapping_or_empty(run.evaluation.get("classes")))
            yield f"<section class='card wide'>{measures}</section>"
        yield "</div>"

    def _grid(self, named: Iterable[tuple[str, curves.Chart]]) -> str:
        cards = [self._card(name, chart) for name, chart in named]
        first, rest = "".join(cards[:FIRST_CHARTS]), "".join(cards[FIRST_CHARTS:])
        grid = f"<div class='grid'>{first}</div>"
        if not rest:
            return grid
        count = f"{len(cards) - FIRST_CHARTS:,} more curves"
        return f"{grid}<details><summary>{count}</summary><div class='grid'>{rest}</div></details>"

    def _card(self, name: str, chart: curves.Chart) -> str:
        place = f"<div class='chart' data-chart='{self._blocks.add(chart)}'></div>"
        return f"<section class='card'><h3>{escape(name)}</h3>{place}</section>"

    def _matrix(self, run: Run) -> str:
        best = run.best_set
        classes, counts = best.get("classes"), best.get("matrix")
        try:
            if isinstance(classes, list) and isinstance(counts, list):
                names = [str(name) for name in classes]
                cells = [[float(value) for value in row] for row in counts]
                chart, epoch = case_charts.matrix_block(names, names, cells), best.get("epoch")
            elif run.matrix is not None:
                chart, epoch = case_charts.matrix_chart(run.matrix), run.matrix.epoch
            else:
                return ""
        except (TypeError, ValueError, KeyError, IndexError):
            return ""
        return self._card(f"Confusion matrix, epoch {epoch}: shares of each labeled class", chart)

    def _seconds(self, run: Run) -> str:
        chart = curves.seconds_chart(run, self._blocks)
        return "" if chart is None else self._card("Seconds per epoch", chart)


def resource(name: str) -> str:
    """Return a file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@functools.cache
def vega() -> str:
    """Return the drawing scripts, Vega, Vega-Lite and Vega-Embed in one, from a package instead of the network."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")
