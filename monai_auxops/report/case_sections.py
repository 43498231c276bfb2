"""The sections about cases: classes, pictures, and the table, all from one epoch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from monai_auxops.drawing.paint import COLORS
from monai_auxops.report.case_table import case_rows
from monai_auxops.report.judge import is_overlap, mapping_or_empty
from monai_auxops.report.markup import four_decimals, interval_text, mean_and_sd, short_name, table
from monai_auxops.report.thumbnails import Picture, best_pictures, worst_pictures

if TYPE_CHECKING:
    from monai_auxops.report.classes import ClassTable, ClassValues
    from monai_auxops.report.run import Run

MAX_CELLS = 120_000  # most cells of the case table in the page; the rest is in the CSV
FIRST_ROWS = 20  # rows that are shown without scripts
LEGEND = (("missed", "#e69f00"), ("false", "#0072b2"), ("wrong class", "#cc79a7"), ("outline of the label", "#ffffff"))
UNITS = {
    "dice": "Dice",
    "iou": "IoU",
    "hd95_mm": "HD95, mm",
    "assd_mm": "ASSD, mm",
    "asd_mm": "ASSD, mm",  # the same in files of earlier versions
    "nsd": "surface Dice",
    "label_ml": "label, ml",
    "prediction_ml": "prediction, ml",
}


def class_section(shown: ClassTable) -> str:
    """Return a table as in a paper, with a row per class."""
    counts = is_overlap(shown.metric)
    head = ["class", "mean ± sd", "95 % interval", "median", "worst case", "present", "missed", "hallucinated"]
    kinds = ["name", "n", "n", "n", "name", "n", "n", "n"]
    if not counts:
        head, kinds = ["value", *head[1:5], "cases"], kinds[:6]
    top = "".join(f"<th class='{kind}'>{text}</th>" for kind, text in zip(kinds, head, strict=True))
    lines = "".join(class_row(entry, shown.higher, counts) for entry in shown.classes)
    remark = f"<p><small>{escape(counts_remark(shown))}</small></p>" if counts else ""
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>{remark}"


def counts_remark(shown: ClassTable) -> str:
    """Explain the counts of an overlap."""
    remark = "Present: cases in which the class is labeled. Missed: labeled, but nothing of it was found."
    remark += " Hallucinated: predicted where it is not labeled."
    if all(entry.hallucinated is None for entry in shown.classes):
        remark += ' These files do not tell what was hallucinated; pass statistics=["precision"] to the aux-op.'
    return remark


def class_row(entry: ClassValues, higher: bool, counts: bool) -> str:
    """Return a class as a row, with the ``counts`` of an overlap."""
    numbers = entry.describe(higher)
    worst = f"{four_decimals(numbers['worst_value'])} · {short_name(numbers['worst'])}" if numbers else "–"
    cells = [
        ("n", mean_and_sd(numbers)),
        ("n", interval_text(numbers.get("ci95"))),
        ("n", four_decimals(numbers.get("median"))),
    ]
    cells += [("name", worst), ("n", str(numbers.get("n", 0)))]
    for count in (entry.missed, entry.hallucinated) if counts else ():
        text = "–" if count is None else str(count)
        cells.append(("n few" if count else "n", text))
    texts = "".join(f"<td class='{kind}'>{escape(text)}</td>" for kind, text in cells)
    return f"<tr><td class='name'>{escape(entry.name)}</td>{texts}</tr>"


def measures_table(classes: Mapping[str, Any]) -> str:
    """Return mean ± sd of all measures of an evaluation, a row per class."""
    described = {name: mapping_or_empty(entry) for name, entry in classes.items()}
    found = dict.fromkeys(m for entry in described.values() for m in entry if isinstance(entry[m], dict))
    rows = [
        [name, *(mean_and_sd(dict(mapping_or_empty(entry.get(m)))) for m in found)] for name, entry in described.items()
    ]
    return table(["mean ± sd", *(UNITS.get(m, m) for m in found)], rows, numeric=range(1, len(found) + 1))


def picture_section(run: Run, worst: int) -> str:
    """Return pictures of the worst, the median and the best case; nothing if the run has none."""
    pictures = best_pictures(run) or worst_pictures(run, worst)
    if not pictures:
        return ""
    epochs = sorted({picture.epoch for picture in pictures if picture.epoch is not None})
    when = f" <small>of epoch {', '.join(map(str, epochs))}</small>" if epochs else ""
    shown = legend("label, prediction", class_colors(run.best_set.get("classes")))
    if any("errors" in picture.panels for picture in pictures):
        shown += legend("errors", LEGEND)
    figures = "".join(map(figure, pictures))
    return f"<h2>Pictures{when}</h2>{shown}<div class='pictures'>{figures}</div>"


def class_colors(classes: Any) -> list[tuple[str, str]]:
    """Return the classes behind the background with their colors; none if they have no color of their own."""
    names = [class_label(str(name)) for name in classes[1:]] if isinstance(classes, list) else []
    return list(zip(names, COLORS, strict=False)) if len(names) <= len(COLORS) else []


def class_label(name: str) -> str:
    """Return the name of a class, or ``class 1`` if it has only a number."""
    return f"class {name}" if name.isdecimal() else name


def legend(where: str, colors: Iterable[tuple[str, str]]) -> str:
    """Return the meaning of the colors in the panels ``where``; nothing without colors."""
    spans = "".join(f"<span style='--key:{color}'>{escape(text)}</span>" for text, color in colors)
    return f"<div class='legend'><small>{where}:</small>{spans}</div>" if spans else ""


def figure(picture: Picture) -> str:
    """Return a picture with named panels; a click enlarges it."""
    names = picture.panels
    panels = "".join(f"<span>{escape(name)}</span>" for name in names)
    columns = f"grid-template-columns:repeat({len(names)},1fr)"
    image = f"<img src='{escape(picture.address)}' alt='{escape(', '.join(names))}' title='{escape(picture.remark)}'>"
    caption = f"<b>{escape(picture.place)}</b> {escape(picture.caption)}"
    return (
        f"<figure class='card'><div class='panels' style='{columns}'>{panels}</div>{image}"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def case_section(run: Run, tables: list[dict[str, Any]], page_folder: Path) -> str:
    """Return the case table: sortable, with a filter and a link to the file."""
    found = case_rows(run)
    if found is None or not found[1]:
        return ""
    columns, rows, path = found
    most = max(FIRST_ROWS, MAX_CELLS // len(columns))
    tables.append({"columns": columns, "rows": rows[:most]})
    head = "".join(f"<th data-sort class='{alignment_of(c)}'>{escape(str(c['name']))}</th>" for c in columns)
    lines = "".join(table_row(row, columns) for row in rows[:FIRST_ROWS])
    cut = "" if len(rows) <= most else f" Shown are the worst {most:,} of {len(rows):,} rows; the file has all."
    epoch = "" if run.cases is None or run.evaluation else f", epoch {run.cases.epoch}"
    link = quote(os.path.relpath(path.resolve(), page_folder.resolve()))
    tools = (
        "<div class='tools'><input type='search' placeholder='Filter' aria-label='Filter the rows'>"
        f"<span class='soft state'></span><a href='{escape(link)}'>{escape(path.name)}</a></div>"
    )
    cases = len({row[0] for row in rows})
    count = f"{cases:,}" if cases == len(rows) else f"{cases:,} in {len(rows):,} rows"
    return (
        f"<h2>Cases <small>{count}{epoch}, worst first.{cut}</small></h2>"
        f"<div class='card' data-table='{len(tables) - 1}'>{tools}"
        f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
        "<p><button hidden>Show more</button></p></div>"
    )


def table_row(row: Sequence[Any], columns: Sequence[dict[str, Any]]) -> str:
    """Return a row of the case table."""
    cells = []
    for value, column in zip(row, columns, strict=True):
        text = four_decimals(value) if column["numeric"] and not isinstance(value, int) else str(value)
        text = "–" if value is None else text
        cells.append(f"<td class='{alignment_of(column)}'>{escape(text)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def alignment_of(column: dict[str, Any]) -> str:
    """Return the alignment of a column."""
    return "n" if column["numeric"] else "name"
