"""The metric slots of trainer and evaluator: Clara's aux-ops and validation metrics, under their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.bundle.blocks import Block, object_block
from monai_auxops.migrate.conversion.name_checks import key_metric, metrics_of

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import ConvertedConfig
    from monai_auxops.migrate.conversion.convert import Converted

_HIDDEN: Final = {"do_summary": False, "do_print": False}


def train_metrics(config: ConvertedConfig) -> tuple[Block, Block]:
    """Return the trainer's metrics: every aux-op with an epoch value, under Clara's name."""
    entries = [entry for entry in config.at("train", "aux_ops", "metrics") if _accumulates(entry)]
    named = {f"train_{entry.creates[0]}": object_block(entry.built[0]) for entry in entries}
    return _split(named)


def _accumulates(entry: Converted) -> bool:
    return entry.rule is not None and entry.rule.accumulates and bool(entry.built) and bool(entry.creates)


def _split(named: Block) -> tuple[Block, Block]:
    items = list(named.items())
    return dict(items[:1]), dict(items[1:])


def validate_metrics(config: ConvertedConfig) -> tuple[Block, Block]:
    """Return the evaluator's metrics: Clara's metrics under their names, and the hidden aux-ops that they read."""
    metrics = [entry for entry in metrics_of(config) if entry.built]
    key = key_metric(metrics)
    ordered = sorted(metrics, key=lambda entry: entry is not key)
    named: Block = {entry.args["name"]: _unmarked(entry, entry is key) for entry in ordered}
    for entry in config.at("train", "aux_ops", "metrics"):
        if entry.built and (metrics or _accumulates(entry)):
            named[_free(f"val_{entry.creates[0]}", named)] = _in_validation(entry, hidden=bool(metrics))
    return _split(named)


def _unmarked(entry: Converted, is_key: bool) -> Block:
    block = object_block(entry.built[0])
    return block if is_key else {key: value for key, value in block.items() if key != "is_key_metric"}


def _in_validation(entry: Converted, hidden: bool) -> Block:
    """Clara printed an aux-op in training, and in validation the metrics that read it."""
    extra = entry.rule.in_validation if entry.rule is not None else {}
    shown = _HIDDEN if hidden and entry.rule is not None and entry.rule.accumulates else {}
    return {**object_block(entry.built[0]), **shown, **extra}


def _free(name: str, taken: Block) -> str:
    return name if name not in taken else f"aux_{name}"
