"""Clara's SegResnet: the names of its variables, and the arguments that their shapes tell.

Names and shapes come from the index of a checkpoint, the architecture from arXiv 1810.11654.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_BLOCK: Final = re.compile(r"(Down|Up)([01])_(\d{1,3})_(\d{1,3})/(.+)")
_DOWNSCALE: Final = re.compile(r"DownscaleConvOne_(\d{1,3})_\d{1,3}/conv[23]d/kernel")
_UPSCALE: Final = re.compile(r"UpscaleConvOne_(\d{1,3})/conv[23]d/kernel")
_CONV: Final = re.compile(r"conv[23]d/(kernel|bias)")
_NORM: Final = re.compile(r"batch_norm_scope/(?:.+/)?(gamma|beta|bias|moving_mean|moving_variance)")
_LEAVES: Final = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def key_of(name: str) -> str | None:
    """Return the key in MONAI's SegResNet for a variable of Clara, or None for an unknown name.

    Examples:
        >>> key_of("Down1_2_0/conv3d/kernel"), key_of("Final/batch_norm_scope/gamma"), key_of("dense/kernel")
        ('down_layers.2.1.conv2.conv.weight', 'conv_final.0.weight', None)
    """
    if re.fullmatch(r"InitialConv/conv[23]d/kernel", name):
        return "convInit.conv.weight"
    down, up = _DOWNSCALE.fullmatch(name), _UPSCALE.fullmatch(name)
    if down:
        return f"down_layers.{int(down[1]) + 1}.0.conv.weight"
    if up:
        return f"up_samples.{int(up[1])}.0.conv.weight"
    block = _BLOCK.fullmatch(name)
    if block:
        index = int(block[4]) + (block[1] == "Down")
        return _part(f"{block[1].lower()}_layers.{int(block[3])}.{index}", int(block[2]) + 1, block[5])
    return _final(name.removeprefix("Final/")) if name.startswith("Final/") else None


def _part(block: str, half: int, rest: str) -> str | None:
    conv, norm = _CONV.fullmatch(rest), _NORM.fullmatch(rest)
    if conv:
        return f"{block}.conv{half}.conv.{_LEAVES[conv[1]]}"
    return f"{block}.norm{half}.{_LEAVES[norm[1]]}" if norm else None


def _final(rest: str) -> str | None:
    conv, norm = _CONV.fullmatch(rest), _NORM.fullmatch(rest)
    if conv:
        return f"conv_final.2.conv.{_LEAVES[conv[1]]}"
    return f"conv_final.0.{_LEAVES[norm[1]]}" if norm else None


def arguments(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
    """Return the arguments of MONAI's class, told by names and shapes; None if the names are not SegResnet's."""
    keys = {key: shapes[name] for name in shapes if (key := key_of(name)) is not None}
    first, last = keys.get("convInit.conv.weight"), keys.get("conv_final.2.conv.weight")
    down, up = _blocks(keys, "down_layers", 1), _blocks(keys, "up_layers", 0)
    if first is None or last is None or not down or not up:
        return None
    return {
        "spatial_dims": len(first) - 2,
        "init_filters": first[-1],
        "in_channels": first[-2],
        "out_channels": last[-1],
        "blocks_down": down,
        "blocks_up": up,
    }


def _blocks(keys: Mapping[str, Any], part: str, start: int) -> list[int]:
    """Return the number of blocks of each level."""
    found: dict[int, int] = {}
    for key in keys:
        name, level, index, *_ = [*key.split("."), "", ""]
        if name == part and int(index) >= start:
            found[int(level)] = max(found.get(int(level), 0), int(index) + 1 - start)
    return [found.get(level, 0) for level in range(max(found, default=-1) + 1)]
