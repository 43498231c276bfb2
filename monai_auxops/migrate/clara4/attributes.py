"""Check what is written beside a component's arguments: where its data is, and the rank that it is built on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.components import Occurrence
    from monai_auxops.migrate.diagnostics import Log
    from monai_auxops.migrate.reading.variables import Variables

_CACHE_HANDLER: Final = "SmartCacheHandler"
_OTHER_DATASETS: Final = ("Dataset", "CacheDataset", "PersistentDataset")
_TEXTS: Final = ("data_list_file_path", "data_file_base_dir", "data_list_key")


def check_attributes(found: Iterable[Occurrence], variables: Variables, log: Log) -> None:
    """Report attributes that are not of their type, and a rank that the bundle does not heed."""
    for item in found:
        if not item.off:
            _check_texts(item, variables, log)
            _check_rank(item, variables, log)


def check_smart_cache(found: Iterable[Occurrence], log: Log) -> None:
    """Report a handler of a smart cache in a section whose dataset is none."""
    active = [item for item in found if not item.off]
    datasets = {item.place.part: item.name for item in active if item.place.key == "dataset"}
    for item in active:
        name = datasets.get(item.place.part, "Dataset")
        if item.name == _CACHE_HANDLER and name in _OTHER_DATASETS:
            log.add("CT313", item.where, f"{item.name} needs a SmartCacheDataset, but the dataset is {name}")


def _check_texts(item: Occurrence, variables: Variables, log: Log) -> None:
    for name in _TEXTS:
        node = item.attribute(name)
        value = variables.quietly(node) if node is not None else None
        if node is not None and value is not None and not isinstance(value, str):
            log.add("CT403", node.where, f"{name} is {value!r}, which is not text")


def _check_rank(item: Occurrence, variables: Variables, log: Log) -> None:
    node = item.attribute("rank")
    value = variables.resolve(node) if node is not None else 0
    if node is not None and value not in (0, "0", None):
        message = f"the rank {value!r} of {item.name} is left out"
        log.add("CT404", node.where, f"{message}: in multi_gpu_train.json what prints and saves runs on rank 0")
