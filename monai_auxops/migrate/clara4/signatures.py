"""What MONAI's, torch's and Ignite's classes were called with since MONAI 0.5, and what they are called with today.

``signatures.json`` is made by ``tests/oracles/clara4/make_signatures.py``; a test compares it with the MONAI installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

Version = tuple[int, ...]
REQUIRED: Final = "<required>"
_TABLE: Final = Path(__file__).with_name("signatures.json")


@dataclass(frozen=True, slots=True)
class Change:
    """How a class of an older version differs from today's.

    ``gone`` and ``new`` name arguments; ``defaults`` holds old defaults that today's class lacks; ``args`` holds all
    arguments of a class that no longer exists; ``others`` tells a class that took arguments it did not name.
    """

    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    args: Mapping[str, Any] = field(default_factory=dict)
    others: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """One class: what a bundle names it, today's arguments, its history from old to new, and what it can serve as."""

    name: str
    target: str
    args: Mapping[str, Any]
    others: bool
    history: tuple[tuple[Version, Change | None], ...]
    kinds: frozenset[str] = frozenset()

    def at(self, version: Version) -> Change | None:
        """Return the class as it was in a version of MONAI, or None if it did not exist."""
        found: Change | None = None
        for since, change in self.history:
            if since <= version:
                found = change
        return found

    def known(self, version: Version) -> frozenset[str]:
        """Return the arguments that the class named in a version of MONAI."""
        then = self.at(version)
        if then is None:
            return frozenset(self.args)
        return frozenset((set(self.args) - set(then.new)) | set(then.gone) | set(then.args))


def version_of(text: str) -> Version:
    """Return a version's numbers, so that 0.10 is later than 0.9.

    Examples:
        >>> version_of("0.8.1rc2")
        (0, 8, 1)
    """
    found: list[int] = []
    for part in text.split(".")[:3]:
        digits = part[: next((at for at, char in enumerate(part) if not char.isdigit()), len(part))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)


def find(name: str) -> Signature | None:
    """Return what is known of a class by its short name or a second name of it.

    Examples:
        >>> find("RandFlipD").target
        'RandFlipd'
    """
    row = _classes().get(_aliases().get(name, name))
    return _signature(_aliases().get(name, name), row) if row is not None else None


def classes() -> list[str]:
    """Return the names of all classes, without aliases."""
    return list(_classes())


def names() -> list[str]:
    """Return all names, including aliases."""
    return [*_classes(), *_aliases()]


def today() -> Version:
    """Return the version of MONAI that the table calls today's."""
    return version_of(_table()["monai"])


def _signature(name: str, row: Mapping[str, Any]) -> Signature:
    history = tuple((version_of(since), _change(change)) for since, change in row["history"])
    kinds = frozenset(row.get("kinds", ()))
    return Signature(name, row.get("target", ""), row.get("args", {}), row.get("others", False), history, kinds)


def _change(change: Mapping[str, Any] | None) -> Change | None:
    if change is None:
        return None
    lists = {key: tuple(change.get(key, ())) for key in ("gone", "new")}
    others = change.get("others", False)
    return Change(**lists, defaults=change.get("defaults", {}), args=change.get("args", {}), others=others)


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return found


def _classes() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _table()["classes"]
    return found


def _aliases() -> dict[str, str]:
    found: dict[str, str] = _table()["aliases"]
    return found
