"""The metric slots of an engine: their content, and where an override can add to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.attach.engines import EngineItem, readable_id
from monai_auxops.attach.problem import AttachError, first_line

if TYPE_CHECKING:
    from monai_auxops.attach.config import BundleConfig

EMPTY: Final[tuple[Any, ...]] = (None, "$None", "None", {})


@dataclass(frozen=True)
class MetricSlot:
    """A slot of an engine.

    Args:
        slot_id: the engine's argument.
        item_id: the id of the dict that is there, maybe by reference; the slot itself if there is none.
        expression: the expression that computes the dict, or nothing.
        metrics: the metrics by name, built if possible, otherwise the name of the class.
    """

    slot_id: str
    item_id: str
    expression: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)


def read_slot(config: BundleConfig, slot_id: str) -> MetricSlot:
    """Return what is in a slot, through references and expressions."""
    item_id, value = config.follow(slot_id)
    if value in EMPTY:
        return MetricSlot(slot_id, slot_id)
    if isinstance(value, dict) and "_target_" not in value:
        return MetricSlot(slot_id, item_id, metrics={name: _metric(config, f"{item_id}::{name}") for name in value})
    try:
        made = config.value(item_id)
    except Exception as error:
        raise AttachError(
            f"{readable_id(slot_id)} is computed by an expression that fails here: {first_line(error)}; write the "
            "metrics as a dict, or run attach where the expression works"
        ) from error
    if made is None:
        return MetricSlot(slot_id, slot_id)
    if not isinstance(made, dict) or not isinstance(value, str):
        raise AttachError(f"{readable_id(slot_id)}: expected a dict of metrics by name, got {type(made).__name__}")
    return MetricSlot(slot_id, item_id, value.strip()[1:], dict(made))


def _metric(config: BundleConfig, item_id: str) -> Any:
    """Return a metric, or the name of its class."""
    item_id, value = config.follow(item_id)
    made = config.try_value(item_id)
    if made is not None and not isinstance(made, str | dict):
        return made
    return config.target(item_id) if isinstance(value, dict) and "_target_" in value else str(value)


def slot_overrides(config: BundleConfig, engine: EngineItem, ops: dict[str, Any]) -> dict[str, Any]:
    """Return the overrides that put ``ops`` into an engine's slots.

    MONAI attaches additional metrics only if there is a key metric; without one, the first op becomes it.
    """
    key, more = read_slot(config, engine.key_slot), read_slot(config, engine.additional_slot)
    block: dict[str, Any] = {}
    rest = dict(ops)
    if not key.metrics:
        first = next(iter(rest))
        block |= _overrides_of_slot(config, key, {first: rest.pop(first)}, engine)
    if rest:
        block |= _overrides_of_slot(config, more, rest, engine)
    return block


def _overrides_of_slot(
    config: BundleConfig, slot: MetricSlot, ops: dict[str, Any], engine: EngineItem
) -> dict[str, Any]:
    """Return the overrides for one slot: entries of the dict that is there, or the whole slot."""
    if slot.expression:
        name = f"aux_ops_{engine.item_id.replace('::', '_')}_{slot.slot_id.rpartition('::')[2]}"
        merged = f"${{**(({slot.expression}) or {{}}), **@{name}}}"
        return {name: ops} | overrides_before(config, slot.slot_id) | {readable_id(slot.slot_id): merged}
    if slot.metrics:
        block = overrides_before(config, f"{slot.item_id}::x")
        return block | {readable_id(f"{slot.item_id}::{name}"): op for name, op in ops.items()}
    return overrides_before(config, slot.slot_id) | {readable_id(slot.slot_id): ops}


def overrides_before(config: BundleConfig, item_id: str) -> dict[str, Any]:
    """Return the overrides that must come before one of ``item_id``.

    Overrides are merged before macros (``"%train#postprocessing"``) are replaced: what is inside a macro has no id
    yet, so its content is written out first.
    """
    parts = item_id.split("::")
    value: Any = config.raw
    for depth, part in enumerate(parts[:-1], 1):
        value = value[int(part)] if isinstance(value, list) else (value or {}).get(part)
        if isinstance(value, str):
            parent = "::".join(parts[:depth])
            return {readable_id(parent): config.at(parent)}
    return {}
