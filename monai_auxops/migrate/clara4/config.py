"""One configuration of Clara Train 4, converted: its dialect, its items by place, its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.attributes import check_attributes, check_smart_cache
from monai_auxops.migrate.clara4.clara3 import Clara3, facts_of
from monai_auxops.migrate.clara4.components import OccurrenceReader, has_weights, weights_named
from monai_auxops.migrate.clara4.convert import Converter
from monai_auxops.migrate.clara4.dialect import Dialect, dialect_of
from monai_auxops.migrate.clara4.environment import check_environment
from monai_auxops.migrate.clara4.labels import MetricNamer
from monai_auxops.migrate.clara4.references import absent_references, nameable_objects, reference_in
from monai_auxops.migrate.clara4.settings import TARGETS, GivenSetting, read_settings
from monai_auxops.migrate.clara4.values import DEFAULTS, Values
from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.reading.unsafe_keys import refuse_unsafe_keys
from monai_auxops.migrate.reading.variables import Variables, collect

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.components import Occurrence
    from monai_auxops.migrate.clara4.item import Item
    from monai_auxops.migrate.diagnostics import Log
    from monai_auxops.migrate.reading.node import Node


class Role(Enum):
    """The purpose of a configuration."""

    TRAIN = "training"
    EVALUATE = "evaluation"
    INFER = "inference"


_MISTAKE: Final = "a value cannot be used as it is written"
_STATES: Final = frozenset({"model", "optimizer", "lr_scheduler"})


@dataclass(slots=True)
class Clara4Config:
    """A converted configuration file; ``weights`` holds the files of weights that its model names, by attribute."""

    file: str
    root: Node
    role: Role
    variables: Variables
    dialect: Dialect
    items: list[Item] = field(default_factory=list)
    given: tuple[GivenSetting, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    all_models_off: bool = False

    def at(self, part: str, *keys: str) -> list[Item]:
        """Return the active items of places, in order."""
        return [item for item in self.items if item.active and item.occurrence.place in [(part, key) for key in keys]]

    def first(self, part: str, key: str) -> Item | None:
        """Return the item of a single place."""
        return next(iter(self.at(part, key)), None)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the bundle."""
        return {setting.row.to: setting.value for setting in self.given if setting.row.to}

    def setting(self, name: str) -> Any:
        """Return the value of a setting, or None if the file does not have it."""
        return next((setting.value for setting in self.given if setting.row.name == name), None)

    @property
    def parts(self) -> tuple[str, ...]:
        """The sections that the file has."""
        if self.role is not Role.TRAIN:
            return ("",)
        return ("train", "validate") if has_validation(self.root) else ("train",)


def read_config(
    root: Node,
    file: str,
    role: Role,
    given: Mapping[str, Any],
    environment: Node | None,
    log: Log,
    trust: bool = False,
    pictures: bool = False,
) -> Clara4Config:
    """Convert one file; problems go to the log. ``pictures`` tells that the data list names PNG or JPEG files."""
    refuse_unsafe_keys(root, log)
    variables = collect(given, environment, root, log, lists=True)
    variables.values = {**DEFAULTS, **_unreadable(root), **variables.values}
    check_environment(variables, file, log)
    config = Clara4Config(file, root, role, variables, dialect_of(root))
    found = OccurrenceReader(root, variables, log).read()
    active = frozenset(item.place.key for item in found if not item.off)
    values = {part: Values(variables, log, part or "validate") for part in ("train", "validate", "")}
    old = Clara3(variables, facts_of(root, variables), log)
    converter = Converter(values, config.dialect, (active & _STATES) | {"model"}, old, trust, log)
    if config.dialect is Dialect.V41:
        converter.finisher.unsaid = {part: nameable_objects(found, part) for part in config.parts}
    converter.finisher.absent = absent_references(found, config.parts, role is Role.TRAIN)
    converter.pictures = pictures
    check_attributes(found, variables, log)
    check_smart_cache(found, log)
    items = [converter.item(item) for item in found if not _is_weights(item)]
    config.weights = weights_named(found, variables)
    config.all_models_off = all(item.off for item in found if item.place.key == "model")
    config.given = tuple(read_settings(root, variables, log))
    config.items = [_judged(item, config.given, log) for item in MetricNamer(variables, log).named(items)]
    return config


def _unreadable(root: Node) -> dict[str, Any]:
    """Return the settings that hold what no variable can: components refer to the bundle's default instead."""
    found = ((name, root.get(name)) for name in TARGETS)
    return {name: node.plain() for name, node in found if node is not None}


def _judged(item: Item, given: Iterable[GivenSetting], log: Log) -> Item:
    """Return an item as what it is: with a value that cannot be used as it is written, none is as it was."""
    if not item.blocks:
        return item
    unread = [setting.row.to for setting in given if not setting.readable]
    for name in unread:
        if reference_in(list(item.blocks), [f"@{name}"]):
            item = item.lowered(Outcome.APPROXIMATE, f"it reads {name}, whose value cannot be read")
    if item.occurrence.guess:
        item = item.lowered(Outcome.APPROXIMATE, item.occurrence.guess)
    mistaken = log.has_mistakes_in(item.occurrence.node.where)
    return item.lowered(Outcome.APPROXIMATE, _MISTAKE) if mistaken else item


def has_validation(root: Node) -> bool:
    """Tell whether a training configuration has a section that validates."""
    section = root.get("validate")
    return section is not None and bool(section.value)


def _is_weights(found: Occurrence) -> bool:
    """Tell whether a model is only the name of a file of weights."""
    return found.place.key == "model" and not found.name and has_weights(found.node)
