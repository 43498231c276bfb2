"""Transforms."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.clara4.tables.base import Draft, Row, dictionary
from monai_auxops.migrate.diagnostics import Outcome

_CLIPPED_UNTIL: Final = (0, 7)
_NAMED_SINCE: Final = (0, 9)
_SWAPPED_SINCE: Final = (0, 6)
_METATENSOR: Final = (0, 9, 2)
_INVERTS: Final = "the inverse of ToTensor makes an array, which today's Invert refuses"


def _lists(*values: Any) -> list[tuple[Any, ...]]:
    """Return values item by item: a list has one for each key, any other value applies to all keys."""
    length = max([len(value) for value in values if isinstance(value, list)], default=1)
    columns = [value if isinstance(value, list) else [value] * length for value in values]
    return list(zip(*columns, strict=False))


def _merged(found: list[Any], originals: tuple[Any, ...]) -> Any:
    return found if any(isinstance(value, list) for value in originals) else found[0]


def _as_discrete(draft: Draft) -> None:
    """Write to_onehot as a number and threshold_values as a threshold; today's class swallows the old names."""
    old = draft.args.pop("n_classes", None)
    classes = draft.args.pop("num_classes", None) or old
    switch = draft.args.pop("threshold_values", None)
    logit = draft.args.pop("logit_thresh", None)
    onehot = draft.args.get("to_onehot")
    if onehot is not None:
        draft.args["to_onehot"] = _merged(
            [_number(draft, *pair) for pair in _lists(onehot, classes)], (onehot, classes)
        )
    threshold = draft.args.get("threshold", switch)
    if threshold is not None:
        pairs = _lists(threshold, 0.5 if logit is None else logit)
        draft.args["threshold"] = _merged([_level(*pair) for pair in pairs], (threshold, logit))
    for name in ("to_onehot", "threshold"):
        if name in draft.args and _empty(draft.args[name]):
            del draft.args[name]
    if classes is not None and onehot is None:
        draft.unused["n_classes"] = "it has no effect without to_onehot"


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(item is None for item in value))


def _number(draft: Draft, onehot: Any, classes: Any) -> Any:
    if onehot is True and classes is None:
        draft.lower(Outcome.MANUAL, "to_onehot needs n_classes, the number of classes")
    if onehot is True:
        return classes
    return None if onehot is False else onehot


def _level(threshold: Any, logit: Any) -> Any:
    if threshold is True:
        return logit
    return None if threshold is False else threshold


def _crop_foreground(draft: Draft) -> None:
    """Write out the old meaning of a margin at the border."""
    margin = draft.args.get("margin", 0)
    wide = any(margin) if isinstance(margin, list) else bool(margin)
    if not wide:
        draft.settled.add("allow_smaller")
    if not wide or draft.version >= _NAMED_SINCE:
        return
    if draft.version < _CLIPPED_UNTIL:
        draft.args.setdefault("allow_smaller", True)
        draft.notes.append("MONAI 0.5 cut a margin off at the image's border")
        return
    draft.args.setdefault("allow_smaller", False)
    draft.lower(
        Outcome.APPROXIMATE,
        "MONAI 0.8 cut a margin off in front of the image and padded it behind; today's pads on both sides",
    )


def _load_image(draft: Draft) -> None:
    """Keep the order of axes in which MONAI 0.5 read PNG files."""
    if draft.version < _SWAPPED_SINCE and draft.args.get("reader") == "PILReader" and not draft.in_bundle:
        draft.args.setdefault("reverse_indexing", False)
        draft.notes.append("MONAI 0.5 read rows first")


def _coordinates(draft: Draft) -> None:
    """Count spatial dimensions from 0; the old argument counted channels from 1."""
    old = draft.args.pop("spatial_channels", None)
    if isinstance(old, list) and all(isinstance(item, int) for item in old):
        draft.args.setdefault("spatial_dims", [item - 1 for item in old])
    elif isinstance(old, int):
        draft.args.setdefault("spatial_dims", [old - 1])
    elif old is not None:
        draft.lower(Outcome.MANUAL, "spatial_channels is not a list of numbers")


def _delete(draft: Draft) -> None:
    """Remove the metadata beside an image, because there is none today."""
    keys = draft.args.get("keys")
    if draft.in_bundle or not isinstance(keys, list | str):
        return
    names = [keys] if isinstance(keys, str) else keys
    kept = [name for name in names if not str(name).endswith("_meta_dict")]
    if not kept:
        draft.target, kept = "Identityd", ["image"]
    draft.args["keys"] = kept


def _no_meta_keys(draft: Draft) -> None:
    """Leave the keys of metadata out: a MetaTensor carries its own."""
    if not draft.in_bundle:
        for name in ("meta_keys", "meta_key_postfix", "orig_meta_keys"):
            draft.drop(name, "a MetaTensor carries its metadata")


LOADERS: Final = ("NibabelReader", "ITKReader", "NumpyReader", "PILReader", "NrrdReader", "PydicomReader")

