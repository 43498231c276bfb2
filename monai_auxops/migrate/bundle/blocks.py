"""Pieces that train, evaluate and inference configurations share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.bundle.stubs import stub_name
from monai_auxops.migrate.encode import Expr, literal
from monai_auxops.migrate.rules.common import key_of

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.convert import Built, Converted
    from monai_auxops.migrate.rules.facts import Facts

_NAME_FIELDS: Final = frozenset(
    {"fields", "field", "applied_keys", "applied_key", "image_field", "label_field", "src_field", "from_field", "keys"}
)
DEVICE: Final = Expr("$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')")
Block = dict[str, Any]


def component(name: str, /, **args: Any) -> Block:
    """Write an object of the bundle."""
    return {Expr("_target_"): Expr(name), **args}


CHECKPOINT_LOADER: Final = component(
    "CheckpointLoader", load_path=Expr("$@ckpt_dir + '/model.pt'"), load_dict={"model": Expr("@network")}
)
ONE_BY_ONE: Final = component("DataLoader", batch_size=1, shuffle=False, num_workers=4)
LIST_KEY: Final = Expr("@list_key")


def object_block(built: Built) -> Block:
    """Write a converted object."""
    return component(built.target, **built.args)


def objects(entries: Iterable[Converted], slot: str = "") -> list[Block]:
    """Write the objects of the entries of one slot; a stub takes the place of a class that must be written."""
    found: list[Block] = []
    for entry in entries:
        if entry.manual and not slot:
            found.append(stub(entry))
        found += [object_block(built) for built in entry.built if built.slot == slot]
    return found


def single(entry: Converted | None, default: Block, slot: str = "") -> Block:
    """Write the object of a single place."""
    return next(iter(objects([entry], slot)), default) if entry is not None else default


def stub(entry: Converted) -> Block:
    """Write the reference to a class that the user must complete."""
    return component(f"scripts.manual.{stub_name(entry)}", **stub_args(entry))


def present(**parts: Any) -> Block:
    """Return the parts of a block that are not empty."""
    return {name: part for name, part in parts.items() if part}


def stub_args(entry: Converted) -> Mapping[str, Any]:
    """Return the original's arguments that a Python call accepts."""
    named = {key: _bundle_keys(key, value) for key, value in entry.args.items()}
    return {key: value for key, value in named.items() if key.isidentifier() and _plain(value)}


def _bundle_keys(argument: str, value: Any) -> Any:
    """Return an argument that names fields, with the bundle's names for those fields."""
    if argument not in _NAME_FIELDS:
        return value
    return [_key(item) for item in value] if isinstance(value, list) else _key(value)


def _key(value: Any) -> Any:
    return key_of(value) if isinstance(value, str) else value


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(child) for key, child in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


def compose(transforms: list[Block]) -> Block:
    """Write a chain of transforms."""
    return component("Compose", transforms=transforms)


def rebase(value: Any, names: Mapping[str, str]) -> Any:
    """Point the references that a row wrote to the object's place in this file."""
    if isinstance(value, Expr):
        return Expr(names.get(value, value))
    if isinstance(value, dict):
        return {key: rebase(child, names) for key, child in value.items()}
    if isinstance(value, list):
        return [rebase(child, names) for child in value]
    return value


def datalist(key: str, facts: Facts) -> Expr:
    """Write the call that reads one list of the data list; ``key`` is an Expr or the list's name."""
    segmentation = facts.task != "classification"
    shown = key if isinstance(key, Expr) else literal(key)
    return Expr(f"$monai.data.load_decathlon_datalist(@datalist, {segmentation}, {shown}, @dataset_dir)")


def channels_first(entries: list[Converted]) -> list[Block]:
    """Write a preprocessing chain in which channels come first right after the reader, whatever Clara's order."""
    return [block for _, block in channels_first_pairs(entries)]


_MOVE: Final = "EnsureChannelFirstd"


def channels_first_pairs(entries: list[Converted]) -> list[tuple[Converted, Block]]:
    """Return the objects of a chain with the entries they come from.

    Clara's transforms worked on either layout; MONAI's need the channels in front. TLT 1.x and channels_last files have
    no step that moves them.
    """
    pairs = [(entry, block) for entry in entries for block in objects([entry])]
    moves = [pair for pair in pairs if _is(pair[1], _MOVE)]
    found: list[tuple[Converted, Block]] = []
    waiting: list[str] = []
    for pair in [pair for pair in pairs if not _is(pair[1], _MOVE) or not _any_loader(pairs)]:
        if waiting and not _is(pair[1], "LoadImaged"):
            found += _one_move_per_key(found[-1][0], waiting, moves)
            waiting = []
        found.append(pair)
        waiting += pair[1]["keys"] if _is(pair[1], "LoadImaged") else []
    return [*found, *(_one_move_per_key(found[-1][0], waiting, moves) if waiting else [])]


def _any_loader(pairs: list[tuple[Converted, Block]]) -> bool:
    return any(_is(block, "LoadImaged") for _, block in pairs)


def _one_move_per_key(
    loader: Converted, keys: list[str], moves: list[tuple[Converted, Block]]
) -> list[tuple[Converted, Block]]:
    """Move the channels of each loaded key once, as its first moving step says, otherwise as the file says."""
    found: list[tuple[Converted, Block]] = []
    left = list(keys)
    for entry, block in moves:
        mine = [key for key in block["keys"] if key in left]
        left = [key for key in left if key not in mine]
        if mine:
            found.append((entry, {**block, "keys": mine}))
    return [*found, *([(loader, component(_MOVE, keys=left))] if left else [])]


def _is(block: Block, name: str) -> bool:
    return str(block["_target_"]) == name


def label_vector() -> Block:
    """Write the transform that turns a label vector into a tensor."""
    return component("EnsureTyped", keys=["label"], dtype=Expr("$torch.float32"), track_meta=False)


def without(blocks: Iterable[Block], key: str) -> list[Block]:
    """Return transforms without one key; a transform that had no other key is removed."""
    return [block for block in (_drop_key(block, key) for block in blocks) if block.get("keys", True)]


def _drop_key(block: Block, key: str) -> Block:
    keys = block.get("keys")
    if not isinstance(keys, list) or key not in keys:
        return block
    kept = [index for index, name in enumerate(keys) if name != key]
    mode = block.get("mode")
    modes = {"mode": [mode[index] for index in kept]} if isinstance(mode, list) else {}
    return {**block, "keys": [keys[index] for index in kept], **modes}


def deterministic(entries: Iterable[Converted]) -> list[Converted]:
    """Return the entries without random objects, which an image needs for evaluation."""
    return [entry for entry in entries if not any(built.target.startswith("Rand") for built in entry.built)]


def activation(facts: Facts, keys: list[str]) -> list[Block]:
    """Write the activation that Clara's model contained."""
    found = None if facts.task == "classification" else facts.activation
    return [] if found is None else [component("Activationsd", keys=keys, **{found: True})]
