"""One configuration, converted: its settings, its entries by place, its facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.conversion.binding import Binder, Bound
from monai_auxops.migrate.conversion.convert import Converted, convert, created_fields, facts_of
from monai_auxops.migrate.conversion.metric_names import with_own_names
from monai_auxops.migrate.diagnostics import Log, Outcome, did_you_mean
from monai_auxops.migrate.reading.components import PLACES, ComponentReader
from monai_auxops.migrate.reading.variables import ENVIRONMENT, Variables
from monai_auxops.migrate.rules.facts import Facts
from monai_auxops.migrate.rules.settings import SETTINGS, find

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.node import Node
    from monai_auxops.migrate.rules import RuleBook

_PARTS = frozenset(place.part for place in PLACES if place.part)


@dataclass(frozen=True, slots=True)
class BoundConfig:
    """A configuration file whose components have their rows and arguments; facts and objects come later."""

    file: str
    root: Node
    variables: Variables
    settings: Mapping[str, Any]
    bound: tuple[Bound, ...]

    @property
    def trains(self) -> bool:
        """Tell a training configuration from an evaluation."""
        return self.root.get("train") is not None

    def at(self, part: str, *keys: str) -> list[Bound]:
        """Return the active occurrences of places, in order."""
        return [item for item in self.bound if item.active and _is_at(item, part, keys)]


@dataclass(frozen=True, slots=True)
class ConvertedConfig:
    """A converted configuration file: its settings, its entries by place, and the facts of each part."""

    file: str
    root: Node
    variables: Variables
    settings: Mapping[str, Any]
    entries: tuple[Converted, ...]
    facts: Mapping[str, Facts]

    @property
    def trains(self) -> bool:
        """Tell a training configuration from an evaluation."""
        return self.root.get("train") is not None

    def at(self, part: str, *keys: str) -> list[Converted]:
        """Return the active entries of places, in order."""
        return [entry for entry in self.entries if entry.active and _is_at(entry.bound, part, keys)]

    def first(self, part: str, key: str) -> Converted | None:
        """Return the entry of a single place."""
        return next(iter(self.at(part, key)), None)


def _is_at(bound: Bound, part: str, keys: tuple[str, ...]) -> bool:
    place = bound.component.place
    return place.part == part and place.key in keys


def bind(root: Node, file: str, variables: Variables, rules: RuleBook, log: Log) -> BoundConfig:
    """Read settings and components of one file."""
    bound = Binder(rules, variables, log).bind(ComponentReader(root, log).read())
    named = tuple(with_own_names(bound, log))
    config = BoundConfig(file, root, variables, dict(_settings(root, variables, log)), named)
    _unknown_keys(config, log)
    return config


def collect(config: BoundConfig, base: Facts) -> dict[str, Facts]:
    """Return the facts of each part; validation inherits what training knows, but not its data."""
    if not config.trains:
        return {"": facts_of(config.at("", *_keys("")), _without_data(base))}
    train = facts_of(config.at("train", *_keys("train")), base)
    validate = facts_of(config.at("validate", *_keys("validate")), _without_data(train))
    tags = tuple(name for item in config.at("train", "aux_ops", "metrics") for name in created_fields(item, train))
    return {"train": train.update(scanning=validate.scanning, tags=tags), "validate": validate.update(tags=tags)}


def build(config: BoundConfig, facts: Mapping[str, Facts], log: Log) -> ConvertedConfig:
    """Convert all occurrences with the facts of their parts, which are final."""
    entries = tuple(convert(item, facts.get(item.component.place.part, Facts()), log) for item in config.bound)
    return ConvertedConfig(config.file, config.root, config.variables, config.settings, entries, facts)


def _keys(part: str) -> tuple[str, ...]:
    return tuple(place.key for place in PLACES if place.part == part)


def _without_data(facts: Facts) -> Facts:
    """Remove the facts that belong to the data of one part."""
    own = ("datalist", "data_key", "samples", "scanning")
    blank = Facts()
    return facts.update(**{name: getattr(blank, name) for name in own}, training=False)


def _settings(root: Node, variables: Variables, log: Log) -> Iterator[tuple[str, Any]]:
    """Yield every setting's value, in Clara's order of precedence."""
    for row in SETTINGS:
        name = next(
            (name for name in (row.name, *row.also) if name in variables.values or _is_object(root, name)), None
        )
        node = root.get(name) if name is not None else None
        if name is None or row.outcome is Outcome.DROPPED:
            yield row.name, row.default
            continue
        try:
            yield row.name, row.kind(setting_value(root, variables, name))
        except ValueError as error:
            log.add("CT206", node.where if node is not None else root.where, f"{name}: {error}")
            yield row.name, row.default


def setting_value(root: Node, variables: Variables, name: str) -> Any:
    """Return the value that a setting has in a configuration or its variables."""
    node = root.get(name)
    if node is not None and _is_object(root, name):
        return node.plain()
    return variables.lookup(name, (node or root).where)


def _is_object(root: Node, name: str) -> bool:
    node = root.get(name)
    return node is not None and isinstance(node.value, dict)


def _unknown_keys(config: BoundConfig, log: Log) -> None:
    """Report first-level keys, and keys of train and validate, that nothing reads."""
    parts = [("", config.root), *((part, config.root.get(part)) for part in sorted(_PARTS))]
    for part, node in parts:
        known = {place.key for place in PLACES if place.part == part} | (_PARTS if not part else set())
        for key, child in node.items() if node is not None else ():
            if key not in known and not (part == "" and _is_setting(config, key)):
                _report_key(key, child, known, log)


def _is_setting(config: BoundConfig, key: str) -> bool:
    return find(key) is not None or key in config.variables.read or key in ENVIRONMENT or key == "determinism"


def _report_key(key: str, child: Node, known: set[str], log: Log) -> None:
    if key.startswith("_"):
        log.add("CT311", child.where, f'"{key}" is a comment')
        return
    hint = did_you_mean(key, known | {row.name for row in SETTINGS})
    code = "CT317" if hint or isinstance(child.value, dict | list) else "CT311"
    log.add(code, child.where, f'nothing reads "{key}"', hint)
