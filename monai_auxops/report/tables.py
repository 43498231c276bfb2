"""CSV files that a run wrote, or somebody else: one pass that keeps the rows of a single epoch."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

NAMES = ("file", "case", "name", "subject", "id")  # columns that may name a case
FIXED = ("epoch", "label_file", "run", *NAMES)


@dataclass
class Table:
    """The rows of one epoch of a CSV file."""

    path: Path
    columns: list[str] = field(default_factory=list)
    epoch: int | None = None
    rows: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """Which rows are kept: of this run, and of this epoch or else the last one before it, else the first."""

    epoch: int | None = None
    run: str | None = None

    def rank(self, epoch: int, run: str) -> tuple[bool, str, bool, int]:
        """Order what is found: the highest is kept."""
        late = self.epoch is not None and epoch > self.epoch
        order = -epoch if late else epoch
        return (run == self.run, run, not late, order)


def read_table(path: Path, wanted: Wanted, problems: list[str], remarks: list[str]) -> Table | None:
    """Read the rows of one epoch; None where the file has no column ``epoch``.

    Args:
        path: of the CSV file, of any size.
        wanted: which epoch of which run.
        problems: gets a sentence for what cannot be read.
        remarks: gets a sentence for what is left out.
    """
    table, best, odd, total, runs = Table(path), None, 0, 0, set[str]()
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.reader(line.replace("\0", "\ufffd") for line in file)
            header = next(reader, [])
            if "epoch" not in header:
                return None
            at, in_run = header.index("epoch"), header.index("run") if "run" in header else None
            table.columns = header
            for row in lenient(reader):
                total += 1
                epoch = whole(row[at]) if len(row) == len(header) else None
                if epoch is None:
                    odd += 1
                    continue
                run = "" if in_run is None else row[in_run]
                runs.add(run)
                rank = wanted.rank(epoch, run)
                if best is None or rank > best:
                    best, table.rows, table.epoch = rank, [], epoch
                if rank == best:
                    table.rows.append(dict(zip(header, row, strict=True)))
    except (OSError, csv.Error) as error:
        problems.append(f"{path.name}: cannot be read to its end ({error}).")
    if odd:
        problems.append(f"{path.name}: {odd:,} of {total:,} rows cannot be read.")
    if len(runs) > 1:
        remarks.append(f"{path.name}: has rows of {len(runs)} runs; shown is one of them.")
    return table


def lenient(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield rows; one that the reader refuses (a field too long) as an empty one."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield []


def whole(text: str) -> int | None:
    """Return a whole number, None where the text is none.

    >>> whole("12"), whole("²"), whole("1.5")
    (12, None, None)
    """
    try:
        return int(text)
    except ValueError:
        return None


def number(text: str) -> float:
    """Return a number of a table, NaN where there is none.

    >>> number("0.5"), number("")
    (0.5, nan)
    """
    try:
        return float(text)
    except ValueError:
        return math.nan


def case_of(row: dict[str, str]) -> str:
    """Name the case of a row: its file, or what else names it."""
    name = next((row[key] for key in NAMES if row.get(key)), "")
    return name.removeprefix("'") if name[1:2] in tuple("=+-@") else name


def numeric_columns(table: Table) -> list[str]:
    """List the columns with values."""
    return [name for name in table.columns if name not in FIXED]
