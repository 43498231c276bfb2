"""The parts of a metric's name: training or validation, quantity, class."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

_SPLIT = re.compile(r"(train|val|test)(?:ing|idation|id)?[_/](.+)")


def split_name(name: str) -> tuple[str, str]:
    """Split a name into ``train``, ``val``, ``test`` or nothing, and the rest.

    Examples:
        >>> split_name("val_dice/gray"), split_name("train/loss"), split_name("Loss")
        (('val', 'dice/gray'), ('train', 'loss'), ('', 'Loss'))
    """
    match = _SPLIT.fullmatch(name)
    return (match[1], match[2]) if match else ("", name)


def tensorboard_place(name: str, few: bool = True) -> tuple[str, str]:
    """Return where TensorBoard shows a metric: the folder below the run's own, and the tag there.

    Training and validation are groups. If they are ``few``, the classes of a metric share a chart, in which each class
    has its own folder, and therefore its own name and color.

    Examples:
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
    return f"classes/{file_name(member)}", place + family


def file_name(name: str) -> str:
    """Return a name as a file or folder name: without slashes and characters that file systems reject.

    Examples:
        >>> file_name("white/gray"), file_name("..")
        ('white%2Fgray', '%2E.')
    """
    taken = "".join(f"%{ord(c):02X}" if c in '/\\%:*?"<>|' or ord(c) < 32 else c for c in name)
    return f"%2E{taken[1:]}" if taken.startswith(".") else taken


def display_width(text: str) -> int:
    """Return the columns that a text takes on a terminal, where Chinese, Japanese and Korean characters take two.

    Examples:
        >>> display_width("Größe"), display_width("腫瘍")
        (5, 4)
    """
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def metric_of(tag: str, folder: str = "") -> str:
    """Return the metric's name from where TensorBoard shows it, the inverse of ``tensorboard_place``.

    Examples:
        >>> metric_of("val/dice"), metric_of("val/dice", "classes/gray"), metric_of("running/val/dice")
        ('val_dice', 'val_dice/gray', 'running/val_dice')
    """
    running = "running/" if tag.startswith("running/") else ""
    split, slash, rest = tag.removeprefix(running).partition("/")
    name = f"{split}_{rest}" if slash and split in ("train", "val", "test") else tag.removeprefix(running)
    above, _, member = folder.rpartition("/")
    return running + (f"{name}/{unquote(member)}" if above == "classes" else name)


def families(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Group names by metric and class: ``{"dice": {"": "dice", "gray": "dice/gray"}}``; ``""`` is all classes.

    A class follows a slash, or as in Clara an underscore if the name before it also exists.

    Examples:
        >>> families(["dice", "dice_gray", "dice_global", "dice_global/gray", "support/gray", "mean_dice"])
        {'dice': {'': 'dice', 'gray': 'dice_gray'}, 'dice_global': {'': 'dice_global', 'gray': 'dice_global/gray'}, \
    'support': {'gray': 'support/gray'}, 'mean_dice': {'': 'mean_dice'}}
    """
    names = list(dict.fromkeys(names))
    roots = {name.rpartition("/")[0] for name in names if "/" in name}
    found: dict[str, dict[str, str]] = {}
    for name in names:
        family, _, member = name.rpartition("/")
        if not family:
            family, member = _split_clara_name(name, set(names) - roots) if name not in roots else (name, "")
        found.setdefault(family, {})[member] = name
    return found


def _split_clara_name(name: str, names: set[str]) -> tuple[str, str]:
    parts = name.split("_")
    for i in range(1, len(parts)):
        if "_".join(parts[:i]) in names:
            return "_".join(parts[:i]), "_".join(parts[i:])
    return name, ""
