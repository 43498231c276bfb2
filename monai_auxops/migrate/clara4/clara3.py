"""Names of Clara Train 3.1 in an early access file (Dice, Focal, NovoGrad, ReducePoly, aux-ops): its rules apply."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.conversion.binding import Binder
from monai_auxops.migrate.conversion.convert import convert
from monai_auxops.migrate.reading.components import Component, Place
from monai_auxops.migrate.rules import RuleBook, Section
from monai_auxops.migrate.rules.facts import Facts

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.components import Occurrence
    from monai_auxops.migrate.diagnostics import Log, Outcome
    from monai_auxops.migrate.reading.node import Node
    from monai_auxops.migrate.reading.variables import Variables

_SECTIONS: Final = {
    "loss": Section.LOSS,
    "optimizer": Section.OPTIMIZER,
    "lr_scheduler": Section.LR_POLICY,
    "aux_ops": Section.AUX_OP,
    "model": Section.MODEL,
    "pre_transforms": Section.TRANSFORM,
}


@dataclass(frozen=True, slots=True)
class Old:
    """What a row of 3.1 made of a component; ``creates`` names the values of an aux-op."""

    outcome: Outcome
    reason: str
    notes: tuple[str, ...]
    blocks: tuple[tuple[str, dict[str, Any]], ...]
    creates: tuple[str, ...] = ()


class Clara3:
    """The rules of 3.1, with the facts that a configuration of Clara Train 4 tells."""

    def __init__(self, variables: Variables, facts: Facts, log: Log) -> None:
        self.book, self.facts, self.log = RuleBook(), facts, log
        self.binder = Binder(self.book, variables, log)

    def knows(self, found: Occurrence, args: Iterable[str]) -> bool:
        """Tell whether a component with these arguments is one of 3.1."""
        section = _SECTIONS.get(found.place.key)
        rule = self.book.find(section, found.name) if section is not None else None
        return rule is not None and set(args) <= {name for item in rule.params for name in (item.name, *item.also)}

    def convert(self, found: Occurrence) -> Old | None:
        """Convert a component by the rules of 3.1, or return None if they do not know it."""
        section = _SECTIONS.get(found.place.key)
        rule = self.book.find(section, found.name) if section is not None else None
        if section is None or rule is None:
            return None
        place = Place(found.place.part, found.place.key, section, many=True)
        component = Component(place, found.name, found.node, found.where, found.path)
        done = convert(self.binder.bind_known(component, rule), self.facts, self.log)
        blocks = tuple((built.target, dict(built.args)) for built in done.built if not built.slot)
        return Old(done.outcome, f"A name of Clara Train 3.1. {done.bound.reason}", done.notes, blocks, done.creates)


def facts_of(root: Node, variables: Variables) -> Facts:
    """Return the facts that the rules of 3.1 need: the activation and the channels of the network."""
    facts = Facts()
    for activation in ("softmax", "sigmoid"):
        if _argument(root, variables, "post_transforms", activation) is True:
            facts = facts.update(final_activation=activation)
    channels = _argument(root, variables, "model", "out_channels")
    inputs = _argument(root, variables, "model", "in_channels")
    if isinstance(channels, int):
        facts = facts.update(out_channels=channels)
    return facts.update(in_channels=inputs) if isinstance(inputs, int) else facts


def _argument(root: Node, variables: Variables, section: str, name: str) -> Any:
    train = root.get("train") or root
    found = train.get(section)
    for node in found.elements() if found is not None else ():
        args = node.get("args")
        value = args.get(name) if args is not None else None
        if value is not None:
            return variables.resolve(value)
    return None
