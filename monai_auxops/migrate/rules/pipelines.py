"""Image pipelines: a dataset and a loader. A cached pipeline trained on its cache only."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import OMIT, A, Call, Caveat, F, Param, Rule, Section, T
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
    Param("batch_transforms", None, anything, note="stands in a section of its own"),
    Param("transforms", None, anything, note="stands in a section of its own"),
    Param("items_per_category", None, anything, note="see the caveat"),
    Param("category_weights", None, optional(anything), note="see the caveat"),
    Param("sampling", None, anything, note="see the caveat"),
    Param("multiprocessing", False, anything, note=_KERAS),
    Param("num_cache_objects", OMIT, integer),
    Param("replace_percent", 0.0, number),
    Param("caches_data", True, flag),
    Param("task", None, optional(one_of("segmentation", "classification"))),
)
_OF_CACHE = ("num_cache_objects", "replace_percent", "caches_data")

_BATCH = F(
    lambda c: 1 if c["batched_by_transforms"] else c["output_batch_size"],
    uses=("batched_by_transforms", "output_batch_size"),
)


def _dims(call: Call) -> int:
    crop = call["output_crop_size"]
    if len(crop) in (2, 3):
        return len(crop)
    return 2 if call["output_data_dims"] == 2 else 3


def _crop(call: Call) -> tuple[int, ...]:
    crop = call["output_crop_size"]
    return tuple(crop) if crop and min(crop) > 0 else ()


def _caches(call: Call) -> bool:
    return call["num_cache_objects"] is not OMIT and call["caches_data"]


def _replaces(call: Call) -> bool:
    return _caches(call) and call["replace_percent"] > 0


def _facts(task: str | None) -> dict[str, Any]:
    return {
        "task": task or F(lambda c: c["task"] or "segmentation", uses=("task",)),
        "datalist": A("data_list_file_path"),
        "data_root": A("data_file_base_dir"),
        "data_key": A("data_list_key"),
        "in_channels": A("output_image_channels"),
        "label_channels": A("output_label_channels"),
        "spatial_dims": F(_dims, uses=("output_crop_size", "output_data_dims")),
        "crop_size": F(_crop, uses=("output_crop_size",)),
        "channels_last": A("output_data_format", lambda value: value == "channels_last" or None),
        "label_format": A("output_label_format", lambda value: tuple(value or ())),
        "batch_size": A("output_batch_size"),
        "batched_by_transforms": A("batched_by_transforms"),
        "cached": F(_caches, uses=_OF_CACHE),
    }


_SAMPLING = Caveat(
    lambda c: any(c[name] not in (None, 1, {}, []) for name in ("items_per_category", "category_weights", "sampling")),
    "the sampling by category is not migrated: every item is seen once per epoch",
    Outcome.APPROXIMATE,
)
_DUPLICATES = Caveat(
    lambda c: c["duplicate_count"] not in (0, 1),
    "items are not duplicated (duplicate_count): multiply the epochs instead",
    Outcome.APPROXIMATE,
)
_SUBSET = Caveat(
    lambda c: _caches(c) and not _replaces(c) and c["data_list_key"] != "validation",
    "Clara trained on the cached items only; the bundle caches as many and goes through all items each epoch",
    Outcome.APPROXIMATE,
    "CT517",
)


def _row(name: str, task: str | None, reason: str) -> Rule:
    cached = {"cache_num": A("num_cache_objects")}
    return Rule(
        name,
        Section.PIPELINE,
        _PARAMS,
        (
            T("Dataset", slot="dataset", when=lambda c: not _caches(c)),
            T("CacheDataset", slot="dataset", when=lambda c: _caches(c) and not _replaces(c), **cached),
            T("SmartCacheDataset", slot="dataset", when=_replaces, **cached, replace_rate=A("replace_percent")),
            T(
                "DataLoader",
                slot="dataloader",
                batch_size=_BATCH,
                shuffle=F(lambda c: c["shuffle"] and c.facts.training, uses=("shuffle",)),
                num_workers=A("num_workers"),
            ),
            T("SmartCacheHandler", slot="handlers", when=_replaces, smartcacher=Expr("@dataset")),
        ),
        Outcome.EQUIVALENT,
        reason,
        "Reads, transforms and batches the items of a data list.",
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
