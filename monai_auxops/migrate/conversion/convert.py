"""Walks a configuration and applies rows. It knows sections and outcomes, and no component by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from monai_auxops.migrate.diagnostics import Log, Outcome, did_you_mean, worst
from monai_auxops.migrate.reading.components import Component
from monai_auxops.migrate.reading.json_source import Node
from monai_auxops.migrate.reading.variables import Variables
from monai_auxops.migrate.rules import OMIT, REQUIRED, Call, Each, Param, Rule, RuleBook, Target
from monai_auxops.migrate.rules.base import evaluate, reads
from monai_auxops.migrate.rules.facts import Facts


@dataclass(frozen=True, slots=True)
class Built:
    """One object of the bundle: what stands in its `_target_`, and its arguments."""

    target: str
    args: dict[str, Any]
    slot: str = ""


@dataclass(slots=True)
class Entry:
    """What became of one occurrence of a component."""

    component: Component
    rule: Rule | None
    outcome: Outcome
    reason: str
    args: dict[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)
    built: list[Built] = field(default_factory=list)
    creates: list[str] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """Tell whether the occurrence has a part in the bundle."""
        return not self.component.disabled

    @property
    def why(self) -> str:
        """The reason of the row, and what applies to this occurrence only, as sentences."""
        return " ".join([self.reason, *(f"{note[:1].upper()}{note[1:]}." for note in self.notes)])

    @property
    def manual(self) -> bool:
        """Tell whether somebody has to write a class for it."""
        return self.outcome is Outcome.MANUAL


class Converter:
    """Applies the rows of a rule book to the components of one configuration."""

    def __init__(self, rules: RuleBook, variables: Variables, log: Log) -> None:
        self.rules, self.variables, self.log = rules, variables, log

    def bind(self, components: Iterable[Component]) -> list[Entry]:
        """Find each component's row and bind its arguments; nothing is built yet."""
        return [self.entry(component) for component in components]

    def entry(self, component: Component) -> Entry:
        """Bind one occurrence."""
        if component.disabled:
            return Entry(component, None, Outcome.DROPPED, f"{component.disabled.capitalize()}: it had no effect.")
        if component.path and self.rules.find(component.place.section, component.path) is None:
            return self.own(component)
        rule = self.rules.find(component.place.section, component.path or component.name)
        if rule is None:
            return self.unknown(component)
        if component.name in rule.also:
            self.log.add("CT315", component.where, f"{component.name} is {rule.name} since Clara Train 2")
        return self.known(component, rule)

    def own(self, component: Component) -> Entry:
        """Return the entry of a user's own component."""
        message = f"{component.path} is your own {component.place.section.value}: it was written for TensorFlow"
        self.log.add("CT312", component.where, message)
        entry = Entry(component, None, Outcome.MANUAL, "Your own TensorFlow code: rewrite it for PyTorch.")
        entry.args = self.raw(component)
        return entry

    def unknown(self, component: Component) -> Entry:
        """Return the entry of a component without a row."""
        name, section = component.name, component.place.section
        elsewhere = self.rules.sections_of(name)
        if elsewhere:
            self.log.add(
                "CT313", component.where, f"{name} is a {elsewhere[0].value}, here a {section.value} is expected"
            )
        elif name:
            hint = did_you_mean(name, self.rules.names(section))
            self.log.add("CT301", component.where, f'unknown {section.value} "{name}"', hint)
        entry = Entry(component, None, Outcome.MANUAL, "Not a component of Clara Train.")
        entry.args = self.raw(component)
        return entry

    def known(self, component: Component, rule: Rule) -> Entry:
        """Bind the arguments of a component that has a row."""
        entry = Entry(component, rule, rule.outcome, rule.reason)
        args = dict(component.args.items()) if component.args is not None else {}
        if component.args is not None and not isinstance(component.args.value, dict):
            self.log.add("CT403", component.args.where, f"the args of {rule.name} are no object")
        given = set()
        for param in rule.params:
            name = next((name for name in (param.name, *param.also) if name in args), None)
            node = args.pop(name) if name is not None else None
            entry.args[param.name] = self.value(entry, param, node)
            if node is not None:
                given.add(param.name)
        entry.given = frozenset(given)
        self.leftover(entry, rule, args)
        self.unused(entry, rule)
        if rule.outcome is Outcome.MANUAL:
            self.log.add("CT701", component.where, f"{rule.name}: {rule.reason}")
        return entry

    def value(self, entry: Entry, param: Param, node: Node | None) -> Any:
        """Return an argument's value, the default where none or a wrong one is given."""
        where = node.where if node is not None else entry.component.where
        raw = self.variables.resolve(node) if node is not None else None
        if raw is None and param.default is REQUIRED:
            self.log.add("CT401", where, f'{entry.component.name} needs the argument "{param.name}"')
            return self.spoil(entry, param)
        if raw is None:
            return param.default
        try:
            return param.kind(raw)
        except ValueError as error:
            self.log.add("CT403", where, f'argument "{param.name}" of {entry.component.name}: {error}')
            return self.spoil(entry, param) if param.default is REQUIRED else param.default

    def spoil(self, entry: Entry, param: Param) -> Any:
        """Mark an entry that cannot be built."""
        entry.outcome, entry.reason = Outcome.MANUAL, f'The argument "{param.name}" is missing or wrong.'
        return OMIT

    def leftover(self, entry: Entry, rule: Rule, args: Mapping[str, Node]) -> None:
        """Report arguments that the row does not know."""
        known = [param.name for param in rule.params]
        for name, node in args.items():
            self.variables.resolve(node)
            hint = did_you_mean(name, known)
            if name.startswith("_"):
                self.log.add("CT311", node.where, f'"{name}" is a comment')
            elif rule.open and not hint:
                entry.unused[name] = "not among the documented arguments"
                self.log.add("CT404", node.where, f'"{name}" of {rule.name} is not documented and was left out')
            else:
                self.log.add("CT402", node.where, f'{rule.name} has no argument "{name}"', hint)

    def unused(self, entry: Entry, rule: Rule) -> None:
        """Record the given arguments that have no place in the bundle, with the row's reason."""
        used = read_by(rule)
        for param in rule.params:
            if param.name in entry.given and param.name not in used and param.note:
                entry.unused[param.name] = param.note

    def raw(self, component: Component) -> dict[str, Any]:
        """Return the arguments as they are, for a stub."""
        resolved = self.variables.resolve(component.args) if component.args is not None else {}
        return resolved if isinstance(resolved, dict) else {}

    def build(self, entries: Iterable[Entry], facts: Facts) -> None:
        """Build the targets of bound entries, now that the facts are known."""
        for entry in entries:
            if entry.rule is None or entry.manual:
                continue
            call = Call(entry.args, entry.given, facts)
            entry.built = list(built(entry.rule, call))
            entry.creates = created(entry, facts)
            self.caveats(entry, entry.rule, call)

    def caveats(self, entry: Entry, rule: Rule, call: Call) -> None:
        """Say what applies to this occurrence only."""
        for caveat in rule.caveats:
            if not caveat.when(call):
                continue
            entry.notes.append(caveat.text)
            if caveat.outcome is not None:
                entry.outcome = worst([entry.outcome, caveat.outcome])
            if caveat.code:
                self.log.add(caveat.code, entry.component.where, f"{rule.name}: {caveat.text}")


