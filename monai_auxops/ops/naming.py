"""The name of an aux-op in errors and warnings, and checks of the names of its outputs."""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from monai_auxops.core.context import BuildContext

TAKEN = ("image", "label", "pred", "loss")  # keys of MONAI's engines in state.output


class Named:
    """An object whose messages start with the call that constructs it."""

    keywords: ClassVar[Mapping[str, Any]] = {}  # the options taken as **options, with their defaults
    _warned: frozenset[str] = frozenset()

    def fail(self, problem: str) -> NoReturn:
        """Raise a ``ValueError`` for a wrong argument that names the aux-op and its tag."""
        raise ValueError(f"{self!r}: expected {problem}")

    def warn_once(self, message: str, about: str | None = None) -> None:
        """Warn with ``message`` once per object, or once per topic that it is ``about``."""
        if (about or message) not in self._warned:
            self._warned |= {about or message}
            warnings.warn(f"{self!r}: {message}", stacklevel=2)

    def __repr__(self) -> str:
        """Show the class, the names it writes, and arguments that differ from their defaults."""
        shown = []
        for name, default in self._arguments():
            value = getattr(self, name, default)
            differs = value is not default and value != default
            if differs or name.endswith("_name"):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _arguments(self) -> Iterator[tuple[str, Any]]:
        own, takes_options = _parameters(type(self).__init__)
        yield from own
        if takes_options:
            yield from self.keywords.items()

    __str__ = __repr__


@functools.cache
def _parameters(function: Callable[..., None]) -> tuple[list[tuple[str, Any]], bool]:
    """Return the names and defaults of a method's parameters, and whether it takes ``**options`` as well."""
    parameters = inspect.signature(function).parameters.values()
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    own = [(p.name, p.default) for p in parameters if p.kind in by_name and p.name != "self"]
    return own, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def check_tag(tag: Any, op: Named | None = None) -> str:
    """Return ``tag`` if it can be the name of an output; otherwise raise a ``ValueError`` that names ``op``."""
    who = "" if op is None else f"{op!r}: "
    if not isinstance(tag, str) or not tag:
        raise ValueError(f"{who}expected a tag to be a non-empty string, got {tag!r}")
    if tag in TAKEN or BuildContext.is_reserved(tag):
        taken = ", ".join(TAKEN)
        raise ValueError(f"{who}expected a tag other than {taken} and without leading underscore, got {tag!r}")
    return tag


def tracker_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return class names that every tracker accepts; ``ValueError`` if two become equal.

    In the first epoch MLflow would reject a metric name with other characters than letters, digits, spaces and
    ``_ - . : /``. They are replaced by underscores as soon as the name is given, and a slash, which separates a metric
    from its class, by a hyphen.

    Examples:
        >>> tracker_names(["gray", "white (L)", "GTV/CTV"])
        ('gray', 'white _L_', 'GTV-CTV')
    """
    accepted = tuple(re.sub(r"[^\w\- .:]", "_", str(name).replace("/", "-")) for name in names)
    if len(set(accepted)) < len(accepted):
        raise ValueError(f"expected class_names that differ in letters, digits and spaces, got {list(names)}")
    return accepted
