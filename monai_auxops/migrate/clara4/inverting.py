"""What handlers of MONAI 0.5 did to a prediction (invert, save, discretize it), as today's transforms.

Each works on a copy under a separate name, so that other readers of the prediction see what they saw before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.adapt import adapt
from monai_auxops.migrate.clara4.code import CodeForm, CodeText, Field, from_engine
from monai_auxops.migrate.encode import Expr

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.signatures import Version

Part = tuple[str, dict[str, Any]]
"""A transform: its class and its arguments."""
HANDLERS: Final = {
    "TransformInverter": ("Invertd", "Invertd in the postprocessing, on a copy."),
    "SegmentationSaver": ("SaveImaged", "SaveImaged in the postprocessing; its AsDiscrete works on a copy."),
}
"""The transform that becomes of each handler, and why."""
_SAVER: Final = {"output_postfix": "seg", "resample": True}
_NOT_PASSED: Final = frozenset({"batch_transform", "output_transform", "name"})


def inverter(args: Mapping[str, Any], section: str) -> list[Part]:
    """Return the transforms of a TransformInverter: ``pred`` is inverted under ``pred_inverted``."""
    keys = _texts_of(args.get("output_keys", "pred"))
    postfix = str(args.get("postfix", "inverted"))
    copies = [f"{key}_{postfix}" for key in keys]
    invert: dict[str, Any] = {
        "keys": copies,
        "transform": Expr(f"@{section}#preprocessing"),
        "orig_keys": args.get("batch_keys", "image"),
        "nearest_interp": args.get("nearest_interp", True),
        "to_tensor": True,
    }
    return [("CopyItemsd", {"keys": keys, "names": copies}), ("Invertd", invert)]


def saver(args: Mapping[str, Any], version: Version) -> list[Part] | None:
    """Return the transforms of a SegmentationSaver, or None if its code has none of the known forms."""
    found = args.get("output_transform")
    picked = found.fields[0] if isinstance(found, CodeText) and len(found.fields) == 1 else None
    if picked is None and isinstance(found, CodeText):
        return None
    key, before = discretized(picked, version) if picked is not None else ("pred", [])
    given = {name: value for name, value in args.items() if name not in _NOT_PASSED}
    return [*before, ("SaveImaged", {"keys": key, **_SAVER, **given})]


def discretized(field: Field, version: Version) -> tuple[str, list[Part]]:
    """Return the key of a field and the transforms that make it; an AsDiscrete works on a copy."""
    if field.discrete is None:
        return field.key, []
    form = "onehot" if field.discrete.get("to_onehot") else "classes"
    copy = f"{field.key}_{form}"
    args = adapt("AsDiscreted", {"keys": copy, **field.discrete}, version).args
    return copy, [("CopyItemsd", {"keys": field.key, "names": copy}), ("AsDiscreted", args)]


def metric(args: dict[str, Any], version: Version) -> tuple[dict[str, Any], list[Part]]:
    """Return a metric's arguments and the transforms that an AsDiscrete in its code becomes."""
    found = args.get("output_transform")
    if (
        not isinstance(found, CodeText)
        or found.shape is not CodeForm.FIELDS
        or not any(item.discrete for item in found.fields)
    ):
        return args, []
    made = [discretized(item, version) for item in found.fields]
    keys = [key for key, _ in made]
    return {**args, "output_transform": from_engine(keys)}, [part for _, parts in made for part in parts]


def _texts_of(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
