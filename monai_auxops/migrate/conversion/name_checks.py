"""Problems of names between components: tags, metrics, and the fields that they read."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.diagnostics import Log, Where, did_you_mean
from monai_auxops.migrate.encode import UnsafeKeyError, check_key

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import ConvertedConfig
    from monai_auxops.migrate.conversion.convert import Converted

_CHAINS: Final = ("pre_transforms", "batch_transforms", "label_transforms", "post_transforms")
_FIELD_ARGUMENTS: Final = ("fields", "field", "image_field", "label_field")
_FIELDS: Final = ("model", "image", "label")


def check_tags(config: ConvertedConfig, log: Log) -> None:
    """Report tags that several components write, and tags that the bundle cannot hold."""
    entries = config.at("train", "aux_ops", "metrics")
    for tag, count in Counter(name for entry in entries for name in entry.creates).items():
        last = [entry for entry in entries if tag in entry.creates][-1]
        if count > 1:
            log.add("CT505", last.component.where, f'the tag "{tag}" is used {count} times')
        _check_name(f"train_{tag}", last, log)


def _check_name(name: str, entry: Converted, log: Log) -> None:
    try:
        check_key(name)
    except UnsafeKeyError:
        log.add("CT602", entry.component.where, f"the name {name!r} would become a key that MONAI's parser interprets")


def metrics_of(config: ConvertedConfig) -> list[Converted]:
    """Return the metrics of the validation or the evaluation."""
    return config.at("validate", "metrics") if config.trains else config.at("", "val_metrics")


def key_metric(metrics: list[Converted]) -> Converted | None:
    """Return the metric that selects the best model: the marked one, or the first."""
    usable = [entry for entry in metrics if entry.built]
    return next((entry for entry in usable if entry.args.get("is_key_metric")), next(iter(usable), None))


def check_key_metrics(config: ConvertedConfig, log: Log) -> None:
    """Report a second key metric, or that none is marked."""
    metrics = metrics_of(config)
    keys = [entry for entry in metrics if entry.args.get("is_key_metric")]
    for extra in keys[1:]:
        log.add("CT502", extra.component.where, f'"{extra.args.get("name")}" is a second key metric')
    if config.trains and metrics and not keys:
        log.add("CT501", metrics[0].component.where, f'no metric is marked; "{name_of(metrics[0])}" is used')


def name_of(metric: Converted) -> str:
    """Return a metric's name, or that of its class if it has none."""
    return str(metric.args.get("name") or metric.component.name)


def check_metric_fields(config: ConvertedConfig, log: Log) -> None:
    """Report metrics whose field nothing produces."""
    known = {*_FIELDS, *(name for entry in config.entries if entry.active for name in entry.creates)}
    for entry in metrics_of(config):
        name = entry.args.get("name")
        if isinstance(name, str):
            _check_name(name, entry, log)
        for argument in ("field", "label_field"):
            field = entry.args.get(argument)
            if isinstance(field, str) and field not in known and field.removeprefix("val_") not in known:
                where = _argument(entry, argument)
                log.add("CT503", where, f'nothing produces the field "{field}"', did_you_mean(field, known))


def check_self_comparison(config: ConvertedConfig, log: Log) -> None:
    """Report metrics that compare a field with itself."""
    for entry in metrics_of(config):
        field = entry.args.get("field")
        if isinstance(field, str) and field == entry.args.get("label_field"):
            message = f'"{entry.args.get("name")}" compares the field "{field}" with itself, which is always 1'
            log.add("CT524", _argument(entry, "field"), message)


def check_transform_fields(config: ConvertedConfig, log: Log) -> None:
    """Report fields that no earlier loader or transform produces."""
    for parts in (("train",), ("validate",), ("",)):
        chain = [entry for part in parts for entry in config.at(part, *_CHAINS)]
        loads = [entry for entry in chain if any(built.target == "LoadImaged" for built in entry.built)]
        if not loads or any(entry.manual for entry in chain):
            continue
        known = {"model", *(field for entry in loads for field in _fields_of(entry))}
        known |= {name for entry in chain for name in entry.creates}
        known |= {"label"} if config.facts[parts[0]].task == "classification" else set()
        for entry in chain:
            _unloaded(entry, known, log)


def _unloaded(entry: Converted, known: set[str], log: Log) -> None:
    for argument in _FIELD_ARGUMENTS:
        given = entry.bound.given if argument in entry.args else frozenset()
        for field in _texts(entry.args[argument]) if argument in given else ():
            if field not in known:
                listed = f"write a list: {json.dumps(field.split(','))}" if "," in field else ""
                message = f'no transform loads the field "{field}"'
                log.add("CT526", _argument(entry, argument), message, listed or did_you_mean(field, known))


def _fields_of(entry: Converted) -> list[str]:
    return [field for argument in _FIELD_ARGUMENTS for field in _texts(entry.args.get(argument))]


def _texts(value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, str)]


def _argument(entry: Converted, name: str) -> Where:
    node = entry.component.args.get(name) if entry.component.args is not None else None
    return node.where if node is not None else entry.component.where


def check_unread_tags(config: ConvertedConfig, log: Log) -> None:
    """Report aux-ops whose values no metric reads."""
    fields = [entry.args.get(name) for entry in metrics_of(config) for name in ("field", "label_field")]
    read = {field for field in fields if isinstance(field, str)}
    for entry in config.at("train", "aux_ops", "metrics"):
        if entry.rule is not None and not entry.rule.accumulates and not read & set(entry.creates):
            log.add("CT520", entry.component.where, f"no metric reads what {entry.rule.name} computes")
