"""What ``migrate --check`` looks at: the shape of the network's output, and the predictions that were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def compare(network: Any, item: dict[str, Any], spec: dict[str, Any]) -> None:
    """Raise ValueError if the network's output does not fit the label of one item."""
    import torch

    network.eval()
    with torch.no_grad():
        output = network(torch.as_tensor(item["image"])[None].float())
    network.train()
    shape, label = tuple(output.shape[1:]), tuple(torch.as_tensor(item["label"]).shape)
    if shape[0] != spec["channels"]:
        raise ValueError(f"the network gives {shape[0]} channels, the configuration says {spec['channels']}")
    if spec["task"] == "classification":
        fits = len(shape) == 1 and label[0] == len(spec["label_format"] or label)
    else:
        fits = shape[1:] == label[1:] and label[0] in (1, shape[0])
    if not fits:
        raise ValueError(f"the network gives {shape} where the label is {label}")


def check(files: list[Path], spec: dict[str, Any], cases: list[Any]) -> str:
    """Return a sentence about the predictions; raise ValueError if they are not one per case and field."""
    tables = [path for path in files if path.suffix == ".csv"]
    for path in tables:
        rows = path.read_text(encoding="utf-8").splitlines()
        if len(rows) != len(cases):
            raise ValueError(f"{path.name} has {len(rows)} rows for {len(cases)} cases")
    images = [path for path in files if path not in tables]
    if spec["task"] != "classification" and (not images or len(images) % len(cases)):
        raise ValueError(f"{len(images)} predictions were written for {len(cases)} cases")
    shapes = {_spatial_shape(path, spec["spatial_dims"]) for path in images}
    shown = ", ".join(" x ".join(map(str, shape)) for shape in sorted(shapes))
    written = f"{len(images)} files ({shown})" if images else f"{len(tables)} tables"
    return f"an inference that wrote {written}" if files else "an inference that writes nothing"


def _spatial_shape(path: Path, spatial_dims: int) -> tuple[int, ...]:
    if path.suffix == ".png":
        from PIL import Image

        with Image.open(path) as picture:
            return (picture.height, picture.width)
    import nibabel

    image: Any = nibabel.load(path)
    return tuple(int(side) for side in image.shape[:spatial_dims])
