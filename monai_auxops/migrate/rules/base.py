"""What a row of a migration table is made of. A row is data; `convert.py` is the only reader that acts on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.facts import Facts
from monai_auxops.migrate.rules.kinds import Kind, anything


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


class _Sentinel(Enum):
    REQUIRED = "required"
    OMIT = "omit"


REQUIRED: Final = _Sentinel.REQUIRED
"""The default of an argument that Clara insists on."""
OMIT: Final = _Sentinel.OMIT
"""A value that leaves the target's argument out; as a default: Clara's own default is not documented."""


@dataclass(frozen=True, slots=True)
class Call:
    """One occurrence of a component as a row sees it: its arguments with defaults, which were given, and the facts."""

    args: Mapping[str, Any]
    given: frozenset[str]
    facts: Facts

    def __getitem__(self, name: str) -> Any:
        return self.args[name]


@dataclass(frozen=True, slots=True)
class Param:
    """One argument of a Clara component."""

    name: str
    default: Any = REQUIRED
    kind: Kind = anything
    also: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class A:
    """The value of Clara's argument `name`, through `via`; left out where Clara's default is not documented."""

    name: str
    via: Callable[[Any], Any] | None = None

    def __call__(self, call: Call) -> Any:
        """Return the value for one occurrence."""
        value = call[self.name]
        return value if value is OMIT or self.via is None else self.via(value)


@dataclass(frozen=True, slots=True)
class F:
    """A value computed from the occurrence; `uses` names the arguments that it reads."""

    via: Callable[[Call], Any]
    uses: tuple[str, ...] = ()

    def __call__(self, call: Call) -> Any:
        """Return the value for one occurrence."""
        return self.via(call)


Value = Any
"""A constant, an Expr, an A or an F; or a list or dict of these."""


@dataclass(frozen=True, slots=True)
class Target:
    """One object in the bundle."""

    name: str
    args: Mapping[str, Value]
    slot: str = ""
    when: Callable[[Call], bool] | None = None


def T(target: str, /, *, slot: str = "", when: Callable[[Call], bool] | None = None, **args: Value) -> Target:  # noqa: N802 (a table's shorthand)
    """Write a target as it reads in the bundle."""
    return Target(target, args, slot, when)


@dataclass(frozen=True, slots=True)
class Each:
    """As many targets as there are items, for example one per label."""

    items: Value
    target: Callable[[Any], Target]

    def example(self) -> Target:
        """Return the target of one item, to read the row by."""
        return self.target((0, "name"))


@dataclass(frozen=True, slots=True)
class Caveat:
    """What is to be said of some occurrences of a component; may lower the outcome or carry a diagnostic code."""

    when: Callable[[Call], bool]
    text: str
    outcome: Outcome | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: a Clara component, what it becomes, how faithfully, and why.

    `did` says what it did in Clara; `also` names it had in TLT 1.x; `open` is set where Clara's arguments are not all
    documented; `in_validation` holds arguments that the evaluator's copy needs on top; `creates` names the fields that
    others may read; `accumulates` tells an aux-op with a value per epoch from one that only leaves arrays for metrics.
    """

    name: str
    section: Section
    params: tuple[Param, ...]
    targets: tuple[Target | Each, ...]
    outcome: Outcome
    reason: str
    did: str
    also: tuple[str, ...] = ()
    facts: Mapping[str, Value] = field(default_factory=dict)
    caveats: tuple[Caveat, ...] = ()
    in_validation: Mapping[str, Value] = field(default_factory=dict)
    open: bool = False
    creates: Value = ()
    accumulates: bool = False


def evaluate(value: Value, call: Call) -> Any:
    """Return a value of a row for one occurrence."""
    if isinstance(value, A | F):
        return value(call)
    if isinstance(value, Mapping):
        pairs = ((key, evaluate(child, call)) for key, child in value.items())
        return {key: child for key, child in pairs if child is not OMIT}
    if isinstance(value, list | tuple):
        return [evaluate(child, call) for child in value]
    return value


def reads(value: Value) -> set[str]:
    """Return the names of Clara's arguments that a value of a row reads."""
    if isinstance(value, A):
        return {value.name}
    if isinstance(value, F):
        return set(value.uses)
    if isinstance(value, Mapping):
        return set().union(*map(reads, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(reads, value))
    return set()