TRANSFORMS: Final = (
    Row(
        names=dictionary("AsDiscrete"),
        target="AsDiscreted",
        edit=_as_discrete,
        why="to_onehot is the number of classes today and threshold the level; the old names would be swallowed.",
    ),
    Row(
        names=("AsDiscrete",),
        edit=_as_discrete,
        why="to_onehot is the number of classes today and threshold the level; the old names would be swallowed.",
    ),
    Row(
        names=dictionary("ToTensor"),
        target="EnsureTyped",
        until=_METATENSOR,
        why=f"The same values; {_INVERTS}.",
    ),
    Row(
        names=dictionary("AddChannel"),
        target="EnsureChannelFirstd",
        add={"channel_dim": "no_channel"},
        why="The same channel in front.",
    ),
    Row(
        names=("AddChannel",),
        target="EnsureChannelFirst",
        add={"channel_dim": "no_channel"},
        why="The same channel in front.",
    ),
    Row(
        names=dictionary("AsChannelFirst"),
        target="EnsureChannelFirstd",
        add={"channel_dim": -1},
        why="The channel moves to the front; the last dimension is the default, as before.",
    ),
    Row(
        names=("AsChannelFirst",),
        target="EnsureChannelFirst",
        add={"channel_dim": -1},
        why="The channel moves to the front; the last dimension is the default, as before.",
    ),
    Row(
        names=dictionary("SplitChannel"),
        target="SplitDimd",
        rename={"channel_dim": "dim"},
        add={"keepdim": True},
        why="One item per channel, which keeps its dimension.",
    ),
    Row(
        names=("SplitChannel",),
        target="SplitDim",
        rename={"channel_dim": "dim"},
        add={"keepdim": True},
        why="One item per channel, which keeps its dimension.",
    ),
    Row(
        names=dictionary("LoadNifti"),
        target="LoadImaged",
        add={"reader": "NibabelReader"},
        rename={"overwriting_keys": "overwriting"},
        why="The same reader.",
    ),
    Row(
        names=dictionary("LoadNumpy"),
        target="LoadImaged",
        add={"reader": "NumpyReader"},
        why="The same reader.",
    ),
    Row(
        names=(*dictionary("LoadPNG"), "LoadPNGd"),
        target="LoadImaged",
        add={"reader": "PILReader"},
        edit=_load_image,
        why="The same reader, rows first.",
    ),
    Row(
        names=("LoadImaged", "LoadImageD", "LoadImageDict", "LoadImage"),
        edit=_load_image,
        keeps=LOADERS,
        why="The same; the metadata is part of the image today, and what read `image_meta_dict` reads that.",
    ),
    Row(
        names=("CropForegroundd", "CropForegroundD", "CropForegroundDict", "CropForeground"),
        edit=_crop_foreground,
        why="The same without a margin; with one, what happens at the border follows the dialect.",
    ),
    Row(
        names=dictionary("Invert"),
        edit=_no_meta_keys,
        why="The MetaTensor carries its metadata; the transforms to invert are the section's own.",
    ),
    Row(
        names=dictionary("SaveImage"),
        edit=_no_meta_keys,
        drop={"save_batch": "items are saved one by one"},
        why="The same files; the old default of resample is written out.",
    ),
    Row(
        names=("AddCoordinateChannelsd", "AddCoordinateChannelsD", "AddCoordinateChannels"),
        edit=_coordinates,
        why="spatial_channels counted from 1, spatial_dims counts from 0.",
    ),
    Row(
        names=("RandKSpaceSpikeNoised", "RandKSpaceSpikeNoiseD", "RandKSpaceSpikeNoiseDict"),
        drop={"common_sampling": "today every key has the same spikes", "common_seed": "the seed is the transform's"},
        rename={"global_prob": "prob"},
        outcome=Outcome.APPROXIMATE,
        why="Today's transform draws once for all keys.",
    ),
    Row(
        names=tuple(
            f"RandSmoothField{what}{end}" for what in ("AdjustContrast", "AdjustIntensity") for end in ("", "d", "D")
        ),
        drop={"padder": "the field is made by interpolation alone", "apply_same_field": "one field serves all keys"},
        outcome=Outcome.APPROXIMATE,
        why="Today's field is interpolated without padding first.",
    ),
    Row(
        names=("RandWeightedCropd", "RandWeightedCropD", "RandWeightedCropDict"),
        drop={"center_coord_key": "the centers are in the metadata"},
        why="The same crops.",
    ),
    Row(
        names=("TestTimeAugmentation",),
        drop={"label_key": "the keys are those of the transform"},
        outcome=Outcome.APPROXIMATE,
        why="Today's class returns more than it did; compare what reads it.",
    ),
    Row(
        names=dictionary("DeleteItems"),
        edit=_delete,
        why="The same; metadata beside an image is not there to delete today.",
    ),
    Row(
        names=("AddGuidanceFromPointsd",),
        rename={"dimensions": "spatial_dims"},
        why="The same; dimensions is spatial_dims today.",
    ),
)
