"""References between the objects of a bundle: which ones a file does not have, and which would go round in circles."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.components import METRICS
from monai_auxops.migrate.clara4.inverting import HANDLERS
from monai_auxops.migrate.encode import Expr

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.components import Occurrence, Place

_ENGINES: Final = {"train": "trainer", "validate": "evaluator"}
_OF_TRAINING: Final = ("@loss", "@optimizer", "@lr_scheduler", "@train#trainer")
_MADE_FROM: Final = {
    "pre_transforms": ("preprocessing", "dataset", "dataloader"),
    "dataset": ("dataset", "dataloader"),
    "dataloader": ("dataloader",),
    "post_transforms": ("postprocessing",),
    "metrics": ("key_metric", "additional_metrics"),
    "key_metric": ("key_metric", "additional_metrics"),
    "additional_metrics": ("key_metric", "additional_metrics"),
}
"""What the bundle makes from the objects of a section, beside the section's engine."""


def absent_references(found: Collection[Occurrence], parts: Collection[str], trains: bool) -> frozenset[str]:
    """Return the references to objects that a file does not have, or disables."""
    absent = set() if trains else set(_OF_TRAINING)
    active = [item for item in found if not item.off]
    if not any(item.place.key == "lr_scheduler" for item in active):
        absent.add("@lr_scheduler")
    if trains and "validate" not in parts:
        absent.add("@validate#evaluator")
    for part in parts:
        own = [item for item in active if item.place.part == part]
        absent.update(f"@{part or 'validate'}#{name}" for name in _absent_in(own))
    return frozenset(absent)


def nameable_objects(found: Collection[Occurrence], part: str) -> frozenset[str]:
    """Return the objects of a section that its engine can name, as the bundle calls them."""
    keys = {item.place.key for item in found if item.place.part == part and not item.off}
    names = {"inferer", "handlers", "key_metric", "additional_metrics"} & keys
    return frozenset(names | {"postprocessing"} if "post_transforms" in keys else names)


def _absent_in(items: Collection[Occurrence]) -> Iterator[str]:
    if not any(item.place.key == "post_transforms" or item.name in HANDLERS for item in items):
        yield "postprocessing"
    metrics = sum(item.place.key in METRICS for item in items)
    if not metrics:
        yield "key_metric"
    if metrics < 2 and not any(item.place.key == "aux_ops" for item in items):
        yield "additional_metrics"


def circular_references(place: Place, section: str) -> frozenset[str]:
    """Return the references to what the bundle makes from a section, such as the engine that its handlers belong to.

    Examples:
        >>> from monai_auxops.migrate.clara4.components import Place
        >>> sorted(circular_references(Place("train", "handlers"), "train"))
        ['@train#handlers', '@train#trainer']
    """
    if place.key not in (*_MADE_FROM, "inferer", "handlers", "trainer", "evaluator"):
        return frozenset()
    made = {f"@{section}#{name}" for name in (*_MADE_FROM.get(place.key, (place.key,)), _ENGINES[section])}
    if section == "validate":  # the trainer's ValidationHandler holds the evaluator
        made |= {"@train#trainer", "@train#handlers"}
    return frozenset(made)


def title_of(reference: str) -> str:
    """Return what a configuration calls the object of a reference.

    Examples:
        >>> title_of("@validate#postprocessing"), title_of("@loss")
        ('post_transforms', 'loss')
    """
    name = reference.rpartition("#")[2].lstrip("@")
    return {"preprocessing": "pre_transforms", "postprocessing": "post_transforms"}.get(name, name)


def reference_in(value: Any, wanted: Collection[str]) -> str:
    """Return the first of the wanted references that a value is or contains, or nothing."""
    if isinstance(value, Mapping):
        return next(filter(None, (reference_in(child, wanted) for child in value.values())), "")
    if isinstance(value, list):
        return next(filter(None, (reference_in(child, wanted) for child in value)), "")
    return str(value) if isinstance(value, Expr) and value in wanted else ""
