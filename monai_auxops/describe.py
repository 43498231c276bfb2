"""Text of ``monai-auxops explain`` for classes and arguments of this package that Clara Train did not have."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import monai_auxops


def describe(name: str) -> str | None:
    """Return the documentation of a public name, or of an argument of the public classes; None if there is none.

    Examples:
        >>> print(describe("class_names").splitlines()[0])
        class_names is an argument of:
    """
    if name in monai_auxops.__all__ and name != "__version__":
        return f"{name}\n\n{inspect.getdoc(getattr(monai_auxops, name))}\n"
    found = list(_arguments(name))
    return "\n".join([f"{name} is an argument of:", *found, ""]) if found else None


def _arguments(name: str) -> Iterator[str]:
    """Yield each public class that documents an argument of this name, with its description."""
    entry = re.compile(rf"^(\s+){re.escape(name)}: (.+(?:\n\1\s+.+)*)", re.MULTILINE)
    for owner in monai_auxops.__all__:
        match = entry.search(inspect.getdoc(getattr(monai_auxops, owner)) or "")
        if match is not None:
            yield f"  {owner}: {' '.join(match.group(2).split())}"
