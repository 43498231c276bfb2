"""The parts of a row of a migration table. A row is data; only ``convert.py`` acts on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.rules.kinds import ArgumentType, anything
from monai_auxops.migrate.rules.values import REQUIRED, Condition, Value

if TYPE_CHECKING:
    from monai_auxops.migrate.diagnostics import Outcome


class Section(Enum):
    """A section of Clara's configuration; the value is its name in the reports."""

    LOSS = "loss"
    MODEL = "model"
    OPTIMIZER = "optimizer"
    LR_POLICY = "lr_policy"
    TRANSFORM = "transform"
    PIPELINE = "image_pipeline"
    AUX_OP = "aux_op"
    METRIC = "metric"
    INFERER = "inferer"
    LOADER = "model_loader"
    WRITER = "writer"
    HANDLER = "handler"

    @property
    def title(self) -> str:
        """The name in a sentence.

        Examples:
            >>> Section.AUX_OP.title
            'an aux_op'
        """
        article = "an" if self.value[0] in "aeiou" else "a"
        return f"{article} {self.value}"


@dataclass(frozen=True, slots=True)
class Param:
    """One argument of a Clara component."""

    name: str
    default: Any = REQUIRED
    kind: ArgumentType = anything
    also: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One object in the bundle."""

    name: str
    args: Mapping[str, Value]
    slot: str = ""
    when: Condition | None = None


def T(target: str, /, *, slot: str = "", when: Condition | None = None, **args: Value) -> Target:  # noqa: N802 (a table's shorthand)
    """Return a target, written as in the bundle."""
    return Target(target, args, slot, when)


@dataclass(frozen=True, slots=True)
class Each:
    """As many targets as there are items, for example one per label."""

    items: Value
    target: Callable[[Any], Target]

    def example(self) -> Target:
        """Return the target of one item, as an example for the documentation."""
        return self.target((0, "name"))


@dataclass(frozen=True, slots=True)
class Caveat:
    """A remark on some occurrences of a component; it may lower the outcome or carry a diagnostic code.

    The text may be a Value if it names numbers of the occurrence.
    """

    when: Condition
    text: Value
    outcome: Outcome | None = None
    code: str = ""
    about: str = ""

    @property
    def summary(self) -> str:
        """What the caveat says, for the documentation."""
        return self.text if isinstance(self.text, str) else self.about


@dataclass(frozen=True, slots=True)
class Example:
    """A component in a Clara file, and the objects that it becomes in the bundle."""

    clara: Mapping[str, Any]
    bundle: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: a Clara component, what it becomes, how faithfully, and why.

    Attributes:
        name: The component's class in Clara Train 2 to 3.1.
        section: The section of the configuration that it belongs to.
        clara: What it did in Clara.
        source: Where that is documented.
        params: Its arguments.
        targets: The objects of the bundle.
        outcome: How faithfully it arrives.
        why: The reason of the outcome.
        also: Names that it had in TLT 1.x.
        facts: What other rows may read.
        caveats: Remarks on some occurrences.
        in_validation: Arguments that the evaluator's copy needs on top.
        open: Clara's arguments are not all documented.
        creates: The fields that others may read.
        accumulates: An aux-op with a value per epoch; others only leave arrays for metrics.
        example: The component before and after, for the documentation and a test.
    """

    name: str
    section: Section
    clara: str
    outcome: Outcome
    why: str
    source: str = ""
    params: tuple[Param, ...] = ()
    targets: tuple[Target | Each, ...] = ()
    also: tuple[str, ...] = ()
    facts: Mapping[str, Value] = field(default_factory=dict)
    caveats: tuple[Caveat, ...] = ()
    in_validation: Mapping[str, Value] = field(default_factory=dict)
    open: bool = False
    creates: Value = ()
    accumulates: bool = False
    example: Example | None = None
