"""The report on files of Clara Train 4, in the same form as for 3.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.clara4.code import CodeText
from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.report.model import Model, totals

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.config import Clara4Config
    from monai_auxops.migrate.clara4.item import Item
    from monai_auxops.migrate.clara4.project import Mmar4
    from monai_auxops.migrate.clara4.settings import GivenSetting


def files(mmar: Mmar4) -> list[Model]:
    """Return a part of the report for each configuration."""
    return [_file(mmar, config) for config in mmar.configs]


def _file(mmar: Mmar4, config: Clara4Config) -> Model:
    return {
        "file": config.file,
        "kind": f"{config.role.value}, {config.dialect.title}",
        "dialect": config.dialect.value,
        "used": config in mmar.chosen.values(),
        **totals(config.items),  # type: ignore[arg-type]
        "settings": [_setting(setting) for setting in config.given],
        "entries": [_entry(item) for item in config.items],
    }


def _setting(setting: GivenSetting) -> Model:
    row = setting.row
    value = setting.value if row.to else None
    outcome, reason = setting.outcome.value, setting.reason
    return {
        "name": row.name,
        "value": value,
        "to": row.to,
        "from": setting.source,
        "outcome": outcome,
        "reason": reason,
    }


def _entry(item: Item) -> Model:
    found = item.occurrence
    return {
        "path": found.where.path,
        "line": found.where.line,
        "column": found.where.column,
        "part": found.place.part or "evaluation",
        "section": found.place.key,
        "clara": found.path or found.name or "?",
        "outcome": item.outcome.value,
        "reason": item.reason,
        "notes": list(item.notes),
        "why": item.why,
        "args": _shown_value(item.given),
        "bundle": [_target(block) for block in (*item.blocks, *item.post)],
        "not_needed": dict(item.unused),
    }


def _target(block: Mapping[str, Any]) -> Model:
    args = {str(key): _shown_value(value) for key, value in block.items() if key != "_target_"}
    return {"target": str(block["_target_"]), "args": args}


def _shown_value(value: Any) -> Any:
    if isinstance(value, CodeText):
        return value.text
    if isinstance(value, Mapping):
        return {str(key): _shown_value(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_shown_value(child) for child in value]
    return value if value is None or isinstance(value, str | int | float | bool) else "@conf"


def needs_work(mmar: Mmar4, strict: bool) -> bool:
    """Tell whether an occurrence must be written by hand or, with ``strict``, is approximate."""
    outcomes = {item.outcome for item in mmar.items}
    return Outcome.MANUAL in outcomes or (strict and Outcome.APPROXIMATE in outcomes)
