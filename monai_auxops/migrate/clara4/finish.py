"""Make an item of an adapted class: report what is lost, and refuse what cannot stand in a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4 import wiring
from monai_auxops.migrate.clara4.item import Block, Item, block_of
from monai_auxops.migrate.clara4.references import circular_references, reference_in, title_of
from monai_auxops.migrate.clara4.values import codes_in, holds_configuration
from monai_auxops.migrate.diagnostics import Log, Outcome, Where, worst

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.adapt import Adapted
    from monai_auxops.migrate.clara4.components import Occurrence

_ENGINES: Final = ("trainer", "evaluator")
_NESTED: Final = "An argument holds a component of its own, which is not converted."
UNKNOWN_CODE: Final = "Code in a string that has none of the known forms."


@dataclass(slots=True)
class Finisher:
    """Makes the items of one file; ``absent`` holds the references to objects that the file does not have.

    ``unsaid`` holds, by part, the objects that an engine of 4.1 has to name to use them.
    """

    log: Log
    absent: frozenset[str] = field(default_factory=frozenset)
    unsaid: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def item(
        self, found: Occurrence, section: str, given: Mapping[str, Any], row: Adapted, post: tuple[Block, ...] = ()
    ) -> Item:
        """Return the item of a class as it is today."""
        self._report(found, row)
        why = self._why_manual(found, row)
        if why:
            return self.manual(found, given, why)
        circular = circular_references(found.place, section)
        if found.place.key in _ENGINES:
            row = self._wired(found, self._untied(found, row, self.absent | circular))
        missing = reference_in(row.args, self.absent)
        if missing and found.place.key != "handlers":
            return self.manual(found, given, f"It needs the {title_of(missing)}, which the file does not have.")
        if missing:
            return self._without(found, given, title_of(missing))
        round_trip = reference_in(row.args, circular)
        if round_trip:
            return self.manual(found, given, f"It refers to the {title_of(round_trip)}, which is made from it.")
        blocks = (block_of(row.target, row.args),)
        return Item(found, row.outcome, row.why, row.notes, given, blocks, post, row.unused)

    def manual(self, found: Occurrence, given: Mapping[str, Any], why: str) -> Item:
        """Return an item that the user must write, and report it."""
        self.log.add("CT701", found.where, f"{found.name}: {why}")
        return Item(found, Outcome.MANUAL, why, given=given)

    def with_references(self, item: Item) -> Item:
        """Return an item that the user must write without the arguments that refer to what the file does not have."""
        if not item.manual:
            return item
        found, lost = item.occurrence, {name: reference_in(value, self.absent) for name, value in item.given.items()}
        for name, reference in lost.items():
            if reference:
                message = f'"{name}" of {found.name} refers to the {title_of(reference)}, which the file does not have'
                self.log.add("CT320", argument_place(found, name), message)
        return replace(item, given={name: value for name, value in item.given.items() if not lost[name]})

    def _report(self, found: Occurrence, row: Adapted) -> None:
        for name, hint in row.unknown.items():
            self.log.add("CT402", argument_place(found, name), f'{found.name} has no argument "{name}"', hint)
        for name in row.lost:
            self.log.add("CT405", argument_place(found, name), f'"{name}" of {found.name} has no counterpart today')
        for name in row.written:
            message = f"{found.name}: {name} was {row.args[name]!r} by default and is written out"
            self.log.add("CT406", found.where, message)
        for code in codes_in(dict(row.args)):
            self.log.add("CT321", found.where, f"{found.name}: {shorten(code.text)} {code.shape.value}")

    def _why_manual(self, found: Occurrence, row: Adapted) -> str:
        if row.manual:
            return row.why
        if codes_in(dict(row.args)):
            return UNKNOWN_CODE
        if holds_configuration(row.args):
            return "It needs the configuration of Clara Train itself."
        if _holds_component(row.args):
            return _NESTED
        missing = [name for name in row.missing if name not in wiring.engine_arguments(found.place.key)]
        if not missing:
            return ""
        self.log.add("CT401", found.where, f'{found.name} needs the argument "{missing[0]}"')
        return f'The argument "{missing[0]}" is missing.'

    def _untied(self, found: Occurrence, row: Adapted, gone: frozenset[str]) -> Adapted:
        """Leave out the arguments of an engine that refer to what it cannot have; its own wiring is the bundle's."""
        lost = {name: reference_in(value, gone) for name, value in row.args.items()}
        for name, reference in lost.items():
            if reference and name not in wiring.engine_arguments(found.place.key):
                message = f'"{name}" of {found.name} refers to the {title_of(reference)}, which it cannot have'
                self.log.add("CT320", argument_place(found, name), message)
        return replace(row, args={name: value for name, value in row.args.items() if not lost[name]})

    def _wired(self, found: Occurrence, row: Adapted) -> Adapted:
        """Say what the bundle passes to an engine of 4.1 that names other objects and not this one."""
        wired = wiring.section_arguments(found.place.key)
        if not wired.keys() & row.args.keys():
            return row
        present = self.unsaid.get(found.place.part, frozenset())
        added = [name for name, target in wired.items() if target in present and name not in row.args]
        notes = [f"the file does not pass it {name}, the bundle does" for name in added]
        outcome = worst([row.outcome, Outcome.APPROXIMATE]) if added else row.outcome
        return replace(row, outcome=outcome, notes=(*row.notes, *notes))

    def _without(self, found: Occurrence, given: Mapping[str, Any], missing: str) -> Item:
        """Leave out what works on an object that the file does not have."""
        why = f"needs the {missing}, which the file does not have or disables"
        self.log.add("CT320", found.where, f"{found.name} {why}")
        return Item(found, Outcome.DROPPED, f"It {why}.", given=given)


def _holds_component(value: Any) -> bool:
    """Tell whether an argument is or contains a component in Clara's grammar."""
    if isinstance(value, list):
        return any(map(_holds_component, value))
    if not isinstance(value, Mapping):
        return False
    named = isinstance(value.get("name"), str) or isinstance(value.get("path"), str)
    return (named and "args" in value) or any(map(_holds_component, value.values()))


def argument_place(found: Occurrence, name: str) -> Where:
    """Return the place of an argument, or that of its component."""
    node = found.args.get(name) if found.args is not None else None
    return node.where if node is not None else found.where


def shorten(text: str) -> str:
    """Return code as it is shown in a message."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
