"""Make a configuration small enough for a check: few cases, small patches, two iterations."""

from __future__ import annotations

from typing import Any, Final

ITERATIONS: Final = 2
_SIZES: Final = frozenset({"roi_size", "spatial_size", "patch_size"})


def shorten_run(parser: Any) -> None:
    """Train two iterations of at most two images, in this process."""
    for part, engine in (("train", "trainer"), ("validate", "evaluator")):
        if parser.get(part) is None:
            continue
        if part == "train":
            parser[f"{part}#{engine}#epoch_length"] = ITERATIONS
        parser[f"{part}#dataloader#num_workers"] = 0
        parser[f"{part}#dataloader#batch_size"] = min(int(parser[f"{part}#dataloader#batch_size"]), 2)
        if parser.get(f"{part}#dataset#cache_num"):
            parser[f"{part}#dataset#cache_num"] = 2


def walk(config: Any) -> Any:
    """Yield every object of a configuration."""
    children = config if isinstance(config, list) else []
    if isinstance(config, dict):
        yield config
        children = list(config.values())
    for child in children:
        yield from walk(child)


def replace_target(config: Any, target: str, by: str) -> None:
    """Replace the class of every object that has the class ``target``."""
    for block in walk(config):
        if block.get("_target_") == target:
            block["_target_"] = by


def shrink_patches(config: Any, limit: int) -> None:
    """Make patches small enough for two iterations on a processor."""
    for block in walk(config):
        for key in _SIZES & set(block):
            if isinstance(block[key], list):
                block[key] = [min(side, limit) if isinstance(side, int) else side for side in block[key]]
        if isinstance(block.get("num_samples"), int):
            block["num_samples"] = min(block["num_samples"], 2)


def redirect_outputs(config: Any, folder: str) -> None:
    """Redirect every output of the configuration, so that a check leaves no files behind."""
    for block in walk(config):
        for key in ("output_dir", "report_path"):
            if "_target_" in block and isinstance(block.get(key), str) and block[key] != "@output_dir":
                block[key] = folder


def first_value(config: Any, key: str, default: Any) -> Any:
    """Return the value of the first object that has ``key``."""
    return next((block[key] for block in walk(config) if key in block), default)


def reader_of(config: Any) -> str:
    """Return the reader of the images, or MONAI's for NIfTI."""
    return str(first_value(config, "reader", "NibabelReader"))


def label_scale(config: Any) -> float:
    """Return what index 1 is in a label file: masks in PNG files are often 0 and 255."""
    scaled = (block for block in walk(config) if "label" in block.get("keys", ()) and "a_max" in block)
    return next((block["a_max"] / block["b_max"] for block in scaled if block["b_max"]), 1.0)


def spacing_of(config: Any) -> list[float]:
    """Return the spacing to which images are resampled, or 1 mm."""
    pixdim = first_value(config, "pixdim", [1.0])
    return [float(value) if value > 0 else 1.0 for value in (pixdim * 3)[:3]]
