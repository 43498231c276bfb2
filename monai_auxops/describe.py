"""The part of ``monai-auxops explain`` about this package: its public classes and their arguments."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import monai_auxops

_OPTIONS: Final = {"OpOptions": "ops", "DiceOptions": "ops", "Reading": "counting"}
_ACCEPTED_BY: Final = {  # options are described apart from the ops that accept them
    "OpOptions": "every aux-op",
    "DiceOptions": "ComputeDice, DiceMaskedOutput",
    "Reading": "ComputeDice, DiceMaskedOutput",
}


def describe(name: str) -> str | None:
    """Return the documentation of a public name, or of an argument of the public classes; None if there is none.

    Examples:
        >>> print(describe("class_names").splitlines()[0])
        class_names is an argument of:
    """
    text = _docstrings().get(name)
    if text is not None:
        return f"{name}\n\n{text}\n\n"
    found = list(_arguments(name))
    return "\n".join([f"{name} is an argument of:", *found, ""]) if found else None


def names() -> list[str]:
    """Return the names that ``describe`` knows as classes or functions."""
    return sorted(monai_auxops._HOME | _OPTIONS)


@cache
def _docstrings() -> dict[str, str]:
    """Return the docstrings by public name, read from the source: an answer must not wait until torch is loaded."""
    root = Path(monai_auxops.__file__).parent
    texts: dict[str, str] = {}
    for name, place in (monai_auxops._HOME | _OPTIONS).items():
        path = root / place.replace(".", "/")
        files = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        texts[name] = next(filter(None, (_docstring_in(file, name) for file in files)), "")
    return texts


def _docstring_in(file: Path, name: str) -> str:
    source = file.read_text(encoding="utf-8")
    if not re.search(rf"^(class|def) {name}\b", source, re.MULTILINE):
        return ""
    nodes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef | ast.FunctionDef))
    return next(inspect.cleandoc(ast.get_docstring(node) or "") for node in nodes if node.name == name)


def _arguments(name: str) -> Iterator[str]:
    """Yield each public class that documents an argument of this name, with its description."""
    entry = re.compile(rf"^(\s+){re.escape(name)}: (.+(?:\n\1\s+.+)*)", re.MULTILINE)
    described: set[str] = set()
    for owner, text in _docstrings().items():
        match, owners = entry.search(text), _ACCEPTED_BY.get(owner, owner)
        if match is not None and not described.issuperset(owners.split(", ")):
            described.add(owners)
            yield f"  {owners}: {' '.join(match.group(2).split())}"
