"""Bind the components of a configuration to rows and arguments. Nothing is built yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Log, Outcome, did_you_mean, worst
from monai_auxops.migrate.rules import OMIT, REQUIRED, Call, Each, Param, Rule, RuleBook
from monai_auxops.migrate.rules.values import arguments_read, reads_condition

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.components import Component
    from monai_auxops.migrate.reading.node import Node
    from monai_auxops.migrate.reading.variables import Variables
    from monai_auxops.migrate.rules.facts import Facts


REFERS_TO_NOTHING: Final = "What it refers to is not in the file: correct the name, or write the class by hand."


@dataclass(frozen=True, slots=True)
class Bound:
    """One occurrence of a component: its row, its arguments with defaults, and which of them were given.

    ``outcome`` and ``reason`` are the row's, or say why there is none; ``unused`` names arguments that the bundle does
    not use, with the reason.
    """

    component: Component
    rule: Rule | None
    outcome: Outcome
    reason: str
    args: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    unused: Mapping[str, str] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Tell whether the occurrence is part of the bundle."""
        return not self.component.disabled

    @property
    def manual(self) -> bool:
        """Tell whether the user must write a class for it."""
        return self.outcome is Outcome.MANUAL

    @property
    def missing(self) -> frozenset[str]:
        """The arguments that Clara requires and that are missing or wrong."""
        params = self.rule.params if self.rule is not None else ()
        needed = (param.name for param in params if param.default is REQUIRED)
        return frozenset(name for name in needed if self.args[name] is OMIT)

    def call(self, facts: Facts) -> Call:
        """Return the occurrence in the form that a row reads."""
        return Call(self.args, self.given, facts)


