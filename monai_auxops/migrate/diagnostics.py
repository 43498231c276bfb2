"""What the migrator reports: outcomes of components, and problems with a stable code and a location."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, NamedTuple

from monai_auxops.migrate.codes import CODES, Severity

_MISTAKES: Final = frozenset({"CT201", "CT308", "CT313", "CT320", "CT402", "CT403", "CT603"})
"""Codes of values that a component of the bundle does not get as they were written."""


class Outcome(Enum):
    """How faithfully a Clara component arrives in the bundle, from best to worst."""

    EXACT = "exact"
    EQUIVALENT = "equivalent"
    APPROXIMATE = "approximate"
    DROPPED = "dropped"
    MANUAL = "manual"

    @property
    def rank(self) -> int:
        """The rank: 0 is the most faithful."""
        return list(Outcome).index(self)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the least faithful outcome.

    Examples:
        >>> worst([Outcome.EXACT, Outcome.APPROXIMATE])
        <Outcome.APPROXIMATE: 'approximate'>
    """
    return max(outcomes, key=lambda outcome: outcome.rank)


class Where(NamedTuple):
    """A place in a source file; line and column start at 1, and 0 means the whole file."""

    file: str
    line: int = 0
    column: int = 0
    path: str = ""

    def is_inside(self, other: Where) -> bool:
        """Tell whether this is another place or a part of it.

        Examples:
            >>> Where("a", path="train.loss.args.weight").is_inside(Where("a", path="train.loss"))
            True
        """
        rest = self.path.removeprefix(other.path)
        return self.file == other.file and (self.path == other.path or (rest != self.path and rest[0] in ".["))

    def __str__(self) -> str:
        position = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{position}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem or remark."""

    code: str
    where: Where
    message: str
    hint: str = ""
    aside: bool = False

    @property
    def severity(self) -> Severity:
        """The code's severity, at most a warning for a file that the bundle does not use."""
        found = CODES[self.code].severity
        return Severity.WARNING if self.aside and found.rank > Severity.WARNING.rank else found


@dataclass(slots=True)
class Log:
    """Collects the diagnostics of all files, so that one run shows them all."""

    items: list[Diagnostic] = field(default_factory=list)
    _seen: set[Diagnostic] = field(default_factory=set)

    def add(self, code: str, where: Where, message: str, hint: str = "") -> None:
        """Record a problem once."""
        item = Diagnostic(code, where, message, hint)
        if item not in self._seen:
            self._seen.add(item)
            self.items.append(item)

    def set_aside(self, files: Collection[str]) -> None:
        """Mark the problems of files that the bundle does not use."""
        self.items = [replace(item, aside=item.aside or item.where.file in files) for item in self.items]

    def sorted(self) -> list[Diagnostic]:
        """Return the problems, worst first, then by file and position."""
        return sorted(self.items, key=lambda d: (-d.severity.rank, d.where[:3], d.code, d.message))

    def has_mistakes_in(self, place: Where) -> bool:
        """Tell whether some value of a component or of its arguments cannot be used as it is written."""
        return any(item.code in _MISTAKES and item.where.is_inside(place) for item in self.items)

    def worst(self) -> Severity | None:
        """Return the highest severity recorded, or None if there is none."""
        return max((d.severity for d in self.items), key=lambda s: s.rank, default=None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or nothing.

    Examples:
        >>> did_you_mean("DiceMaskedOutpt", ["DiceMaskedOutput", "NegLoss"])
        'did you mean "DiceMaskedOutput"?'
    """
    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.7)
    return f'did you mean "{names[near[0]]}"?' if near else ""
