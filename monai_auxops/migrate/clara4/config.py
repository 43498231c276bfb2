"""One configuration of Clara Train 4, converted: its dialect, its items by place, its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.clara3 import Clara3, facts_of
from monai_auxops.migrate.clara4.components import Reader
from monai_auxops.migrate.clara4.convert import Converter, Item
from monai_auxops.migrate.clara4.dialect import Dialect, dialect_of
from monai_auxops.migrate.clara4.values import DEFAULTS, SETTINGS, Values
from monai_auxops.migrate.reading.unsafe_keys import refuse_unsafe_keys
from monai_auxops.migrate.reading.variables import Variables, collect
from monai_auxops.migrate.rules.kinds import flag, integer, number

if TYPE_CHECKING:
    from monai_auxops.migrate.diagnostics import Log
    from monai_auxops.migrate.reading.json_source import Node


class Role(Enum):
    """The purpose of a configuration."""

    TRAIN = "training"
    EVALUATE = "evaluation"
    INFER = "inference"


_KINDS: Final = {"epochs": (integer, 1), "num_interval_per_valid": (integer, 1), "learning_rate": (number, 1e-4),
                 "amp": (flag, False)}  # fmt: skip
_STATES: Final = ("model", "optimizer", "lr_scheduler")


@dataclass(slots=True)
class Config:
    """A converted configuration file."""

    file: str
    root: Node
    role: Role
    variables: Variables
    dialect: Dialect
    items: list[Item] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def at(self, part: str, *keys: str) -> list[Item]:
        """Return the active items of places, in order."""
        return [item for item in self.items if item.active and item.occurrence.place in [(part, key) for key in keys]]

    def first(self, part: str, key: str) -> Item | None:
        """Return the item of a single place."""
        return next(iter(self.at(part, key)), None)

    @property
    def parts(self) -> tuple[str, ...]:
        """The sections that the file has."""
        if self.role is not Role.TRAIN:
            return ("",)
        return ("train", "validate") if self.root.get("validate") is not None else ("train",)


def read_config(
    root: Node,
    file: str,
    role: Role,
    given: Mapping[str, Any],
    environment: Node | None,
    log: Log,
    trust: bool = False,
    pictures: bool = False,
) -> Config:
    """Convert one file; problems go to the log. ``pictures`` tells that the data list names PNG or JPEG files."""
    refuse_unsafe_keys(root, log)
    variables = collect(given, environment, root, log)
    variables.values = {**DEFAULTS, **variables.values}
    config = Config(file, root, role, variables, dialect_of(root))
    found = Reader(root, variables, log).read()
    known = frozenset(item.place.key for item in found if not item.off and item.place.key in _STATES) | {"model"}
    values = {part: Values(variables, log, part or "validate") for part in ("train", "validate", "")}
    old = Clara3(variables, facts_of(root, variables), log)
    converter = Converter(values, config.dialect, known, old, trust, log)
    converter.pictures = pictures
    config.items = [converter.item(item) for item in found if not _is_weights(item.node)]
    config.settings = _settings(config, log)
    return config


def _is_weights(node: Node) -> bool:
    return node.get("ts_path") is not None or node.get("ckpt_path") is not None


def _settings(config: Config, log: Log) -> dict[str, Any]:
    """Return the settings of the bundle; a wrong setting is reported and gets its default."""
    found = {}
    for name, target in SETTINGS.items():
        kind, default = _KINDS[name]
        value = config.variables.values.get(name)
        if value is None:
            continue
        config.variables.read.add(name)
        try:
            found[target] = kind(value)
        except ValueError as error:
            node = config.root.get(name)
            log.add("CT206", node.where if node is not None else config.root.where, f"{name}: {error}")
            found[target] = default
    return found