class Binder:
    """Finds the rows of one configuration's components in a rule book."""

    def __init__(self, rules: RuleBook, variables: Variables, log: Log) -> None:
        self.rules, self.variables, self.log = rules, variables, log

    def bind(self, components: Iterable[Component]) -> tuple[Bound, ...]:
        """Bind every occurrence."""
        return tuple(self.occurrence(component) for component in components)

    def occurrence(self, component: Component) -> Bound:
        """Bind one occurrence."""
        if component.disabled:
            return Bound(component, None, Outcome.DROPPED, component.disabled)
        if not component.refers:
            return Bound(component, None, Outcome.MANUAL, REFERS_TO_NOTHING)
        rule = self._row(component)
        if rule is None:
            return self.bind_own(component) if component.path else self.bind_unknown(component)
        if component.name in rule.also:
            self.log.add("CT315", component.where, f"{component.name} is {rule.name} since Clara Train 2")
        return self.bind_known(component, rule)

    def _row(self, component: Component) -> Rule | None:
        section = component.place.section
        if component.path:
            return self.rules.find_path(section, component.path)
        return self.rules.find(section, component.name)

    def bind_own(self, component: Component) -> Bound:
        """Bind a user's own component: its arguments are kept as they are."""
        message = f"{component.path} is your own {component.place.section.value}: it was written for TensorFlow"
        self.log.add("CT312", component.where, message)
        why = "Your own TensorFlow code: rewrite it for PyTorch."
        return Bound(component, None, Outcome.MANUAL, why, self.raw_arguments(component))

    def bind_unknown(self, component: Component) -> Bound:
        """Bind a component without a row."""
        name, section = component.name, component.place.section
        elsewhere = self.rules.sections_of(name)
        if elsewhere:
            message = f"{name} is {elsewhere[0].title}, but {section.title} is expected here"
            self.log.add("CT313", component.where, message)
        elif name:
            hint = did_you_mean(name, self.rules.names(section))
            self.log.add("CT301", component.where, f'unknown {section.value} "{name}"', hint)
        return Bound(component, None, Outcome.MANUAL, "Not a component of Clara Train.", self.raw_arguments(component))

    def bind_known(self, component: Component, rule: Rule) -> Bound:
        """Bind the arguments of a component that has a row."""
        nodes = dict(self.nodes(component, rule))
        read = everything_read(rule)
        args = {
            param.name: self.value(component, param, nodes.get(param.name), param.name in read) for param in rule.params
        }
        unused = {**self.leftover(component, rule), **_without_place(rule, nodes)}
        missing = [name for name, value in args.items() if value is REQUIRED]
        if rule.outcome is Outcome.MANUAL:
            self.log.add("CT701", component.where, f"{rule.name}: {rule.why}")
        if missing:
            reason = f'The argument "{missing[0]}" is missing or wrong.'
            return Bound(component, rule, Outcome.MANUAL, reason, _known(args), frozenset(nodes), unused)
        outcome, reason = self._with_mistakes(component, rule)
        return Bound(component, rule, outcome, reason, args, frozenset(nodes), unused)

    def _with_mistakes(self, component: Component, rule: Rule) -> tuple[Outcome, str]:
        """Return a row's outcome and reason; with a mistake in its arguments none is as it was."""
        if component.args is None or not self.log.has_mistakes_in(component.args.where):
            return rule.outcome, rule.why
        reason = f"{rule.why} An argument cannot be used as it is written."
        return worst([rule.outcome, Outcome.APPROXIMATE]), reason

    def nodes(self, component: Component, rule: Rule) -> Iterator[tuple[str, Node]]:
        """Yield the given arguments of a row under their present names."""
        args = component.args
        if args is not None and not isinstance(args.value, dict):
            self.log.add("CT403", args.where, f"the args of {rule.name} are not an object")
        for param in rule.params if args is not None else ():
            found = (args.get(name) for name in (param.name, *param.also)) if args is not None else iter(())
            node = next((node for node in found if node is not None), None)
            if node is not None:
                yield param.name, node

    def value(self, component: Component, param: Param, node: Node | None, matters: bool) -> Any:
        """Return an argument's value, the default if none or a wrong one is given (REQUIRED if there is none)."""
        resolve = self.variables.resolve if matters else self.variables.quietly
        raw = resolve(node) if node is not None else None
        where = node.where if node is not None else component.where
        if raw is None:
            if param.default is REQUIRED:
                self.log.add("CT401", where, f'{component.name} needs the argument "{param.name}"')
            return param.default
        try:
            return param.kind(raw)
        except ValueError as error:
            self.log.add("CT403", where, f'argument "{param.name}" of {component.name}: {error}')
            return param.default

    def leftover(self, component: Component, rule: Rule) -> dict[str, str]:
        """Report arguments that the row does not know; return those that may have been Clara's."""
        known = {name for param in rule.params for name in (param.name, *param.also)}
        return dict(self.undocumented(component, rule, known))

    def undocumented(self, component: Component, rule: Rule, known: set[str]) -> Iterator[tuple[str, str]]:
        """Yield the arguments that Clara may have known though its documentation does not."""
        names = [param.name for param in rule.params]
        for name, node in component.args.items() if component.args is not None else ():
            if name in known:
                continue
            self.variables.resolve(node)
            hint = did_you_mean(name, names)
            if name.startswith("_"):
                self.log.add("CT311", node.where, f'"{name}" is a comment')
            elif rule.open and not hint:
                self.log.add("CT404", node.where, f'"{name}" of {rule.name} is not documented and was left out')
                yield name, "not a documented argument"
            else:
                self.log.add("CT402", node.where, f'{rule.name} has no argument "{name}"', hint)

    def raw_arguments(self, component: Component) -> dict[str, Any]:
        """Return the arguments as they are, for a stub."""
        resolved = self.variables.resolve(component.args) if component.args is not None else {}
        return resolved if isinstance(resolved, dict) else {}


def _known(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: OMIT if value is REQUIRED else value for name, value in args.items()}


def _without_place(rule: Rule, given: Mapping[str, Node]) -> dict[str, str]:
    """Return the given arguments that no target reads, with the row's reason."""
    used = read_by(rule)
    idle = (param for param in rule.params if param.name in given and param.name not in used)
    return {param.name: param.note for param in idle if param.note}


def everything_read(rule: Rule) -> frozenset[str]:
    """Return the arguments of Clara that a row reads anywhere."""
    values = [*rule.facts.values(), rule.creates, *rule.in_validation.values()]
    conditions = (reads_condition(caveat.when) | arguments_read(caveat.text) for caveat in rule.caveats)
    return read_by(rule).union(*map(arguments_read, values), *conditions)


def read_by(rule: Rule) -> frozenset[str]:
    """Return the arguments of Clara that a row's targets read."""
    used: frozenset[str] = frozenset()
    for target in rule.targets:
        one = target.example() if isinstance(target, Each) else target
        used |= arguments_read(one.args) | reads_condition(one.when)
        used |= arguments_read(target.items) if isinstance(target, Each) else frozenset()
    return used
