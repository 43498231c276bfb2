"""A table of cases that grows while they arrive, so that it keeps what a killed run measured."""

from __future__ import annotations

import contextlib
import csv
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from monai_auxops.cases.csv_text import csv_line

try:
    import fcntl
except ImportError:  # Windows: two processes that write one table may lose rows there
    fcntl = None  # type: ignore[assignment]

FIXED_COLUMNS = ("epoch", "file", "label_file", "run")


class Case(NamedTuple):
    """One sample: its name, its label's file (empty if unknown), and a value per column."""

    file: str
    label_file: str
    values: tuple[float, ...]


class EpochCases(NamedTuple):
    """The cases of one epoch of one run."""

    epoch: int
    run: str
    columns: tuple[str, ...]
    cases: tuple[Case, ...]


class CaseFile:
    """A CSV file with a row per run, epoch and case. Cases are appended as they arrive; a finished epoch is sorted.

    The worst case comes first. Rows of other runs are never changed. If a run measures an epoch again, because it was
    killed and resumed, its own earlier rows are moved to ``*.old.csv``. A value without a column gets one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key: tuple[str, int] | None = None  # run and epoch of the block at the end
        self._start, self._block = 0, b""

    def append(self, block: EpochCases) -> None:
        """Append cases of an unfinished epoch, in any order."""
        with locked(self.path.parent):
            self._begin(block)
            rows = self._rows(block, block.cases)
            with self.path.open("ab") as file:
                file.write(rows)
            self._block += rows

    def finish(self, block: EpochCases) -> None:
        """Replace the appended cases of an epoch by all of its cases."""
        with locked(self.path.parent):
            self._begin(block)
            rows = self._rows(block, sorted(block.cases, key=_sort_key))
            self._take_back()
            with self.path.open("ab") as file:
                self._start = file.tell()
                file.write(rows)
            self._block = rows

    def remove(self) -> None:
        """Delete the file, whose cases are in another one."""
        self.path.unlink(missing_ok=True)
        self._key = None

    def _begin(self, block: EpochCases) -> None:
        key = (block.run, block.epoch)
        if self._key is None or not self.path.is_file():
            self._open(block)
        self._widen(block.columns)
        if key != self._key:
            self._key, self._block = key, b""
            self._start = self.path.stat().st_size

    def _open(self, block: EpochCases) -> None:
        """Create the file, or move earlier rows of this run that are measured again to another one."""
        header = csv_line([*FIXED_COLUMNS, *block.columns])
        if not self.path.is_file() or not self.path.stat().st_size:
            self.path.write_bytes(header)
            return
        if tuple(self._header()[: len(FIXED_COLUMNS)]) != FIXED_COLUMNS:
            self.path.rename(free_path(self.path))
            self.path.write_bytes(header)
            return
        with self.path.open("rb") as file:
            if not any(is_replaced(row, block) for row in itertools.islice(file, 1, None)):
                return
        header, *rows = self.path.read_bytes().splitlines(keepends=True)
        again = [row for row in rows if is_replaced(row, block)]
        self._replace(header, [row for row in rows if not is_replaced(row, block)])
        lost = [row for row in again if row not in self._rows(block, block.cases)]
        if lost:
            with self.path.with_suffix(".old.csv").open("ab") as file:
                file.write(b"".join(row.rstrip(b"\n") + b"\n" for row in lost))

    def _widen(self, columns: Sequence[str]) -> None:
        """Add a column for each value that has none."""
        header = self._header()
        new = [name for name in columns if name not in header[len(FIXED_COLUMNS) :]]
        if not new:
            return
        rows = self.path.read_bytes().splitlines(keepends=True)[1:]
        blanks = b"," * len(new) + b"\n"
        self._replace(csv_line([*header, *new]), [row.rstrip(b"\r\n") + blanks for row in rows])
        self._start, self._block = 0, b"moved"

    def _replace(self, header: bytes, rows: Sequence[bytes]) -> None:
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        new.write_bytes(b"".join([header, *rows]))
        new.replace(self.path)

    def _take_back(self) -> None:
        """Remove this epoch's rows from the end of the file, or from its middle if another process has appended."""
        with self.path.open("r+b") as file:
            file.seek(self._start)
            if file.read() == self._block:
                file.truncate(self._start)
                return
        header, *rows = self.path.read_bytes().splitlines(keepends=True)
        self._replace(header, [row for row in rows if run_and_epoch(row) != self._key])

    def _header_line(self) -> bytes:
        with self.path.open("rb") as file:
            return file.readline()

    def _header(self) -> list[str]:
        text = self._header_line().decode("utf-8", "replace")
        return next(csv.reader([text]), [])

    def _rows(self, block: EpochCases, cases: Iterable[Case]) -> bytes:
        """Format the rows as CSV, each on one line, in the order of the file's columns."""
        columns = self._header()[len(FIXED_COLUMNS) :] if self.path.is_file() else list(block.columns)
        places = [block.columns.index(name) if name in block.columns else None for name in columns]
        return b"".join(_row(block, case, places) for case in cases)


def _row(block: EpochCases, case: Case, places: Sequence[int | None]) -> bytes:
    values = ["" if place is None else f"{case.values[place]:.6g}" for place in places]
    return csv_line([block.epoch, case.file, case.label_file, block.run, *values])


def _sort_key(case: Case) -> tuple[bool, float]:
    return math.isnan(case.values[0]), case.values[0]


def is_replaced(row: bytes, block: EpochCases) -> bool:
    """Tell whether the block's run replaces a row: one of its own from this epoch or later, or an incomplete one.

    Examples:
        >>> block = EpochCases(3, "r", (), ())
        >>> [is_replaced(row, block) for row in (b"3,a.nii,,r,0.5\\n", b"2,a.nii,,r,0.5\\n", b"2,a.ni")]
        [True, False, True]
    """
    run, epoch = run_and_epoch(row)
    return not row.endswith(b"\n") or (run == block.run and epoch >= block.epoch)


def run_and_epoch(row: bytes) -> tuple[str, int]:
    """Return run and epoch of a row; a row that cannot be read belongs to no run."""
    fields = next(csv.reader([row.decode("utf-8", "replace").replace("\0", "")]), [])
    return (fields[3], int(fields[0])) if len(fields) > 3 and fields[0].isdecimal() else ("", -1)


def latest_run(path: Path, epoch: int) -> str | None:
    """Return the run in a table that got furthest before ``epoch``, which a resumed training continues."""
    best: tuple[int, str] | None = None
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.reader(text.replace("\0", "") for text in file):
                if len(row) > 3 and row[0].isdecimal() and (best or (0, ""))[0] <= int(row[0]) < epoch:
                    best = int(row[0]), row[3]
    except (OSError, csv.Error):
        return None
    return None if best is None else best[1]


def free_path(path: Path) -> Path:
    """Return ``x.old.csv`` for ``x.csv``, or ``x.old2.csv`` and so on if that exists."""
    names = (path.with_suffix(f".old{number}{path.suffix}") for number in ("", *range(2, 10_000)))
    return next(name for name in names if not name.exists())


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock ``folder``, so that only one process at a time changes its files. No lock file is left behind."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
