"""The files of an evaluation, and the table on the console."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_auxops.drawing.names import display_width

MADE_BY = "monai-auxops evaluate"
TABLE, SUMMARY, PAGE, PICTURES = "cases.csv", "summary.json", "report.html", "pictures"
LEADING, TRAILING = ("case", "class", "status"), ("prediction", "label", "reason")


class NotOursError(ValueError):
    """An existing file that this command did not write would be replaced."""


def prepare_output(folder: Path) -> None:
    """Create the folder, so that a measurement of hours does not end where nothing can be written.

    Raises:
        OSError: nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trial = _temporary_file(folder / TABLE)
    trial.touch()
    trial.unlink()


def check_output(folder: Path) -> None:
    """Raise an error if a file would be replaced that an evaluation did not write.

    Raises:
        NotOursError: such a file exists, or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise NotOursError(f"{folder} is a file, expected a folder")
    there = [name for name in (TABLE, SUMMARY, PAGE, PICTURES) if (folder / name).exists()]
    if there and not _is_ours(folder):
        raise NotOursError(
            f"{folder} contains {', '.join(there)}, which this command did not write; choose another folder"
        )


def write_table(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a row per case and class as CSV."""
    middle = dict.fromkeys(name for row in rows for name in row if name not in (*LEADING, *TRAILING))
    columns = [*LEADING, *middle, *TRAILING]
    path = folder / TABLE
    with _temporary_file(path).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([csv_cell(row.get(name)) for name in columns] for row in rows)
    _temporary_file(path).replace(path)
    return path


def write_summary(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Write the summary as JSON."""
    path = folder / SUMMARY
    text = json.dumps({"made_by": MADE_BY, **summary}, indent=1, allow_nan=False)
    _temporary_file(path).write_text(text + "\n", encoding="utf-8")
    _temporary_file(path).replace(path)
    return path


def csv_cell(value: Any) -> str:
    """Format a value for CSV: empty if there is none, and never something that a spreadsheet would execute.

    Examples:
        >>> csv_cell(0.1234567), csv_cell(float("nan")), csv_cell("=cmd|x"), csv_cell(12)
        ('0.1234567', '', "'=cmd|x", '12')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    text = " ".join(str(value).splitlines())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and isinstance(value, str) else text


def console_table(classes: Mapping[str, Mapping[str, Any]]) -> str:
    """Format the classes as aligned lines of text.

    Examples:
        >>> value = {"n": 2, "mean": 0.8, "sd": 0.1, "median": 0.8, "ci95": [0.7, 0.9]}
        >>> print(console_table({"liver": {"missed": 0, "hallucinated": 1, "dice": value}}), end="")
        class  n  missed  hallucinated  dice mean ± sd  median  95 % interval
        liver  2       0             1  0.8000 ± 0.1000  0.8000  0.7000 to 0.9000
    """
    head = ["class", "n", "missed", "hallucinated", "dice mean ± sd", "median", "95 % interval"]
    lines = [head, *([name, *_overlap_cells(entry)] for name, entry in classes.items())]
    distances = _distance_lines(classes)
    return _align_table(lines) + ("\n" + _align_table(distances) if distances else "")


def _overlap_cells(entry: Mapping[str, Any]) -> list[str]:
    dice = entry.get("dice", {})
    interval = " to ".join(map(four_decimals, dice.get("ci95") or [])) or "–"
    counts = [str(dice.get("n", 0)), str(entry["missed"]), str(entry["hallucinated"])]
    return [*counts, mean_and_sd(dice), four_decimals(dice.get("median")), interval]


def _distance_lines(classes: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return the lines of the surfaces, in a table of their own because one of all columns has no room."""
    names = {"hd95_mm": "HD95, mm", "assd_mm": "ASSD, mm", "nsd": "NSD"}
    known = [key for key in names if any(key in entry for entry in classes.values())]
    rows = [[name, *(mean_and_sd(entry.get(key, {})) for key in known)] for name, entry in classes.items()]
    return [["mean ± sd", *(names[key] for key in known)], *rows] if known else []


def mean_and_sd(numbers: Mapping[str, Any]) -> str:
    """Return ``mean ± sd`` with four decimals, or "–" if nothing was measured."""
    if "mean" not in numbers:
        return "–"
    spread = numbers.get("sd")
    return four_decimals(numbers["mean"]) + ("" if spread is None else f" ± {four_decimals(spread)}")


def four_decimals(value: float | None) -> str:
    """Format a number with four decimals, and None as "–"."""
    return "–" if value is None else f"{value:.4f}"


def _align_table(lines: Sequence[Sequence[str]]) -> str:
    """Format lines of equally many cells, the first column to the left."""
    widths = [max(map(display_width, column)) for column in zip(*lines, strict=True)]
    return "".join(_align_cells(line, widths) for line in lines)


def _align_cells(line: Iterable[str], widths: Sequence[int]) -> str:
    first, *rest = ((text, " " * (width - display_width(text))) for text, width in zip(line, widths, strict=True))
    cells = [first[0] + first[1], *(blanks + text for text, blanks in rest)]
    return "  ".join(cells).rstrip() + "\n"


def is_of_evaluation(path: Path) -> bool:
    """Tell whether a folder holds the pictures of an evaluation, which are no label maps."""
    return path.name == PICTURES and _is_ours(path.parent)


def _is_ours(folder: Path) -> bool:
    try:
        content = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("made_by") == MADE_BY


def _temporary_file(path: Path) -> Path:
    """Return the temporary file that replaces ``path`` when it is complete."""
    return path.with_name(f".{path.name}.{os.getpid()}")
