"""The parts of a row of a migration table. A row is data; only ``convert.py`` acts on it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.rules.kinds import ArgumentType, anything

if TYPE_CHECKING:
    from monai_auxops.migrate.diagnostics import Outcome
    from monai_auxops.migrate.rules.facts import Facts


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
"""The default of an argument that Clara requires."""
OMIT: Final = _Sentinel.OMIT
"""A value that leaves the target's argument out; as a default: Clara's own default is not documented."""


@dataclass(frozen=True, slots=True)
class Call:
    """One occurrence of a component for a row: its arguments with defaults, the names of those given, and the facts."""

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
    kind: ArgumentType = anything
    also: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class A:
    """The value of Clara's argument ``name``, through ``via``; left out if Clara's default is not documented."""

    name: str
    via: Callable[[Any], Any] | None = None

    def __call__(self, call: Call) -> Any:
        """Return the value for one occurrence."""
        value = call[self.name]
        return value if value is OMIT or self.via is None else self.via(value)


@dataclass(frozen=True, slots=True)
class Given:
    """The value of Clara's argument ``name`` if the configuration gives it; otherwise the class's default counts."""

    name: str

    def __call__(self, call: Call) -> Any:
        """Return the value for one occurrence."""
        return call[self.name] if self.name in call.given else OMIT


def given(*names: str) -> dict[str, Any]:
    """Pass on what the configuration says under the same names, and leave defaults to the class."""
    return {name: Given(name) for name in names}


_OF_THE_CALL: Final = ("facts", "given")


@dataclass(frozen=True, slots=True)
class F:
    """A value computed from the occurrence: the function's parameters are named as the Clara arguments that it reads.

    A parameter ``facts`` receives the facts; a parameter ``given``, the names of the arguments that are given.
    """

    via: Callable[..., Any]

    def __call__(self, call: Call) -> Any:
        """Return the value for one occurrence."""
        return self.via(**{name: self._argument(name, call) for name in _parameters(self.via)})

    @property
    def uses(self) -> frozenset[str]:
        """The Clara arguments that the function reads."""
        return frozenset(_parameters(self.via)).difference(_OF_THE_CALL)

    @staticmethod
    def _argument(name: str, call: Call) -> Any:
        return getattr(call, name) if name in _OF_THE_CALL else call[name]


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


Value = Any
"""A constant, an Expr, an A, a Given or an F; or a list or dict of these."""
Condition = A | F | Callable[..., Any]
"""A value that is read as true or false; a plain function counts as an F."""


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


def evaluate(value: Value, call: Call) -> Any:
    """Return a value of a row for one occurrence."""
    if isinstance(value, A | F | Given):
        return value(call)
    if isinstance(value, Mapping):
        pairs = ((key, evaluate(child, call)) for key, child in value.items())
        return {key: child for key, child in pairs if child is not OMIT}
    if isinstance(value, list | tuple):
        return [evaluate(child, call) for child in value]
    return value


def applies(condition: Condition | None, call: Call) -> bool:
    """Tell whether a condition of a row applies to one occurrence; no condition always does."""
    return condition is None or bool(evaluate(_value(condition), call))


def arguments_read(value: Value) -> frozenset[str]:
    """Return the names of Clara's arguments that a value of a row reads."""
    if isinstance(value, A | Given):
        return frozenset({value.name})
    if isinstance(value, F):
        return value.uses
    if isinstance(value, Mapping):
        return frozenset().union(*map(arguments_read, value.values()))
    if isinstance(value, list | tuple):
        return frozenset().union(*map(arguments_read, value))
    return frozenset()


def reads_condition(condition: Condition | None) -> frozenset[str]:
    """Return the names of Clara's arguments that a condition of a row reads."""
    return frozenset() if condition is None else arguments_read(_value(condition))


def _value(condition: Condition) -> A | F:
    return condition if isinstance(condition, A | F) else F(condition)
