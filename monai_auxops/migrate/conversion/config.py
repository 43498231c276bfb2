"""One configuration, converted: its settings, its entries by place, its facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from monai_auxops.migrate.conversion.convert import Converter, Entry, created, facts_of
from monai_auxops.migrate.diagnostics import Log, did_you_mean
from monai_auxops.migrate.reading.components import PLACES, Reader
from monai_auxops.migrate.reading.json_source import Node
from monai_auxops.migrate.reading.variables import ENVIRONMENT, Variables
from monai_auxops.migrate.rules import RuleBook
from monai_auxops.migrate.rules.facts import Facts
from monai_auxops.migrate.rules.settings import SETTINGS, find

_PARTS = frozenset(place.part for place in PLACES if place.part)


@dataclass(slots=True)
class Config:
    """A converted configuration file."""

    file: str
    root: Node
    variables: Variables
    settings: dict[str, Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    facts: dict[str, Facts] = field(default_factory=dict)

    @property
    def trains(self) -> bool:
        """Tell a training configuration from an evaluation."""
        return self.root.get("train") is not None

    def at(self, part: str, *keys: str) -> list[Entry]:
        """Return the active entries of places, in order."""
        return [
            entry
            for entry in self.entries
            if entry.active and entry.component.place.part == part and entry.component.place.key in keys
        ]

    def first(self, part: str, key: str) -> Entry | None:
        """Return the entry of a single place."""
        return next(iter(self.at(part, key)), None)


def bind(root: Node, file: str, variables: Variables, rules: RuleBook, log: Log) -> Config:
    """Read settings and components of one file; facts and targets come later, from all files together."""
    config = Config(file, root, variables)
    converter = Converter(rules, variables, log)
    config.entries = converter.bind(Reader(root, log).read())
    config.settings = dict(_settings(config, log))
    _unknown_keys(config, log)
    return config


def collect(config: Config, base: Facts) -> None:
    """Collect the facts of each part; validation inherits what training knows, but not its data."""
    if not config.trains:
        config.facts[""] = facts_of(config.at("", *_keys("")), _without_data(base))
        return
    train = facts_of(config.at("train", *_keys("train")), base)
    validate = facts_of(config.at("validate", *_keys("validate")), _without_data(train))
    tags = tuple(name for entry in config.at("train", "aux_ops", "metrics") for name in created(entry, train))
    config.facts["train"] = train.update(scanning=validate.scanning, tags=tags)
    config.facts["validate"] = validate.update(tags=tags)


def build(config: Config, rules: RuleBook, log: Log) -> None:
    """Build the targets of all entries."""
    converter = Converter(rules, config.variables, log)
    for part, facts in config.facts.items():
        converter.build(config.at(part, *_keys(part)), facts)


def _keys(part: str) -> tuple[str, ...]:
    return tuple(place.key for place in PLACES if place.part == part)


def _without_data(facts: Facts) -> Facts:
    """Forget what belongs to the data of one part."""
    own = ("datalist", "data_key", "samples", "merged", "cached", "loads", "channel_first", "scanning", "activates")
    blank = Facts()
    return facts.update(**{name: getattr(blank, name) for name in own}, training=False)


def _settings(config: Config, log: Log) -> Iterator[tuple[str, Any]]:
    """Yield every setting's value; Clara's precedence is the variables' own."""
    for row in SETTINGS:
        name = next((name for name in (row.name, *row.also) if name in config.variables.values), None)
        node = config.root.get(name) if name is not None else None
        if name is None or not row.to:
            yield row.name, row.default
            continue
        try:
            yield row.name, row.kind(config.variables.values[name])
        except ValueError as error:
            log.add("CT206", node.where if node is not None else config.root.where, f"{name}: {error}")
            yield row.name, row.default


def _unknown_keys(config: Config, log: Log) -> None:
    """Report first-level keys, and keys of train and validate, that nothing reads."""
    parts = [("", config.root), *((part, config.root.get(part)) for part in sorted(_PARTS))]
    for part, node in parts:
        known = {place.key for place in PLACES if place.part == part} | (_PARTS if not part else set())
        for key, child in node.items() if node is not None else ():
            if key not in known and not (part == "" and _is_setting(config, key)):
                _report_key(key, child, known, log)


def _is_setting(config: Config, key: str) -> bool:
    return find(key) is not None or key in config.variables.read or key in ENVIRONMENT or key == "determinism"


def _report_key(key: str, child: Node, known: set[str], log: Log) -> None:
    if key.startswith("_"):
        log.add("CT311", child.where, f'"{key}" is a comment')
        return
    hint = did_you_mean(key, known | {row.name for row in SETTINGS})
    code = "CT317" if hint or isinstance(child.value, dict | list) else "CT311"
    log.add(code, child.where, f'nothing reads "{key}"', hint)
