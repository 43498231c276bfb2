"""The kind of a JSON file of an MMAR, told by its keys and its name."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.reading.components import PLACES
from monai_auxops.migrate.reading.variables import ENVIRONMENT

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.node import Node

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


def _is_environment(root: Node, keys: set[str], name: str) -> bool:
    plain = not any(isinstance(child.value, dict) for child in root.members())
    return bool(keys & ENVIRONMENT) and (plain or name == "environment.json")


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
