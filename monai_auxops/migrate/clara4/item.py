"""What became of one occurrence of a component: its objects in the bundle, how faithful they are, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.diagnostics import Outcome, worst
from monai_auxops.migrate.encode import Expr

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.components import Occurrence

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one occurrence: its objects in the bundle, and those that it adds to the postprocessing.

    ``label`` is a metric's key in the bundle, and ``is_key`` tells that it is marked as the one that selects the model.
    """

    occurrence: Occurrence
    outcome: Outcome
    reason: str
    notes: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    post: tuple[Block, ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)
    creates: tuple[str, ...] = ()
    label: str = ""
    is_key: bool = False

    @property
    def active(self) -> bool:
        """Tell whether the occurrence is part of the bundle."""
        return not self.occurrence.off

    @property
    def manual(self) -> bool:
        """Tell whether the user must write a class for it."""
        return self.outcome is Outcome.MANUAL

    @property
    def component(self) -> Occurrence:
        """The occurrence, under the name that stubs use."""
        return self.occurrence

    @property
    def args(self) -> Mapping[str, Any]:
        """Clara's arguments that a Python call accepts, for a stub."""
        return self.given

    @property
    def why(self) -> str:
        """The reason, and what applies to this occurrence only, as sentences."""
        return " ".join([self.reason, *(f"{note[:1].upper()}{note[1:]}." for note in self.notes)])

    def lowered(self, outcome: Outcome, note: str) -> Item:
        """Return it with a remark, and with no better an outcome than this."""
        return replace(self, outcome=worst([self.outcome, outcome]), notes=(*self.notes, note))


def block_of(target: str, args: Mapping[str, Any]) -> Block:
    """Write an object of the bundle."""
    return {Expr("_target_"): Expr(target), **args}
