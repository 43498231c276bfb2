"""What a metric's name says: training or validation, of what, of which class."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPLIT = re.compile(r"(train|val|test)(?:ing|idation|id)?[_/](.+)")


def split_name(name: str) -> tuple[str, str]:
    """``train``, ``val``, ``test`` or nothing, and the rest.

    >>> split_name("val_dice/grey"), split_name("train/loss"), split_name("Loss")
    (('val', 'dice/grey'), ('train', 'loss'), ('', 'Loss'))
    """
    match = _SPLIT.fullmatch(name)
    return (match[1], match[2]) if match else ("", name)


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
