"""Read CSV files of a run or of another source in one pass that keeps the rows of a single epoch."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

NAMES = ("file", "case", "name", "subject", "id")  # columns that may name a case
ENCODING = "utf-8-sig"  # UTF-8, with the mark with which spreadsheets begin it or without
FIXED = ("epoch", "label_file", "run", *NAMES)


@dataclass
class Table:
    """The rows of one epoch of a CSV file."""

    path: Path
    columns: list[str] = field(default_factory=list)
    epoch: int | None = None
    rows: list[dict[str, str]] = field(default_factory=list)


Rank = tuple[bool, str, bool, int]


@dataclass(frozen=True)
class Wanted:
    """The rows to keep: of this run, and of this epoch; if there are none, of the last one before, or of the first."""

    epoch: int | None = None
    run: str | None = None

    def rank(self, epoch: int, run: str) -> Rank:
        """Return the rank of an epoch; rows of the highest rank are kept."""
        late = self.epoch is not None and epoch > self.epoch
        order = -epoch if late else epoch
        return (run == self.run, run, not late, order)


def read_table(path: Path, wanted: Wanted, problems: list[str], remarks: list[str]) -> Table | None:
    """Read the rows of one epoch; None and a remark if the file has no column ``epoch``.

    Args:
        path: the CSV file, of any size.
        wanted: the epoch and run to read.
        problems: receives a sentence about what cannot be read.
        remarks: receives a sentence about what is left out.
    """
    table = Table(path)
    try:
        with path.open(newline="", encoding=ENCODING, errors="replace") as file:
            header = file.readline()
            table.columns = csv_fields(header)
            if "epoch" not in table.columns:
                remarks.append(f"{path.name}: not shown, because {header_problem(header)}.")
                return None
            _read_rows(file, table, wanted, problems, remarks)
    except OSError as error:
        problems.append(f"{path.name}: can be read only in part ({error}).")
    return table


def _read_rows(lines: Iterable[str], table: Table, wanted: Wanted, problems: list[str], remarks: list[str]) -> None:
    """Keep the rows of the best rank; a row of another epoch, as most of millions are, costs only one lookup."""
    header = table.columns
    at, in_run = header.index("epoch"), header.index("run") if "run" in header else None
    ranks: dict[tuple[str, str], Rank | None] = {}  # of each epoch and run, as they are written
    best: Rank | None = None
    odd = total = 0
    for line in lines:
        total += 1
        row = csv_fields(line)
        key = ("", "") if len(row) != len(header) else (row[at], "" if in_run is None else row[in_run])
        if key not in ranks:
            epoch = whole_number(key[0])
            ranks[key] = None if epoch is None else wanted.rank(epoch, key[1])
        rank = ranks[key]
        if rank is None:
            odd += 1
        elif best is None or rank > best:
            best, table.rows, table.epoch = rank, [dict(zip(header, row, strict=True))], whole_number(key[0])
        elif rank == best:
            table.rows.append(dict(zip(header, row, strict=True)))
    if odd:
        problems.append(f"{table.path.name}: {odd:,} of {total:,} rows cannot be read.")
    runs = {run for (_, run), rank in ranks.items() if rank is not None}
    if len(runs) > 1:
        remarks.append(f"{table.path.name}: has rows of {len(runs)} runs; only one of them is shown.")


def header_problem(header: str) -> str:
    """Return why the first line of a file does not name the column ``epoch``, for example after a spreadsheet saved it.

    Examples:
        >>> header_problem("epoch;file;val_dice")
        'its columns are separated by semicolons; save it with commas'
    """
    if "\0" in header:
        return "it is not UTF-8 text; save it as UTF-8, for example not as UTF-16"
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if separator in header and "," not in header:
            return f"its columns are separated by {name}; save it with commas"
    return "it has no column named epoch"


def csv_fields(line: str) -> list[str]:
    """Split a row into fields; none if it cannot be read.

    Examples:
        >>> csv_fields("1,a.nii,0.5\\n"), csv_fields('1,"a, b.nii",0.5\\n')
        (['1', 'a.nii', '0.5'], ['1', 'a, b.nii', '0.5'])
    """
    text = line.rstrip("\r\n")
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text.replace("\0", "\ufffd")]))
    except csv.Error:
        return []


def whole_number(text: str) -> int | None:
    """Parse a whole number; None if the text is not one.

    Examples:
        >>> whole_number("12"), whole_number("²"), whole_number("1.5")
        (12, None, None)
    """
    try:
        return int(text)
    except ValueError:
        return None


def table_number(text: str) -> float:
    """Parse a number of a table; NaN if it is empty.

    Examples:
        >>> table_number("0.5"), table_number("")
        (0.5, nan)
    """
    try:
        return float(text)
    except ValueError:
        return math.nan


def case_of(row: dict[str, str]) -> str:
    """Return the case of a row: its file, or another name."""
    name = next((row[key] for key in NAMES if row.get(key)), "")
    return name.removeprefix("'") if name[1:2] in tuple("=+-@") else name


def numeric_columns(table: Table) -> list[str]:
    """Return the columns with values."""
    return [name for name in table.columns if name not in FIXED]
