"""What a configuration tells about its network's input and output, for metadata, check data and aux-ops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.sections import objects
from monai_auxops.migrate.rules.kinds import MOST_CHANNELS

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.config import Clara4Config
    from monai_auxops.migrate.clara4.item import Block, Item

_INPUTS: Final = ("in_channels", "in_channel", "n_input_channels")
_OUTPUTS: Final = ("out_channels", "num_classes", "out_channel", "n_classes")


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Channels, dimensions and activation; 0 channels means unknown."""

    in_channels: int = 1
    out_channels: int = 0
    spatial_dims: int = 3
    activation: str = ""
    task: str = "segmentation"
    patch: tuple[int, ...] = ()
    windows: bool = False


def shape_of(config: Clara4Config) -> NetworkShape:
    """Return what a file tells."""
    model = config.first("train", "model") or config.first("", "model")
    args = model.given if model is not None else {}
    patch = _size(config)
    dims = next((args[name] for name in ("spatial_dims", "dimensions") if _is_count(args.get(name))), len(patch) or 3)
    dims = 2 if dims == 2 else 3
    part = "train" if "train" in config.parts else ""
    return NetworkShape(
        in_channels=_count(args, _INPUTS, 1),
        out_channels=_count(args, _OUTPUTS, 0),
        spatial_dims=dims,
        activation=_activation(config, part),
        task=str(config.variables.values.get("PROCESSING_TASK") or "segmentation"),
        patch=patch if len(patch) == dims else (),
        windows=any(item.occurrence.name == "SlidingWindowInferer" for item in config.at("validate", "inferer")),
    )


def _count(args: Any, names: tuple[str, ...], default: int) -> int:
    found = next((args[name] for name in names if _is_count(args.get(name))), default)
    return min(int(found), MOST_CHANNELS)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _activation(config: Clara4Config, part: str) -> str:
    for block in objects([item for item in config.at(part, "post_transforms") if not item.manual]):
        for name in ("softmax", "sigmoid"):
            if block.get(name) is True:
                return name
    return ""


def _size(config: Clara4Config) -> tuple[int, ...]:
    """Return the size of the network's input: that of the crops, otherwise that of the windows."""
    items = [*config.at("train", "pre_transforms"), *config.at("validate", "inferer"), *config.at("", "inferer")]
    sizes = [size for item in items for size in _sizes(item)]
    return sizes[0] if sizes else ()


def _sizes(item: Item) -> Iterator[tuple[int, ...]]:
    for block in item.blocks if not item.manual else ():
        yield from _sizes_of(block)


def _sizes_of(block: Block) -> Iterator[tuple[int, ...]]:
    for name in ("spatial_size", "roi_size"):
        value = block.get(name)
        if isinstance(value, list) and all(_is_count(side) for side in value):
            yield tuple(value)
