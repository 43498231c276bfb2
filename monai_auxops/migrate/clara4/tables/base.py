"""The parts of a row of Clara Train 4. A row is data; only ``adapt.py`` acts on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.diagnostics import Outcome, worst

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.signatures import Version

LATEST: Version = (99,)


@dataclass(slots=True)
class Draft:
    """One occurrence while a row works on it: today's class, the arguments so far, and remarks.

    ``settled`` names arguments whose old default need not be written out.
    """

    target: str
    args: dict[str, Any]
    version: Version
    outcome: Outcome
    in_bundle: bool = False
    notes: list[str] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)

    def rename(self, old: str, new: str) -> None:
        """Pass an argument under today's name; a value that is already given under it counts."""
        if old in self.args:
            value = self.args.pop(old)
            self.args.setdefault(new, value)

    def drop(self, name: str, why: str) -> Any:
        """Leave an argument out and say why; return its value."""
        if name not in self.args:
            return None
        self.unused[name] = why
        return self.args.pop(name)

    def lower(self, outcome: Outcome, note: str) -> None:
        """Add a remark on this occurrence only, and lower its outcome."""
        self.outcome = worst([self.outcome, outcome])
        self.notes.append(note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A class whose name, arguments or meaning changed.

    ``names`` are the names that configurations used; ``target`` is today's class if it has another name; ``rename``,
    ``drop`` and ``add`` say what becomes of arguments; ``edit`` does what a table cannot; ``until``: the first MONAI in
    which the row no longer applies, so that a bundle of that version keeps what it has.
    """

    names: tuple[str, ...]
    why: str
    target: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, Any] = field(default_factory=dict)
    edit: Callable[[Draft], None] | None = None
    until: Version = LATEST
    outcome: Outcome = Outcome.EXACT
    keeps: tuple[str, ...] = ()


def dictionary(name: str) -> tuple[str, str, str]:
    """Return the three names of a dictionary transform.

    Examples:
        >>> dictionary("AddChannel")
        ('AddChanneld', 'AddChannelD', 'AddChannelDict')
    """
    return f"{name}d", f"{name}D", f"{name}Dict"
