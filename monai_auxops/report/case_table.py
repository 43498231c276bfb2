"""The rows of the page's case table, worst first."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from monai_auxops.report.tables import Table, case_of, numeric_columns, table_number

if TYPE_CHECKING:
    from monai_auxops.report.run import Run

MEASURED_COLUMNS = ("case", "class", "status", "reason")


class CaseRows(NamedTuple):
    """The rows of a table of cases."""

    columns: list[tuple[str, bool]]  # name, and whether it holds numbers
    rows: list[list[Any]]
    key: int  # the column that decides which case is worst
    path: Path


def case_rows(run: Run) -> tuple[list[dict[str, Any]], list[list[Any]], Path] | None:
    """Return columns and rows of the case table, worst first, and their CSV file."""
    if run.evaluation and run.measured:
        found = rows_of_evaluation(run)
    elif run.cases is not None:
        found = rows_of_training(run.cases)
    else:
        return None
    sign = -1.0 if run.judge.higher is False else 1.0
    rows = sorted(found.rows, key=lambda row: worst_first(row[found.key : found.key + 1], sign))
    described: list[dict[str, Any]] = []
    for at, (name, numeric) in enumerate(found.columns):
        column = [float(row[at] or 0) for row in rows] if numeric else []
        whole = bool(column) and all(value.is_integer() for value in column) and max(column) > 1
        described.append({"name": name, "numeric": numeric, "whole": whole})
    return described, [whole_numbers(row, described) for row in rows], found.path


def rows_of_evaluation(run: Run) -> CaseRows:
    """Return a row per case and class, as ``monai-auxops evaluate`` measured them; Dice decides."""
    names = [n for n in run.measured[0] if n not in (*MEASURED_COLUMNS, "prediction", "label")]
    texts = ["case", "class", "status"]
    last = ["reason"] if any(row.get("reason") for row in run.measured) else []
    rows = []
    for row in run.measured:
        numbers = [cell_number(row.get(name, "")) for name in names]
        rows.append([*(row.get(t, "") for t in texts), *numbers, *(row.get(t, "") for t in last)])
    columns = [(t, False) for t in texts] + [(n, True) for n in names] + [(t, False) for t in last]
    return CaseRows(columns, rows, len(texts), run.folder / "cases.csv")


def rows_of_training(table: Table) -> CaseRows:
    """Return a row per case of an epoch; columns without a number are left out."""
    names = numeric_columns(table)
    names = [n for n in names if any(math.isfinite(table_number(row[n])) for row in table.rows)] or names
    cases = without_common_folder([case_of(row) for row in table.rows])
    rows = [[case, *(cell_number(row[name]) for name in names)] for case, row in zip(cases, table.rows, strict=True)]
    return CaseRows([("case", False)] + [(name, True) for name in names], rows, 1, table.path)


def worst_first(cells: list[Any], sign: float) -> tuple[bool, float]:
    """Return the sort key of a row by the deciding value; rows without it come last."""
    if not cells or not isinstance(cells[0], float):
        return True, 0.0
    return False, sign * cells[0]


def whole_numbers(row: list[Any], columns: Sequence[dict[str, Any]]) -> list[Any]:
    """Convert the counts in a row to integers."""
    return [int(x) if c["whole"] and x is not None else x for x, c in zip(row, columns, strict=True)]


def without_common_folder(cases: list[str]) -> list[str]:
    """Remove the folder that all cases share.

    Examples:
        >>> without_common_folder(["/data/a/1.nii", "/data/b/1.nii"])
        ['a/1.nii', 'b/1.nii']
    """
    folders = {case.rpartition("/")[0] for case in cases}
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # absolute and relative paths mixed, or no path
        return cases
    return [case[len(common) :].lstrip("/") for case in cases] if common else cases


def cell_number(text: str) -> float | None:
    """Convert a cell of the table to a number for the page."""
    value = table_number(text)
    return float(f"{value:.5g}") if math.isfinite(value) else None
