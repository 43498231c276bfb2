"""The number of channels of a bundle's network, according to its configuration and metadata."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.attach.engines import EngineItem, readable_id
from monai_auxops.attach.folder import SUFFIXES, load_config
from monai_auxops.attach.problem import AttachError

if TYPE_CHECKING:
    from monai_auxops.attach.config import BundleConfig

_CHANNELS: Final = ("out_channels", "num_classes", "n_classes", "out_classes", "num_out_channels")
_WRAPS: Final = ("DistributedDataParallel", "DataParallel", "SyncBatchNorm")


@dataclass(frozen=True)
class Output:
    """What metadata.json tells about the network's output; None if it does not.

    Args:
        kind: ``format`` of the prediction, such as ``"segmentation"``.
        channels: their number.
        names: of the channels, by channel number.
        shape: of the prediction in space.
    """

    kind: str | None = None
    channels: int | None = None
    names: tuple[str, ...] | None = None
    shape: tuple[Any, ...] = ()


def read_metadata(configs: Path) -> dict[str, Any]:
    """Return the metadata, empty if there is none."""
    for suffix in SUFFIXES:
        path = configs / f"metadata{suffix}"
        if path.is_file():
            return load_config(path)
    return {}


def read_output(metadata: dict[str, Any]) -> Output:
    """Return what the metadata tells about the prediction.

    Examples:
        >>> channels = {"0": "background", "10": "pancreas", "2": "liver"}
        >>> read_output({"network_data_format": {"outputs": {"pred": {"channel_def": channels}}}}).names
        ('background', 'liver', 'pancreas')
    """
    outputs = _dict_at(metadata, "network_data_format", "outputs")
    named = outputs.get("pred", next(iter(outputs.values()), {}))
    pred = named if isinstance(named, dict) else {}
    names = pred.get("channel_def")
    channels = pred.get("num_channels")
    return Output(
        str(pred["format"]) if pred.get("format") else None,
        channels if isinstance(channels, int) and channels > 0 else None,
        _in_channel_order(names) if isinstance(names, dict) and names else None,
        tuple(pred.get("spatial_shape") or ()),
    )


def _dict_at(value: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _in_channel_order(names: dict[Any, Any]) -> tuple[str, ...]:
    """Return names in the order of their channel numbers, 2 before 10."""
    try:
        return tuple(str(names[key]) for key in sorted(names, key=int))
    except (TypeError, ValueError) as error:
        raise AttachError(f"metadata.json: channel_def must be keyed by channel number, got {list(names)}") from error


def read_channels(config: BundleConfig, engine: EngineItem) -> tuple[int | None, str]:
    """Return the number of output channels and its source, or None if no argument tells it."""
    item_id, name = _network(config, engine)
    return _channels_argument(config, item_id, name) if item_id else (None, "")


def stacks_outputs(config: BundleConfig, engine: EngineItem) -> bool:
    """Tell whether an engine's network stacks its outputs along a second axis while it trains (deep supervision)."""
    item_id, name = _network(config, engine)
    return engine.trains and name == "DynUNet" and config.try_value(f"{item_id}::deep_supervision") is True


def _network(config: BundleConfig, engine: EngineItem) -> tuple[str, str]:
    """Return the id and class of an engine's network, behind references and wrappers; empty if none is found."""
    waiting = [engine.network_slot]
    for reference in waiting:
        item_id, value = config.follow(reference)
        if isinstance(value, dict) and "_target_" in value:
            name = config.target(item_id).rpartition(".")[2]
            if name not in _WRAPS:
                return item_id, name
        waiting += [name for name in config.references(value) if name.replace("#", "::") not in waiting]
        if isinstance(value, dict):
            waiting += [f"{item_id}::{key}" for key in ("module",) if key in value]
        if len(waiting) > 20:
            break
    return "", ""


def _channels_argument(config: BundleConfig, item_id: str, name: str) -> tuple[int | None, str]:
    """Return the argument of a network that is its number of output channels, or the default of it."""
    for key in _CHANNELS:
        value = config.try_value(f"{item_id}::{key}")
        if isinstance(value, int):
            return value, f"{readable_id(item_id)}#{key}"
    try:
        parameters = inspect.signature(config.class_of(item_id)).parameters
    except (ImportError, TypeError, ValueError):
        return None, ""
    for key in _CHANNELS:
        if key in parameters and isinstance(parameters[key].default, int):
            return parameters[key].default, f"the default {key} of {name}"
    return None, ""
