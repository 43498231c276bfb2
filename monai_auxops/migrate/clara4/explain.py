"""``monai-auxops components`` and ``explain`` for Clara Train 4: what each class of MONAI 0.5 and 0.8 is today."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Final

from monai_auxops.migrate.clara4 import signatures, tables
from monai_auxops.migrate.clara4.adapt import WITHOUT_EFFECT, Adapted, adapt, changes_text
from monai_auxops.migrate.clara4.dialect import Dialect
from monai_auxops.migrate.clara4.inverting import HANDLERS
from monai_auxops.migrate.diagnostics import Outcome

_DIALECTS: Final = (Dialect.V40, Dialect.V41)


def names() -> list[str]:
    """Return every class that changed since MONAI 0.5 or 0.8, rows first, without second names."""
    rows = [row.names[0] for row in tables.ROWS]
    others = [name for name in signatures.classes() if tables.find(name) is None and _changed(name)]
    return list(dict.fromkeys([*rows, *others]))


def row(name: str) -> dict[str, Any]:
    """Return what becomes of a class, as data."""
    found = _today(name)
    return {
        "name": name,
        "section": "Clara Train 4",
        "bundle": "-" if found.manual else found.target,
        "outcome": found.outcome.value,
        "reason": " ".join([found.why, *_changes(name)]),
        "older_names": [],
    }


def markdown() -> str:
    """Return the table of what changed."""
    lines = [_without_effect(), "", "| old class | today | outcome | what changes |", "| --- | --- | --- | --- |"]
    for name in names():
        found = row(name)
        target = f"`{found['bundle']}`" if found["bundle"] != "-" else "-"
        lines.append(f"| `{name}` | {target} | {found['outcome']} | {found['reason']} |")
    return "\n".join(lines) + "\n"


def text() -> str:
    """Return the table for a terminal."""
    lines = ["Clara Train 4 (what changed since; every other class of MONAI keeps its name and arguments)"]
    lines += textwrap.wrap(_without_effect().replace("`", ""), 80, initial_indent="  ", subsequent_indent="  ")
    lines += [f"  {found['outcome']:<11} {found['name']:<40} {found['bundle']}" for found in map(row, names())]
    return "\n".join(lines) + "\n"


def _without_effect() -> str:
    """Say once which arguments are left out wherever they occur, because they change no value."""
    reasons: dict[str, list[str]] = {}
    for name, why in sorted(WITHOUT_EFFECT.items()):
        reasons.setdefault(why, []).append(f"`{name}`")
    told = "; ".join(f"{', '.join(found)} ({why})" for why, found in reasons.items())
    return f"Left out wherever they occur and today's class no longer has them, because they change no value: {told}."


def explain(name: str) -> str | None:
    """Return what is known about a class by one of its names, or None."""
    of_rows = (found for row in tables.ROWS for found in row.names)
    all_names = [found for found in (*signatures.names(), *of_rows) if not _is_module(found)]
    known = {found.lower(): found for found in reversed(all_names)} | {found: found for found in all_names}
    if name in known:
        return "\n".join(_lines(known[name])) + "\n"
    if name.lower() not in known:
        return None
    return "\n".join(_lines(known[name.lower()])) + "\n"


def _lines(name: str) -> Iterator[str]:
    found = _today(name)
    yield f"{name} (Clara Train 4): {found.outcome.value}"
    yield ""
    target = "-" if found.manual else found.target
    yield from _wrap(f"In the bundle    {target}")
    yield from _wrap(f"Why              {found.why}")
    for sentence in _changes(name):
        yield from _wrap(f"                 {sentence}")
    yield ""


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(line, 80, initial_indent="  ", subsequent_indent=" " * 19, drop_whitespace=True)


def _today(name: str) -> Adapted:
    if name in HANDLERS:
        target, why = HANDLERS[name]
        return Adapted(target, {}, Outcome.EXACT, why)
    return adapt(name, {}, Dialect.V41.version)


def _changed(name: str) -> bool:
    found = signatures.find(name)
    if found is None or _is_module(name) or not any(found.at(dialect.version) for dialect in _DIALECTS):
        return False
    return not found.target or any(_matters(name, dialect) for dialect in _DIALECTS)


def _matters(name: str, dialect: Dialect) -> bool:
    """Tell whether more changed than arguments that change no value."""
    gone, written = changes_text(name, dialect.version)
    return bool(written) or not set(gone) <= WITHOUT_EFFECT.keys()


def _is_module(name: str) -> bool:
    """Tell a module, such as the ``dice`` of ``monai.losses``, from a class and its lower-case alias."""
    found = signatures.find(name)
    return name.islower() and found is not None and not found.target


def _changes(name: str) -> Iterator[str]:
    """Yield sentences for the removed arguments, a worse outcome, and the defaults written out, by dialect."""
    for dialect in _DIALECTS:
        gone, written = changes_text(name, dialect.version)
        lost = adapt(name, dict.fromkeys(gone), dialect.version).lost
        kept_meaning = [item for item in gone if item not in lost]
        if kept_meaning:
            yield f"{dialect.value}: {', '.join(kept_meaning)} left out."
        if lost:
            yield f"{dialect.value}: {', '.join(lost)} left out; approximate where given."
        outcome = adapt(name, {}, dialect.version).outcome
        if name not in HANDLERS and outcome.rank > _today(name).outcome.rank:
            yield f"{dialect.value}: {outcome.value}."
        if written:
            yield f"{dialect.value}: {', '.join(written)} written out."
