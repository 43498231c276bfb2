"""Charts of cases: boxes per class, and the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from monai_auxops.report.curves import Chart, five_digits
from monai_auxops.report.statistics import quantiles
from monai_auxops.report.tables import Table, table_number

if TYPE_CHECKING:
    from monai_auxops.report.classes import ClassTable

MAX_DOTS = 3_000  # most dots in a chart with a dot per case


def strip_chart(table: ClassTable) -> Chart:
    """Return a box per class, and a dot per case, or with many cases a dot per outlier."""
    boxes: list[list[float | None] | None] = []
    dots: list[list[Any]] = []
    total = sum(len(entry.values) for entry in table.classes)
    for at, entry in enumerate(table.classes):
        valid = {case: value for case, value in entry.values.items() if math.isfinite(value)}
        if not valid:
            boxes.append(None)
            continue
        _, first, median, third, _ = quantiles(list(valid.values()))
        reach = 1.5 * (third - first)
        inside = [value for value in valid.values() if first - reach <= value <= third + reach]
        low, high = min(inside), max(inside)
        boxes.append([five_digits(value) for value in (low, first, median, third, high)])
        outside = {case: value for case, value in valid.items() if value < low or value > high}
        shown = valid if total <= MAX_DOTS else dict(sorted(outside.items(), key=lambda item: item[1])[:40])
        dots += [[at, five_digits(value), case] for case, value in shown.items()]
    names = [entry.name for entry in table.classes]
    return {"kind": "strip", "rows": names, "boxes": boxes, "dots": dots, "title": table.metric}


def matrix_chart(table: Table) -> Chart:
    """Return the shares of each labeled class, and the counts."""
    names = [name for name in table.columns if name not in ("epoch", "label", "run")]
    last = {row.get("label", ""): row for row in table.rows}  # the later one of repeated rows
    counts = [[table_number(row[name]) for name in names] for row in last.values()]
    return matrix_block(list(last), names, counts)


def matrix_block(labels: Sequence[str], names: Sequence[str], counts: Sequence[Sequence[float]]) -> Chart:
    """Return a confusion matrix; a cell that is not a number is empty."""
    cells = []
    for row in counts:
        valid = [value if math.isfinite(value) else 0.0 for value in row]
        total = sum(valid)
        cells.append([[five_digits(value / total) if total else None, int(value)] for value in valid])
    return {"kind": "matrix", "labels": list(labels), "names": list(names), "cells": cells}
