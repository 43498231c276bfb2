"""Apply a row and the table of signatures to one class: from its old name and arguments to today's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from monai_auxops.migrate.clara4 import signatures, tables
from monai_auxops.migrate.clara4.signatures import REQUIRED, Signature, Version
from monai_auxops.migrate.clara4.tables.base import Draft, Row
from monai_auxops.migrate.clara4.tables.data import LOADER_ARGS
from monai_auxops.migrate.diagnostics import Outcome, did_you_mean
from monai_auxops.migrate.encode import Expr

_SAME: Final = "The same class with the same arguments."
_CHANGED: Final = "The same class; a default that changed since is written out."
_WIRED: Final = frozenset({"DataLoader", "ThreadDataLoader"})
_PARENTS: Final = {
    "DenseNet121": "DenseNet", "DenseNet169": "DenseNet", "DenseNet201": "DenseNet", "DenseNet264": "DenseNet",
    "SEResNet50": "SENet", "SEResNet101": "SENet", "SEResNet152": "SENet", "SENet154": "SENet",
    "SEResNext50": "SENet", "SEResNext101": "SENet", "SEResNeXt50": "SENet", "SEResNeXt101": "SENet",
}  # fmt: skip
WITHOUT_EFFECT: Final = {
    "as_tensor_output": "transforms return tensors today",
    "meta_keys": "a MetaTensor carries its metadata",
    "meta_key_postfix": "a MetaTensor carries its metadata",
    "meta_src_keys": "a MetaTensor carries its metadata",
    "image_only": "a MetaTensor carries its metadata",
    "device": "tensors stay where they are",
    "verbose": "PyTorch no longer prints the rate; LrScheduleHandler does",
    "dtype": "the transform that loads decides",
    "norm_coords": "coordinates are those of the image",
    "archived": "PyTorch's format is the only one",
    "num_workers": "the loader decides",
}
"""Arguments that today's classes no longer have and that change no value."""
_SAME_MEANING: Final = frozenset(
    {
        ("StatsHandler", "name"), ("LoadImaged", "image_only"), ("LoadImage", "image_only"),
        ("Orientationd", "labels"), ("Orientation", "labels"), ("SegResNet", "norm_name"),
        ("EarlyStopping", "cumulative_delta"), ("EarlyStopping", "min_delta"), ("RunningAverage", "epoch_bound"),
        ("CacheDataset", "num_workers"), ("AsDiscreted", "to_onehot"), ("AsDiscrete", "to_onehot"),
    }
)  # fmt: skip
"""Defaults that are spelled differently today and mean the same here."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """What an old class is today."""

    target: str
    args: dict[str, Any]
    outcome: Outcome
    why: str
    notes: tuple[str, ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def manual(self) -> bool:
        """Tell whether the user must write the class."""
        return self.outcome is Outcome.MANUAL


def knows(name: str) -> bool:
    """Tell whether a name is the name of a class in the tables."""
    return tables.find(name) is not None or signatures.find(name) is not None


def adapt(name: str, args: Mapping[str, Any], version: Version, in_bundle: bool = False) -> Adapted:
    """Return today's form of a class of MONAI, torch or Ignite as a version of MONAI had it.

    Examples:
        >>> adapt("UNet", {"dimensions": 3, "norm": "batch"}, (0, 5, 3)).args
        {'norm': 'batch', 'spatial_dims': 3}
    """
    name = dictionary_form(name, args)
    row, then = tables.find(name), signatures.find(name)
    if row is not None and version >= row.until:
        row = None
    target = _target(name, row, then)
    outcome = row.outcome if row is not None else Outcome.EXACT
    draft = Draft(target, dict(args), version, outcome, in_bundle)
    if row is not None:
        _apply(row, draft)
    target = draft.target
    now = signatures.find(target.rpartition(".")[2])
    if draft.outcome is Outcome.MANUAL or now is None or not now.target:
        why = row.why if row is not None else f"{name} is not among the classes of today's MONAI."
        return Adapted(target, draft.args, Outcome.MANUAL, why, tuple(draft.notes), draft.unused)
    lost, unknown = _leave_out(draft, then, now)
    written = _write_defaults(draft, then, now, args)
    why = _CHANGED if written else _SAME
    if row is not None:
        why = row.why
    return Adapted(
        now.target,
        draft.args,
        draft.outcome,
        why,
        tuple(draft.notes),
        draft.unused,
        unknown,
        tuple(lost),
        tuple(written),
        tuple(name for name, value in now.args.items() if value == REQUIRED and name not in draft.args),
    )


def _target(name: str, row: Row | None, then: Signature | None) -> str:
    if row is not None and row.target:
        return row.target
    return then.target if then is not None and then.target else name


def dictionary_form(name: str, args: Mapping[str, Any]) -> str:
    """Return the dictionary transform if the array transform was given keys, as early access wrote it."""
    found = signatures.find(name)
    if "keys" in args and found is not None and "keys" not in {*found.args, *found.known((0, 8, 1))}:
        return f"{name}d" if signatures.find(f"{name}d") is not None else name
    return name


def _apply(row: Row, draft: Draft) -> None:
    for old, new in row.rename.items():
        draft.rename(old, new)
    for name, why in row.drop.items():
        draft.drop(name, why)
    for name, value in row.add.items():
        draft.args.setdefault(name, value)
    if row.edit is not None:
        row.edit(draft)


def named_today(name: str, now: Signature) -> set[str]:
    """Return the arguments that today's class, or the class that it passes them on to, names."""
    found = set(now.args)
    if now.name in _WIRED:
        found |= LOADER_ARGS
    row = tables.find(name) or tables.find(now.name)
    others = list(row.keeps) if row is not None else []
    if now.name in _PARENTS:
        others.append(_PARENTS[now.name])
    for other in others:
        signature = signatures.find(other)
        found |= set(signature.args) if signature is not None else set()
    return found