def facts_of(entries: Iterable[Entry], facts: Facts) -> Facts:
    """Collect what the rows provide; a second pass lets a row read what a later one provided."""
    bound = [entry for entry in entries if entry.rule is not None and entry.active]
    for _ in range(2):
        for entry in bound:
            facts = facts.update(**_provided(entry, facts))
    return facts


def _provided(entry: Entry, facts: Facts) -> dict[str, Any]:
    if entry.rule is None or any(value is REQUIRED for value in entry.args.values()):
        return {}
    call = Call(entry.args, entry.given, facts)
    found = {name: evaluate(value, call) for name, value in entry.rule.facts.items()}
    return {name: value for name, value in found.items() if value is not OMIT and value is not None}


def created(entry: Entry, facts: Facts) -> list[str]:
    """Return the fields that an occurrence leaves for others."""
    if entry.rule is None or entry.manual:
        return []
    return list(evaluate(entry.rule.creates, Call(entry.args, entry.given, facts)))


def built(rule: Rule, call: Call) -> Iterator[Built]:
    """Yield the objects that one occurrence becomes."""
    for target in _targets(rule, call):
        if target.when is None or target.when(call):
            yield Built(target.name, evaluate(target.args, call), target.slot)


def _targets(rule: Rule, call: Call) -> Iterator[Target]:
    for target in rule.targets:
        if isinstance(target, Each):
            yield from map(target.target, evaluate(target.items, call))
        else:
            yield target


def read_by(rule: Rule) -> set[str]:
    """Return the arguments of Clara that a row's targets read."""
    used: set[str] = set()
    for target in rule.targets:
        used |= reads(target.items) | reads(target.example().args) if isinstance(target, Each) else reads(target.args)
    return used
