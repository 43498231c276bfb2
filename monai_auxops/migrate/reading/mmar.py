"""The files of an MMAR folder: the kind of each, told by its content, and the weights beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading.components import PLACES
from monai_auxops.migrate.reading.json_source import Node, parse
from monai_auxops.migrate.reading.variables import ENVIRONMENT

MAX_BYTES: Final = 64 * 1024 * 1024
_WEIGHTS: Final = ("*.ckpt.*", "*.ckpt", "*.fzn.pb", "*.trt.pb", "*.pb", "checkpoint")
_LISTS: Final = frozenset({"training", "validation", "test", "testing"})


class FileKind(Enum):
    """The kind of a JSON file of an MMAR; the value describes it."""

    TRAIN = "a training configuration"
    EVALUATE = "a validation configuration"
    ENVIRONMENT = "an environment"
    DATALIST = "a data list"
    AUTOML = "an AutoML controller (use MONAI's Auto3DSeg or another tuner)"
    AIAA = "an annotation server (AIAA) configuration (use MONAI Label)"
    FEDERATED = "a federated learning configuration (use NVIDIA FLARE, which runs MONAI bundles)"
    TRAIN4 = "a training configuration of Clara Train 4"
    EVALUATE4 = "a validation configuration of Clara Train 4"
    INFER4 = "an inference configuration of Clara Train 4"
    TRAINER = "settings of a custom trainer, BYOT (use NVIDIA FLARE)"
    BUNDLE = "a MONAI bundle configuration"
    UNKNOWN = "not a file of an MMAR"


CLARA4: Final = (FileKind.TRAIN4, FileKind.EVALUATE4, FileKind.INFER4)
"""The kinds that Clara Train 4 wrote."""


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


def classify(root: Node, name: str = "") -> FileKind:
    """Return the kind of a file, told by its keys."""
    keys = set(root.value)
    for kind, test in _TESTS:
        if test(root, keys, name.lower()):
            return kind
    return FileKind.UNKNOWN


def _is_bundle(root: Node, keys: set[str], _: str) -> bool:
    inner = [child for child in root.members() if isinstance(child.value, dict)]
    return bool(keys & {"bundle_root", "network_def", "network_data_format"}) or any(
        child.get("_target_") is not None for child in inner
    )


_NEW_PARTS: Final = frozenset({"dataset", "dataloader", "trainer", "evaluator", "lr_scheduler", "key_metric"})
_METRICS: Final = frozenset({"metrics", "key_metric", "additional_metrics"})


def _is_train4(root: Node, _: set[str], __: str) -> bool:
    train = root.get("train")
    parts = [part for part in (train, root.get("validate")) if part is not None]
    named = any(part.get(key) is not None for part in parts for key in _NEW_PARTS)
    return train is not None and isinstance(train.value, dict) and named


def _is_evaluation4(keys: set[str]) -> bool:
    if "train" in keys or not keys & {"evaluator", "dataset"}:
        return False
    return bool(keys & {"pre_transforms", "dataloader", "model"})


def _is_evaluate4(_: Node, keys: set[str], __: str) -> bool:
    return _is_evaluation4(keys) and bool(keys & _METRICS)


def _is_infer4(_: Node, keys: set[str], __: str) -> bool:
    return _is_evaluation4(keys)


def _is_trainer(root: Node, keys: set[str], _: str) -> bool:
    plain = not any(isinstance(child.value, dict | list) for child in root.members())
    return plain and "learning_rate" in keys and bool(keys & {"max_epochs", "val_interval"})


def _is_federated(_: Node, keys: set[str], name: str) -> bool:
    return "config_fed" in name or bool(keys & {"servers", "fed_learn", "federated"})


def _is_aiaa(_: Node, keys: set[str], name: str) -> bool:
    return "aiaa" in name or {"type", "labels"} <= keys or "inference" in keys


def _is_automl(_: Node, keys: set[str], name: str) -> bool:
    controls = {"executor", "controller"} <= keys or bool(keys & {"automl", "search_strategy", "max_rounds"})
    return "train" not in keys and ("automl" in name or controls)


def _is_train(root: Node, keys: set[str], _: str) -> bool:
    train = root.get("train")
    return "train" in keys and train is not None and isinstance(train.value, dict)


def _is_evaluate(_: Node, keys: set[str], __: str) -> bool:
    return len(keys & {place.key for place in PLACES if place.part == ""}) >= 2


def _is_datalist(root: Node, keys: set[str], _: str) -> bool:
    return any(isinstance(root.value[key].value, list) for key in keys & _LISTS)


def _is_environment(root: Node, keys: set[str], _: str) -> bool:
    return bool(keys & ENVIRONMENT) and not any(isinstance(child.value, dict) for child in root.members())


_TESTS: Final = (
    (FileKind.BUNDLE, _is_bundle),
    (FileKind.FEDERATED, _is_federated),
    (FileKind.AIAA, _is_aiaa),
    (FileKind.AUTOML, _is_automl),
    (FileKind.TRAIN4, _is_train4),
    (FileKind.EVALUATE4, _is_evaluate4),
    (FileKind.INFER4, _is_infer4),
    (FileKind.TRAIN, _is_train),
    (FileKind.EVALUATE, _is_evaluate),
    (FileKind.DATALIST, _is_datalist),
    (FileKind.ENVIRONMENT, _is_environment),
    (FileKind.TRAINER, _is_trainer),
)


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
    elif mmar.of(FileKind.TRAIN) and (folder / "config_validation.json").is_file():
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
