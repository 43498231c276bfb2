"""What a class can serve as, and what each section needs: a network is no loss, a handler is no transform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.clara4 import signatures, tables
from monai_auxops.migrate.clara4.inverting import HANDLERS

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.components import Place

ANY: Final = "any"
"""The kind of a class that the table knows by its old name only: it cannot be compared."""
_TITLES: Final = {
    "model": "a network",
    "loss": "a loss",
    "optimizer": "an optimizer",
    "lr_scheduler": "a learning-rate scheduler",
    "transform": "a transform of dictionaries",
    "array transform": "a transform of single arrays",
    "dataset": "a dataset",
    "dataloader": "a data loader",
    "inferer": "an inferer",
    "handler": "a handler",
    "metric": "an Ignite metric",
    "iteration": "an iteration's update",
    "aux_op": "an aux-op of Clara Train 3.1",
    "trainer": "a trainer",
    "evaluator": "an evaluator",
}
_NEEDS: Final = {
    "pre_transforms": "transform",
    "post_transforms": "transform",
    "handlers": "handler",
    "metrics": "metric",
    "key_metric": "metric",
    "additional_metrics": "metric",
    "aux_ops": "aux_op",
}
"""The kind that a section needs where the section has another name than its kind."""


_PACKAGES: Final = {
    "model": ("networks",),
    "loss": ("losses", "nn"),
    "optimizer": ("optim",),
    "lr_scheduler": ("optim",),
    "transform": ("transforms",),
    "array transform": ("transforms",),
    "dataset": ("data",),
    "dataloader": ("data",),
    "inferer": ("inferers",),
    "handler": ("handlers",),
    "metric": ("handlers", "metrics"),
    "trainer": ("engines",),
    "evaluator": ("engines",),
}
"""Packages of MONAI, torch and Ignite with classes of a kind, or what their names begin with."""


def why_misplaced(place: Place, name: str) -> str:
    """Say that a class cannot serve in a section; nothing if it can, or if the table does not tell.

    Examples:
        >>> from monai_auxops.migrate.clara4.components import Place
        >>> why_misplaced(Place("train", "loss"), "UNet")
        'UNet is a network, but train.loss needs a loss'
    """
    kinds, needed = kinds_of(name), _NEEDS.get(place.key, place.key)
    if ANY in kinds or needed in kinds:
        return ""
    section = f"{place.part}.{place.key}" if place.part else place.key
    known = [_TITLES[kind] for kind in _TITLES if kind in kinds]
    if not known:
        return f"{name} cannot serve as {_TITLES[needed]}, which {section} needs"
    return f"{name} is {known[0]}, but {section} needs {_TITLES[needed]}"


def dictionary_hint(name: str) -> str:
    """Return the dictionary transform of an array transform as a hint.

    Examples:
        >>> dictionary_hint("Spacing")
        'did you mean "Spacingd"?'
    """
    other = f"{name}d"
    if "array transform" not in kinds_of(name) or "transform" not in kinds_of(other):
        return ""
    return f'did you mean "{other}"?'


def fits_package(path: str, name: str) -> bool:
    """Tell whether a path goes through a package that has classes of this kind.

    Examples:
        >>> fits_package("monai.losses.dice.DiceLoss", "DiceLoss"), fits_package("monai.networks.DiceLoss", "DiceLoss")
        (True, False)
    """
    wanted = [package for kind in kinds_of(name) for package in _PACKAGES.get(kind, ())]
    return not wanted or any(part.startswith(package) for part in path.split(".") for package in wanted)


def kinds_of(name: str) -> frozenset[str]:
    """Return what a class can serve as today, by one of its names.

    Examples:
        >>> sorted(kinds_of("AddChanneld") | kinds_of("Adam"))
        ['optimizer', 'transform']
    """
    if name in HANDLERS:
        return frozenset({"handler"})
    row = tables.find(name)
    target = row.target if row is not None and row.target else name
    found = signatures.find(target.rpartition(".")[2])
    return found.kinds if found is not None and found.target else frozenset({ANY})
