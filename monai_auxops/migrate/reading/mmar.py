"""The files of an MMAR folder: the kind of each, told by its content, and the weights beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading.file_kinds import FileKind, classify
from monai_auxops.migrate.reading.json_source import parse

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.node import Node

MAX_BYTES: Final = 64 * 1024 * 1024
_WEIGHTS: Final = ("*.ckpt.*", "*.ckpt", "*.fzn.pb", "*.trt.pb", "*.pb", "checkpoint")


@dataclass(slots=True)
class Mmar:
    """The files found; none of them was run."""

    root: Path
    files: dict[str, tuple[FileKind, Node]] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)
    bundle: bool = False

    @property
    def seen(self) -> frozenset[str]:
        """The names of all files that were looked at, those that could not be read included."""
        return frozenset(self.paths)

    def relative(self, name: str) -> str:
        """Return a file's path as the MMAR's scripts write it."""
        path = self.paths[name].absolute()
        root = self.root.absolute()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()

    def of(self, kind: FileKind) -> list[str]:
        """Return the names of the files of a kind, in order."""
        return [name for name, (found, _) in self.files.items() if found is kind]


def read_folder(folder: Path, log: Log) -> Mmar:
    """Read every JSON file of an MMAR's configuration folders."""
    mmar = Mmar(folder)
    for path in _json_files(folder):
        _add(mmar, path, log)
    _weights(mmar)
    return mmar


def read_file(path: Path, log: Log, evaluation: Path | None = None) -> Mmar:
    """Read one configuration, and what it needs beside it: the environment, and for an evaluation the model.

    An ``evaluation`` is read with a training configuration; those that merely lie beside it are not.
    """
    folder = path.parent
    if path.suffix == ".sh":
        log.add("CT118", Where(path.name), "a shell script, not a configuration", "name the MMAR's folder")
        return Mmar(folder.parent)
    mmar = Mmar(folder.parent if folder.name.startswith("config") else folder)
    _add(mmar, path, log, name=path.name)
    beside = [folder / "environment.json"]
    if mmar.of(FileKind.EVALUATE) or mmar.of(FileKind.EVALUATE4) or mmar.of(FileKind.INFER4):
        beside.append(folder / "config_train.json")
    if evaluation is not None:
        beside.append(evaluation)
    elif (mmar.of(FileKind.TRAIN) or mmar.of(FileKind.TRAIN4)) and (folder / "config_validation.json").is_file():
        log.add("CT120", Where(path.name), "config_validation.json beside it was not read")
    for other in beside:
        if other.is_file() and other != path:
            _add(mmar, other, log, name=other.name)
    _weights(mmar)
    return mmar


def read_json(path: Path, name: str, log: Log) -> Node | None:
    """Read one file; problems go to the log."""
    try:
        if path.stat().st_size > MAX_BYTES:
            log.add("CT106", Where(name), f"larger than {MAX_BYTES // 2**20} MB")
            return None
        return parse(path.read_bytes(), name, log)
    except OSError as error:
        log.add("CT106", Where(name), error.strerror or "not readable")
        return None


def _add(mmar: Mmar, path: Path, log: Log, name: str | None = None) -> None:
    name = name or path.relative_to(mmar.root).as_posix()
    mmar.paths[name] = path
    root = read_json(path, name, log)
    if root is not None:
        mmar.files[name] = (classify(root, path.name), root)


def _json_files(folder: Path) -> Iterator[Path]:
    places = sorted(path for path in folder.glob("config*") if path.is_dir()) or [folder]
    for place in places:
        yield from sorted(path for path in place.glob("*.json") if path.is_file())


def _weights(mmar: Mmar) -> None:
    models = mmar.root / "models"
    found = {path.name for pattern in _WEIGHTS for path in models.glob(pattern)} if models.is_dir() else set()
    mmar.weights = sorted(found)
