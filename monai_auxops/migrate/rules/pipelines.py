"""Image pipelines: a dataset and a loader. A cached pipeline trained on its cache only."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T
from monai_auxops.migrate.rules.kinds import (
    anything,
    channels,
    flag,
    integer,
    integers,
    label_format,
    number,
    one_of,
    optional,
    text,
)
from monai_auxops.migrate.rules.values import OMIT, A, F

_KERAS = "TensorFlow's loader; PyTorch's uses processes"
_SIZE_UNKNOWN = "the prefetch of PyTorch is set per worker"
_PARAMS: Final = (
    Param("data_list_file_path", kind=text, note="becomes the bundle's datalist"),
    Param("data_file_base_dir", "", text, note="becomes the bundle's dataset_dir"),
    Param("data_list_key", "training", text, note="selects the list in the bundle's data list"),
    Param("output_crop_size", [], integers, also=("crop_size",), note="the crop transform sets the size"),
    Param("output_data_format", "channels_first", text, also=("data_format",), note="MONAI is channels first"),
    Param("output_data_dims", 3, integer, also=("num_data_dims",), note="becomes the network's spatial_dims"),
    Param("output_image_channels", 1, channels, also=("num_channels",), note="becomes the network's in_channels"),
    Param("output_label_channels", 1, channels, also=("num_label_channels",), note="used to check the label"),
    Param("output_image_dtype", "float32", text, note="MONAI loads float32"),
    Param("output_label_dtype", "float32", text, note="MONAI loads float32"),
    Param("output_label_format", None, optional(label_format), also=("label_format",), note="becomes label_format"),
    Param("output_batch_size", 10, integer, also=("batch_size",)),
    Param("batched_by_transforms", False, flag),
    Param("num_workers", 4, integer),
    Param("prefetch_size", 20, integer, note=_SIZE_UNKNOWN),
    Param("shuffle", True, flag),
    Param("repeat", True, flag, note="the trainer repeats the data by epochs"),
    Param("duplicate_count", 1, integer, note="see the caveat"),
    Param("extra_inputs", None, anything, note="MONAI's engines pass the whole batch on"),
    Param("batch_transforms", None, anything, note="has a section of its own"),
    Param("transforms", None, anything, note="has a section of its own"),
    Param("items_per_category", None, anything, note="see the caveat"),
    Param("category_weights", None, optional(anything), note="see the caveat"),
    Param("sampling", None, anything, note="see the caveat"),
    Param("multiprocessing", False, anything, note=_KERAS),
    Param("num_cache_objects", OMIT, integer),
    Param("replace_percent", 0.0, number),
    Param("caches_data", True, flag),
    Param("task", None, optional(one_of("segmentation", "classification")), note="read if the class does not tell it"),
)

_BATCH = F(
    lambda batched_by_transforms, output_batch_size: 1 if batched_by_transforms else output_batch_size,
)


def _dims(output_crop_size: list[int], output_data_dims: int) -> int:
    if len(output_crop_size) in (2, 3):
        return len(output_crop_size)
    return 2 if output_data_dims == 2 else 3


def _crop(output_crop_size: list[int]) -> tuple[int, ...]:
    known = bool(output_crop_size) and min(output_crop_size) > 0
    return tuple(output_crop_size) if known else ()


def _caches(num_cache_objects: Any, caches_data: bool) -> bool:
    return num_cache_objects is not OMIT and caches_data


def _replaces(num_cache_objects: Any, caches_data: bool, replace_percent: float) -> bool:
    return _caches(num_cache_objects, caches_data) and replace_percent > 0


def _only_caches(num_cache_objects: Any, caches_data: bool, replace_percent: float) -> bool:
    return _caches(num_cache_objects, caches_data) and replace_percent <= 0


def _trains_on_its_cache(num_cache_objects: Any, caches_data: bool, replace_percent: float, data_list_key: str) -> bool:
    return _only_caches(num_cache_objects, caches_data, replace_percent) and data_list_key != "validation"


def _samples_by_category(items_per_category: Any, category_weights: Any, sampling: Any) -> bool:
    return any(value not in (None, 1, {}, []) for value in (items_per_category, category_weights, sampling))


def _facts(task: str | None) -> dict[str, Any]:
    return {
        "task": task or F(lambda task: task or "segmentation"),
        "datalist": A("data_list_file_path"),
        "data_root": A("data_file_base_dir"),
        "data_key": A("data_list_key"),
        "in_channels": A("output_image_channels"),
        "label_channels": A("output_label_channels"),
        "spatial_dims": F(_dims),
        "crop_size": F(_crop),
        "channels_last": A("output_data_format", lambda value: value == "channels_last" or None),
        "known_label_format": A("output_label_format", lambda value: tuple(value or ())),
        "batch_size": A("output_batch_size"),
        "batched_by_transforms": A("batched_by_transforms"),
    }


_SAMPLING = Caveat(
    _samples_by_category,
    "the sampling by category is not migrated: every item is seen once per epoch",
    Outcome.APPROXIMATE,
)
_DUPLICATES = Caveat(
    lambda duplicate_count: duplicate_count not in (0, 1),
    "items are not duplicated (duplicate_count): multiply the epochs instead",
    Outcome.APPROXIMATE,
)
_SUBSET = Caveat(
    _trains_on_its_cache,
    "Clara trained on the cached items only; the bundle caches as many and goes through all items each epoch",
    Outcome.APPROXIMATE,
    "CT517",
)


def _row(name: str, task: str | None, reason: str) -> Rule:
    cached = {"cache_num": A("num_cache_objects")}
    return Rule(
        name=name,
        section=Section.PIPELINE,
        params=_PARAMS,
        targets=(
            T(
                "Dataset",
                slot="dataset",
                when=lambda num_cache_objects, caches_data: not _caches(num_cache_objects, caches_data),
            ),
            T("CacheDataset", slot="dataset", when=_only_caches, **cached),
            T("SmartCacheDataset", slot="dataset", when=_replaces, **cached, replace_rate=A("replace_percent")),
            T(
                "DataLoader",
                slot="dataloader",
                batch_size=_BATCH,
                shuffle=F(lambda shuffle, facts: shuffle and facts.training),
                num_workers=A("num_workers"),
            ),
            T("SmartCacheHandler", slot="handlers", when=_replaces, smartcacher=Expr("@dataset")),
        ),
        outcome=Outcome.EQUIVALENT,
        why=reason,
        clara="Reads, transforms and batches the items of a data list.",
        facts=_facts(task),
        caveats=(_SAMPLING, _DUPLICATES, _SUBSET),
    )


_PLAIN = "The same items in the same batches; prefetching is PyTorch's."
_CACHED = "MONAI's cache of the same size, of what the transforms give before the first random one."

PIPELINES: Final = (
    *(
        _row(f"{task}{keras}ImagePipeline{cache}", task.lower(), _CACHED if cache else _PLAIN)
        for task in ("Segmentation", "Classification")
        for keras in ("", "Keras")
        for cache in ("", "WithCache")
    ),
    _row("ImagePipeline", None, _PLAIN),
)
