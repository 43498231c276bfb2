"""A table of cases that grows while they arrive: what a killed run measured is in the file."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

FIXED = ("epoch", "file", "label_file")


class Case(NamedTuple):
    """One sample: the files it came from (empty where unknown) and a value per column, the metric's own first."""

    file: str
    label_file: str
    values: tuple[float, ...]


class Arriving:
    """Values on their way to the host. On a CUDA device nothing waits: what has not come yet comes later."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Any, Tensor, torch.cuda.Event | None]] = deque()

    def send(self, what: Any, values: Tensor) -> None:
        """Start the copy of ``values``."""
        event = torch.cuda.Event() if values.device.type == "cuda" else None
        self._queue.append((what, values.to("cpu", non_blocking=event is not None), event))
        if event is not None:
            event.record(torch.cuda.current_stream(values.device))

    def arrived(self, wait: bool = False) -> Iterator[tuple[Any, list[Any]]]:
        """What has come, in order; all of it with ``wait``."""
        while self._queue:
            what, values, event = self._queue[0]
            if event is not None and not wait and not event.query():
                return
            if event is not None:
                event.synchronize()
            self._queue.popleft()
            yield what, values.tolist()

    def clear(self) -> None:
        """Forget what is on its way."""
        self._queue.clear()


def once(parts: Sequence[Sequence[Case]]) -> list[Case]:
    """The cases of all ranks, each once, though samplers repeat some so that every rank gets as many.

    A file that several ranks had is one case. Where files do not tell cases apart on a rank, rows equal in full do;
    cases without a file are all kept.

    >>> a, b = Case("a.nii", "", (0.5,)), Case("b.nii", "", (0.25,))
    >>> [case.file for case in once([[a, b], [a]])]
    ['a.nii', 'b.nii']
    """
    distinct = all(max(Counter(case.file for case in part).values(), default=1) == 1 for part in parts)
    seen: set[Any] = set()
    kept: list[Case] = []
    for part in parts:
        mine = [case for case in part if not case.file or (case.file if distinct else repr(case)) not in seen]
        kept += mine
        seen |= {case.file if distinct else repr(case) for case in mine}
    return kept


def worst_first(cases: Iterable[Case]) -> list[Case]:
    """By the metric's own value, NaN last.

    >>> [case.file for case in worst_first([Case("a", "", (0.9,)), Case("b", "", (math.nan,)), Case("c", "", (0.1,))])]
    ['c', 'a', 'b']
    """
    return sorted(cases, key=lambda case: (math.isnan(case.values[0]), case.values[0]))


class CaseFile:
    """The CSV file: a row per epoch and case. Cases are appended as they come; a finished epoch stands worst first.

    Epochs of an earlier process stay, as long as they come before the first of this one: a resumed training goes on,
    a new one begins anew. A file with other columns is set aside as ``*.old.csv``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._epoch = -1  # whose rows stand at the end, from byte _start on
        self._start, self._open = 0, False

    def append(self, epoch: int, columns: Sequence[str], cases: Iterable[Case]) -> None:
        """Add cases of ``epoch``, in any order."""
        if not self._open or epoch != self._epoch:
            self._begin(epoch, columns)
        with self.path.open("ab") as file:
            file.write(lines(epoch, cases))

    def finish(self, epoch: int, columns: Sequence[str], cases: Iterable[Case]) -> None:
        """Put all cases of ``epoch`` in the place of those that were appended."""
        if epoch != self._epoch:
            self._begin(epoch, columns)
        with self.path.open("r+b") as file:
            file.seek(self._start)
            file.write(lines(epoch, worst_first(cases)))
            file.truncate()
        self._open = False

    def remove(self) -> None:
        """Delete the file: its cases stand in another."""
        self.path.unlink(missing_ok=True)
        self._epoch = -1

    def _begin(self, epoch: int, columns: Sequence[str]) -> None:
        if epoch <= self._epoch or self._epoch < 0:
            self._keep(epoch, line([*FIXED, *columns]))
        self._epoch, self._start, self._open = epoch, self.path.stat().st_size, True

    def _keep(self, epoch: int, header: str) -> None:
        """Leave in the file what came before ``epoch``."""
        there = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.is_file() else []
        if there and there[0] != header:
            self.path.replace(self.path.with_suffix(".old.csv"))
        earlier = [row for row in there[1:] if number_of(row) < epoch] if there[:1] == [header] else []
        new = self.path.with_suffix(".new.csv")
        new.write_text("".join([header, *earlier]), encoding="utf-8")
        new.replace(self.path)  # at once: a kill leaves the old file or the new one


def lines(epoch: int, cases: Iterable[Case]) -> bytes:
    """The rows as CSV, each on one line.

    >>> lines(3, [Case("a, b.nii", "", (0.5, math.nan))])
    b'3,"a, b.nii",,0.5,nan\\n'
    """
    rows = [[epoch, case.file, case.label_file, *(f"{value:.6g}" for value in case.values)] for case in cases]
    return "".join(map(line, rows)).encode()


def line(fields: Iterable[Any]) -> str:
    """One row; a line break within a name becomes a space."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([" ".join(str(field).splitlines()) for field in fields])
    return text.getvalue()


def number_of(row: str) -> int:
    """The epoch a row begins with; of a torn line a number that no epoch reaches.

    >>> number_of("12,a.nii,,0.5\\n"), number_of("12,a.nii") > 10**6
    (12, True)
    """
    first = row.partition(",")[0]
    return int(first) if row.endswith("\n") and first.isdigit() else sys.maxsize
