"""The data list that a configuration names: found on disk, checked, and read for what only it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.reading.mmar import read_json

if TYPE_CHECKING:
    from monai_auxops.migrate.diagnostics import Log, Where
    from monai_auxops.migrate.reading.node import Node

_LABELS: Final = 256


@dataclass(frozen=True, slots=True)
class DataList:
    """What the migration needs from a data list; ``shared_names`` holds, by list, a file name that two images have."""

    path: Path
    counts: dict[str, int]
    label_format: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    channels: int = 1
    first: str = ""
    shared_names: Mapping[str, str] = field(default_factory=dict)


def data_folder(path: str, root: Path) -> Path | None:
    """Return the folder of the images, or None if the MMAR does not name it."""
    return root / path if path and "{" not in path and "\0" not in path else None


def missing_from(folder: Path | None, data: DataList | None) -> str | None:
    """Describe which images are missing; None if the folder and the first image of the data list exist."""
    if folder is None:
        return ""
    if not folder.is_dir():
        return f"the folder of the images, {str(folder)!r}, is not here"
    first = data.first if data is not None else ""
    return None if (folder / first).exists() else f"the folder of the images, {str(folder)!r}, has no {first!r}"


def find(path: str, root: Path) -> Path | None:
    """Return the file, tried from the places that Clara's scripts were started from."""
    if not path or "{" in path or "\0" in path:
        return None
    for folder in (root, root / "commands", root / "config", root / "configs"):
        candidate = folder / path
        if candidate.is_file():
            return candidate
    return None


def read(path: str, keys: dict[str, Where], root: Path, where: Where, log: Log) -> DataList | None:
    """Read and check the data list; ``keys`` are the lists that the pipelines use."""
    found = find(path, root)
    if found is None:
        if "{" not in path:
            log.add("CT509", where, f"the data list {path!r} is not here")
        return None
    node = read_json(found, found.name, log)
    if node is None:
        return None
    for key, place in keys.items():
        _check(node, key, place, log)
    return _summary(found, node)


def _check(node: Node, key: str, where: Where, log: Log) -> None:
    entries = node.get(key)
    if entries is None or not isinstance(entries.value, list) or not entries.value:
        known = ", ".join(name for name, child in node.items() if isinstance(child.value, list) and child.value)
        log.add("CT510", where, f'the data list has no items under "{key}"', f"it has {known}" if known else "")
        return
    for entry in entries.value:
        if entry.get("image") is None:
            log.add("CT521", entry.where, f'an item of "{key}" has no image')
            return


def _summary(path: Path, node: Node) -> DataList:
    counts = {key: len(child.value) for key, child in node.items() if isinstance(child.value, list)}
    shared = {key: name for key in counts if (name := _shared_name(node.value[key].value))}
    return DataList(path, counts, _label_format(node), _labels(node), *_first_image(node, counts), shared)


def _shared_name(entries: list[Node]) -> str:
    """Return a file name that two different images of a list have, in folders of their own."""
    seen: dict[str, str] = {}
    for entry in entries:
        image = entry.get("image")
        files = image.elements() if image is not None else []
        path = str(files[0].value) if files else ""
        name = path.replace("\\", "/").rpartition("/")[2]
        if name and seen.setdefault(name, path) != path:
            return name
    return ""


def _label_format(node: Node) -> tuple[int, ...]:
    found = node.get("label_format")
    values = found.plain() if found is not None else []
    valid = isinstance(values, list) and all(isinstance(value, int) and value > 0 for value in values)
    return tuple(values) if valid else ()


def _labels(node: Node) -> tuple[str, ...]:
    """Return the class names of a Decathlon data list, in the order of their values."""
    found: Any = node.get("labels")
    names = found.plain() if found is not None else {}
    if not isinstance(names, dict) or len(names) > _LABELS:
        return ()
    wanted = [names.get(str(value)) for value in range(len(names))]
    strings = tuple(name for name in wanted if isinstance(name, str))
    return strings if len(strings) == len(wanted) else ()


def _first_image(node: Node, counts: dict[str, int]) -> tuple[int, str]:
    """Return how many files the first image has, and the first of them."""
    images = [entry.get("image") for key in counts for entry in node.value[key].value[:1]]
    first = next((image.plain() for image in images if image is not None), "")
    files = first if isinstance(first, list) else [first]
    return max(len(files), 1), str((files or [""])[0])
