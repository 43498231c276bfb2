"""The values in a row of a migration table, and how they are computed for one occurrence."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts


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
