"""What a metric's name says: training or validation, of what, of which class."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

_SPLIT = re.compile(r"(train|val|test)(?:ing|idation|id)?[_/](.+)")


def split_name(name: str) -> tuple[str, str]:
    """``train``, ``val``, ``test`` or nothing, and the rest.

    >>> split_name("val_dice/grey"), split_name("train/loss"), split_name("Loss")
    (('val', 'dice/grey'), ('train', 'loss'), ('', 'Loss'))
    """
    match = _SPLIT.fullmatch(name)
    return (match[1], match[2]) if match else ("", name)


def tensorboard_place(name: str, few: bool = True) -> tuple[str, str]:
    """Where TensorBoard shows a metric: the folder below the run's own, and the tag there.

    Training and validation are groups. The ``few`` classes of one metric share a chart, in which each class has a
    folder, and therefore a name and a color, of its own.

    >>> tensorboard_place("val_dice"), tensorboard_place("val_dice/gray"), tensorboard_place("Loss")
    (('', 'val/dice'), ('classes/gray', 'val/dice'), ('', 'Loss'))
    >>> tensorboard_place("val_dice/gray", few=False)
    ('', 'val/dice/gray')
    """
    split, rest = split_name(name)
    family, _, member = rest.rpartition("/")
    place = f"{split}/" if split else ""
    if not (few and family and member):
        return "", place + rest
    return f"classes/{escaped(member)}", place + family


def escaped(name: str) -> str:
    """A name as the name of a file or folder: without slashes and what no file system takes.

    >>> escaped("white/gray"), escaped("..")
    ('white%2Fgray', '%2E.')
    """
    taken = "".join(f"%{ord(c):02X}" if c in '/\\%:*?"<>|' or ord(c) < 32 else c for c in name)
    return f"%2E{taken[1:]}" if taken.startswith(".") else taken


def metric_of(tag: str, folder: str = "") -> str:
    """The metric's name from where TensorBoard shows it; the inverse of :func:`tensorboard_place`.

    >>> metric_of("val/dice"), metric_of("val/dice", "classes/gray"), metric_of("running/val/dice"), metric_of("Loss")
    ('val_dice', 'val_dice/gray', 'running/val_dice', 'Loss')
    """
    running = "running/" if tag.startswith("running/") else ""
    split, slash, rest = tag.removeprefix(running).partition("/")
    name = f"{split}_{rest}" if slash and split in ("train", "val", "test") else tag.removeprefix(running)
    above, _, member = folder.rpartition("/")
    return running + (f"{name}/{unquote(member)}" if above == "classes" else name)


def families(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Names that belong together: ``{"dice": {"": "dice", "grey": "dice/grey"}}``, the whole under ``""``.

    A class stands after a slash, or as in Clara after an underscore where the name before it exists, too.

    >>> families(["dice", "dice_grey", "dice_global", "dice_global/grey", "support/grey", "mean_dice"])
    {'dice': {'': 'dice', 'grey': 'dice_grey'}, 'dice_global': {'': 'dice_global', 'grey': 'dice_global/grey'}, \
'support': {'grey': 'support/grey'}, 'mean_dice': {'': 'mean_dice'}}
    """
    names = list(dict.fromkeys(names))
    roots = {name.rpartition("/")[0] for name in names if "/" in name}
    found: dict[str, dict[str, str]] = {}
    for name in names:
        family, _, member = name.rpartition("/")
        if not family:
            family, member = _of_clara(name, set(names) - roots) if name not in roots else (name, "")
        found.setdefault(family, {})[member] = name
    return found


def _of_clara(name: str, names: set[str]) -> tuple[str, str]:
    parts = name.split("_")
    for i in range(1, len(parts)):
        if "_".join(parts[:i]) in names:
            return "_".join(parts[:i]), "_".join(parts[i:])
    return name, ""
