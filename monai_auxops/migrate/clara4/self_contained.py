"""Make evaluate.json and inference.json stand alone: what they refer to is in them, what needs the training is not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.references import reference_in
from monai_auxops.migrate.encode import Expr

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.item import Block, Item

OF_TRAINING: Final = ("@train#trainer", "@optimizer", "@lr_scheduler")
OF_METRICS: Final = ("@validate#key_metric", "@validate#additional_metrics")


class Separation:
    """Takes a section apart from the training; ``left_out`` names the classes that only work with it."""

    def __init__(self, gone: Collection[str]) -> None:
        self.gone = gone
        self.left_out: list[str] = []

    def items(self, found: list[Item]) -> list[Item]:
        """Return items without those that were given what is gone; a stub would not show it."""
        tied = [item for item in found if reference_in(item.given, self.gone)]
        self.left_out += [item.occurrence.name for item in tied]
        return [item for item in found if item not in tied]

    def section(self, found: Block, engine: str) -> Block:
        """Return a section without the objects that refer to what is gone, and without such arguments of its engine."""
        args = {key: value for key, value in found[engine].items() if not reference_in(value, self.gone)}
        kept: Block = self._kept({**found, engine: args})
        if not kept.get("key_metric", True):
            del kept["key_metric"], kept[engine]["key_val_metric"]
        return kept

    def blocks(self, found: list[Block]) -> list[Block]:
        """Return objects without those that refer to what is gone."""
        kept: list[Block] = self._kept(found)
        return kept

    def _kept(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._kept(child) for child in value if not self._drops(child)]
        if isinstance(value, Mapping):
            return {key: self._kept(child) for key, child in value.items() if not self._drops(child)}
        return value

    def _drops(self, value: Any) -> bool:
        """Tell whether an object itself, not one inside it, refers to what is gone."""
        if not _is_object(value) or not reference_in(_own_arguments(value), self.gone):
            return False
        self.left_out.append(str(value["_target_"]))
        return True


def with_referenced(found: Block, others: Block) -> Block:
    """Return a configuration with those settings and objects of the training that it refers to, at its top."""
    needed = {name: value for name, value in others.items() if name not in found and reference_in(found, [f"@{name}"])}
    return {**needed, **found}


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping) and Expr("_target_") in value


def _own_arguments(value: Any) -> Any:
    """Return a value without the objects inside it."""
    if isinstance(value, Mapping):
        return {key: _own_arguments(child) for key, child in value.items() if not _is_object(child)}
    return [_own_arguments(child) for child in value if not _is_object(child)] if isinstance(value, list) else value