def _leave_out(draft: Draft, then: Signature | None, now: Signature) -> tuple[list[str], dict[str, str]]:
    """Leave out what today's class does not name; return what had an effect, and what no class ever named."""
    lost, unknown = [], {}
    named = named_today(now.name, now)
    before = then.known(draft.version) if then is not None else frozenset()
    for name in [name for name in draft.args if name not in named]:
        if name in WITHOUT_EFFECT and (name in before or then is None):
            draft.drop(name, WITHOUT_EFFECT[name])
        elif name in before:
            draft.drop(name, "today's class has no such argument")
            draft.lower(Outcome.APPROXIMATE, f"{name} has no counterpart today")
            lost.append(name)
        else:
            draft.drop(name, "the class has no such argument")
            unknown[name] = did_you_mean(name, named)
    return lost, unknown


def _write_defaults(draft: Draft, then: Signature | None, now: Signature, given: Mapping[str, Any]) -> list[str]:
    """Write out every old default that differs today."""
    change = then.at(draft.version) if then is not None else None
    written = []
    for name, value in (change.defaults if change is not None else {}).items():
        skipped = (
            name in {*draft.args, *given, *draft.settled} or (now.name, name) in _SAME_MEANING or name not in now.args
        )
        if skipped or _is_shown(value) or value == REQUIRED:
            continue
        draft.args[name] = _default(value)
        written.append(name)
    return written


def _is_shown(value: Any) -> bool:
    """Tell whether the table can only describe a default; number types do not count."""
    return isinstance(value, str) and value.startswith("<") and value.strip("<>") not in _TYPES


_TYPES: Final = frozenset({"float16", "float32", "float64", "int32", "int64", "uint8"})


def _default(value: Any) -> Any:
    if isinstance(value, str) and value.strip("<>") in _TYPES and value.startswith("<"):
        return Expr(f"$numpy.{value.strip('<>')}")
    return value


def changes_text(name: str, version: Version) -> tuple[list[str], list[str]]:
    """Return the arguments of then that are left out today, and the defaults that are written out, as text.

    Examples:
        >>> changes_text("RandSpatialCropd", (0, 8, 1))
        ([], ['random_size = True'])
    """
    then = signatures.find(name)
    change = then.at(version) if then is not None else None
    if then is None or change is None:
        return [], []
    row = tables.find(name)
    bare = adapt(name, {}, version)
    full = adapt(name, dict.fromkeys(change.gone, None), version)
    renamed = set(row.rename) if row is not None else set()
    gone = [item for item in change.gone if item in full.unused and item not in renamed]
    return gone, [f"{item} = {bare.args[item]!r}" for item in bare.written]
