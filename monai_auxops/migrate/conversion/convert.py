"""Apply rows to bound components. This module knows no component by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.conversion.network import own_network
from monai_auxops.migrate.diagnostics import Log, Outcome, worst
from monai_auxops.migrate.rules import OMIT, Call, Caveat, Each, Rule, Section, Target
from monai_auxops.migrate.rules.facts import Facts, UnknownFactError
from monai_auxops.migrate.rules.values import applies, arguments_read, evaluate

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.binding import Bound
    from monai_auxops.migrate.reading.components import Component


@dataclass(frozen=True, slots=True)
class Built:
    """One object of the bundle: its ``_target_`` and its arguments."""

    target: str
    args: dict[str, Any]
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Converted:
    """The result of one occurrence of a component; ``asks`` names a fact that it needs and nothing tells."""

    bound: Bound
    outcome: Outcome
    notes: tuple[str, ...] = ()
    built: tuple[Built, ...] = ()
    creates: tuple[str, ...] = ()
    asks: str = ""

    @property
    def component(self) -> Component:
        """The occurrence in Clara's file."""
        return self.bound.component

    @property
    def rule(self) -> Rule | None:
        """The row, or None for a component without one."""
        return self.bound.rule

    @property
    def args(self) -> Mapping[str, Any]:
        """Clara's arguments, with defaults."""
        return self.bound.args

    @property
    def active(self) -> bool:
        """Tell whether the occurrence is part of the bundle."""
        return self.bound.active

    @property
    def manual(self) -> bool:
        """Tell whether the user must write a class for it."""
        return self.outcome is Outcome.MANUAL

    @property
    def why(self) -> str:
        """The reason of the row, and what applies to this occurrence only, as sentences."""
        return " ".join([self.bound.reason, *(f"{note[:1].upper()}{note[1:]}." for note in self.notes)])


def convert(bound: Bound, facts: Facts, log: Log) -> Converted:
    """Build the objects of one occurrence from the facts."""
    if bound.rule is None or bound.manual:
        return Converted(bound, bound.outcome)
    try:
        return _apply_rule(bound, bound.rule, facts, log)
    except UnknownFactError as unknown:
        return Converted(bound, Outcome.MANUAL, (f"nothing says {unknown}",), asks=unknown.answer)


def _apply_rule(bound: Bound, rule: Rule, facts: Facts, log: Log) -> Converted:
    call = bound.call(facts)
    objects = tuple(built(rule, call))
    said = [caveat for caveat in rule.caveats if applies(caveat.when, call)]
    notes = tuple(_caveat_text(caveat, bound, call, log) for caveat in said)
    outcome = worst([bound.outcome, *(caveat.outcome for caveat in said if caveat.outcome is not None)])
    return Converted(bound, outcome, notes, objects, created_fields(bound, facts))


def _caveat_text(caveat: Caveat, bound: Bound, call: Call, log: Log) -> str:
    """Return what a caveat says about one occurrence; a caveat with a code also adds a diagnostic."""
    text = str(evaluate(caveat.text, call))
    if caveat.code and bound.rule is not None:
        log.add(caveat.code, bound.component.where, f"{bound.rule.name}: {text}")
    return text


def facts_of(occurrences: Iterable[Bound], facts: Facts) -> Facts:
    """Collect what the components provide; a second pass lets a row read what a later one provided."""
    bound = [item for item in occurrences if item.active]
    for _ in range(2):
        for item in bound:
            facts = facts.update(**_facts_provided(item, facts))
    return facts


def _facts_provided(bound: Bound, facts: Facts) -> dict[str, Any]:
    if bound.rule is None:
        return own_network(bound.args) if bound.component.place.section is Section.MODEL else {}
    known = {name: value for name, value in bound.rule.facts.items() if not arguments_read(value) & bound.missing}
    found = {name: evaluate(value, bound.call(facts)) for name, value in known.items()}
    return {name: value for name, value in found.items() if value is not OMIT and value is not None}


def created_fields(bound: Bound, facts: Facts) -> tuple[str, ...]:
    """Return the fields that an occurrence leaves for others."""
    if bound.rule is None or bound.manual:
        return ()
    return tuple(evaluate(bound.rule.creates, bound.call(facts)))


def built(rule: Rule, call: Call) -> Iterator[Built]:
    """Yield the objects that one occurrence becomes."""
    for target in _targets(rule, call):
        if applies(target.when, call):
            yield Built(target.name, evaluate(target.args, call), target.slot)


def _targets(rule: Rule, call: Call) -> Iterator[Target]:
    for target in rule.targets:
        if isinstance(target, Each):
            yield from map(target.target, evaluate(target.items, call))
        else:
            yield target
