"""How an aux-op names itself in errors and warnings, and which names and shapes its outputs may have."""

from __future__ import annotations

import inspect
import warnings
from typing import Any, NoReturn

from torch import Tensor

from monai_auxops.core.context import BuildContext

TAKEN = ("image", "label", "pred", "loss")  # what MONAI's engines keep in state.output


class Named:
    """An object whose messages begin with the call that makes it."""

    _warned: frozenset[str] = frozenset()

    def fail(self, problem: str) -> NoReturn:
        """Raise the ``ValueError`` for a wrong argument: names the aux-op and its tag."""
        raise ValueError(f"{self!r}: expected {problem}")

    def warn_once(self, message: str) -> None:
        """Say ``message`` once in the life of this object."""
        if message not in self._warned:
            self._warned |= {message}
            warnings.warn(f"{self!r}: {message}", stacklevel=2)

    def __repr__(self) -> str:
        """The class, the names it writes, and what differs from its defaults."""
        shown = []
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            value = getattr(self, name, parameter.default)
            differs = value is not parameter.default and value != parameter.default
            if name != "self" and (differs or name.endswith("_name")):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    __str__ = __repr__


def is_per_sample(value: Tensor, batch_size: int) -> bool:
    """Whether ``value`` accumulates: shape ``()``, ``[1]`` or ``[B]``."""
    return value.dim() == 0 or value.shape in ((1,), (batch_size,))


def check_tag(tag: Any, op: Named | None = None) -> str:
    """``tag``, if it can be the name of an output; else a ``ValueError`` that says why, and of which ``op``."""
    who = "" if op is None else f"{op!r}: "
    if not isinstance(tag, str) or not tag:
        raise ValueError(f"{who}expected a tag to be a non-empty string, got {tag!r}")
    if tag in TAKEN or BuildContext.is_reserved(tag):
        taken = ", ".join(TAKEN)
        raise ValueError(f"{who}expected a tag other than {taken} and without leading underscore, got {tag!r}")
    return tag
