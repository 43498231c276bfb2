"""``migrate --aux-ops``: Dice per class in addition to what Clara Train 4 measured, under separate names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.checks import inverts
from monai_auxops.migrate.clara4.item import Block, block_of
from monai_auxops.migrate.clara4.sections import metric_items
from monai_auxops.migrate.clara4.shape import NetworkShape, shape_of

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.config import Clara4Config

_PREFIX: Final = {"train": "train", "validate": "val", "": "val"}
_TAG: Final = "dice"


def aux_ops(config: Clara4Config, part: str, shape: NetworkShape) -> Block:
    """Return the metrics to add to a section; none if a Dice of raw predictions has no meaning there."""
    if shape.out_channels < 1 or shape.task == "classification" or inverts(config, part):
        return {}
    taken = {item.label for item in [*metric_items(config, part), *config.at(part, "aux_ops")]}
    name = f"{_PREFIX[part]}_{_TAG}"
    name = name if name not in taken else f"{name}_aux"
    return {name: block_of("monai_auxops.DiceMaskedOutput", _arguments(config, part, shape))}


def would_add(config: Clara4Config) -> str:
    """Say in one line what ``--aux-ops`` would add."""
    shape = shape_of(config)
    found = [name for part in config.parts for name in aux_ops(config, part, shape)]
    if not found:
        return ""
    return f"--aux-ops would add {' and '.join(found)}: Dice per class; no other value changes"


def _arguments(config: Clara4Config, part: str, shape: NetworkShape) -> dict[str, Any]:
    skips = _skips_background(config, part) and shape.out_channels > 1
    classes = range(int(skips), shape.out_channels)
    tags = [_TAG, *(f"{_TAG}_{index}" for index in classes)] if len(classes) > 1 else [_TAG]
    found: dict[str, Any] = {"tags": tags, "skip_background": skips}
    if shape.activation == "sigmoid":
        found |= {"is_independent_predictions": True, "final_activation": "sigmoid"}
        found["is_onehot_targets"] = shape.out_channels > 1
    return found


def _skips_background(config: Clara4Config, part: str) -> bool:
    """Return whether the section's MeanDice, or the validation's, skips the background; by default it does."""
    for place in (part, "validate", ""):
        for item in metric_items(config, place):
            if item.occurrence.name == "MeanDice":
                return not item.given.get("include_background", True)
    return True
