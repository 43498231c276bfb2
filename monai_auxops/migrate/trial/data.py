"""Generated images and labels of the right shape, for ``migrate --check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

Spec = dict[str, Any]
_ITEMS = 2


def make(folder: Path, spec: Spec, reader: str, size: list[int], spacing: list[float]) -> Path:
    """Write two cases per list and the data list; return its path."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    items = [_item(folder, index, spec, reader, size, spacing, rng) for index in range(_ITEMS)]
    lists = dict.fromkeys(["training", "validation", *spec["keys"]], items)
    path = folder / "dataset.json"
    path.write_text(json.dumps(lists), encoding="utf-8")
    return path


def real(spec: Spec, folder: Path) -> tuple[Path, str] | None:
    """Return a short data list of the MMAR's own data and its folder, if they exist."""
    if not spec["datalist"]:
        return None
    lists = json.loads(Path(spec["datalist"]).read_text(encoding="utf-8-sig"))
    root = Path(spec["data_root"] or ".")
    short = {key: _existing_items(lists.get(key, []), root)[:_ITEMS] for key in spec["keys"]}
    if not all(short.values()):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dataset.json"
    path.write_text(json.dumps(short), encoding="utf-8")
    return path, str(root)


def _existing_items(items: Any, root: Path) -> list[Any]:
    def exists(item: Any) -> bool:
        if not isinstance(item, dict) or "image" not in item:
            return False
        images = item["image"] if isinstance(item["image"], list) else [item["image"]]
        label = item.get("label")
        return all((root / str(name)).is_file() for name in [*images, *([label] if isinstance(label, str) else [])])

    return [item for item in items if exists(item)] if isinstance(items, list) else []


def _item(
    folder: Path, index: int, spec: Spec, reader: str, size: list[int], spacing: list[float], rng: Any
) -> dict[str, Any]:
    files = spec["files_per_image"]
    channels = spec["in_channels"] if files == 1 else 1
    case = f"case_{index}"
    (folder / case).mkdir(exist_ok=True)
    stem = f"{case}/image" if spec["same_names"] else f"{case}/image_{index}"
    names = [f"{stem}_{number}" for number in range(files)]
    images = [_write(folder, name, rng.uniform(0, 255, _shape(size, channels)), reader, spacing) for name in names]
    item: dict[str, Any] = {"image": images[0] if files == 1 else images}
    if spec["task"] == "classification":
        return {**item, "label": _label_vector(index, spec["label_format"] or [spec["channels"]])}
    label = _label(size, spec, rng)
    return {**item, "label": _write(folder, f"{case}/label", label, reader, spacing)}


def _shape(size: list[int], channels: int) -> list[int]:
    return [*size, channels] if channels > 1 else list(size)


def _label_vector(index: int, label_format: list[int]) -> list[int]:
    """Return labels such that each binary label has both values over the cases, as an AUC needs."""
    return [index % max(classes, 2) for classes in label_format]


def _label(size: list[int], spec: Spec, rng: Any) -> Any:
    values = [0, 1, 2, 4] if spec["brats"] else list(range(max(spec["channels"], 2)))
    label = np.zeros(size)
    for value, part in zip(values, np.array_split(np.arange(size[0]), len(values)), strict=True):
        label[part] = value * spec["label_scale"]
    if spec["label_channels"] > 1 and not spec["brats"]:
        return rng.integers(0, 2, [*size, spec["label_channels"]]).astype(float)
    return label


def _write(folder: Path, name: str, values: Any, reader: str, spacing: list[float]) -> str:
    """Write a file of the reader's kind; return its name in the data list. Every case has the same file names."""
    path = folder / name
    if reader == "PILReader":
        from PIL import Image

        Image.fromarray(values.astype(np.uint8)).save(path.with_suffix(".png"))
        return f"{name}.png"
    if reader == "NumpyReader":
        np.save(path.with_suffix(".npy"), values.astype(np.float32))
        return f"{name}.npy"
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), np.diag([*spacing, 1.0])), f"{path}.nii.gz")
    return f"{name}.nii.gz"
