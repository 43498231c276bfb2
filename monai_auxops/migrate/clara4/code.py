"""The Python in an MMAR's strings: five forms are recognized by their syntax tree and rewritten; nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from monai_auxops.migrate.encode import Expr, literal

_REFERENCE: Final = re.compile(r"@(\w+)")
_TAIL: Final = frozenset({"detach", "cpu", "clone", "float"})
_MAX_LENGTH: Final = 2000


class CodeForm(Enum):
    """What a string of code does; the value describes it."""

    NOTHING = "returns nothing"
    FIELDS = "picks fields of a batch"
    PARAMETERS = "names the network's parameters"
    UNKNOWN = "has none of the known forms"


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a lambda picks, and the arguments of an AsDiscrete around it."""

    key: str
    discrete: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CodeText:
    """A string of code, read."""

    text: str
    shape: CodeForm
    fields: tuple[Field, ...] = ()
    first: bool = False

    @property
    def is_lambda(self) -> bool:
        """Tell whether the code is a lambda."""
        return "lambda" in self.text[:10]

    @property
    def keys(self) -> list[str]:
        """The names of the fields."""
        return [item.key for item in self.fields]


def is_code(text: str) -> bool:
    """Tell whether Clara took a string for Python.

    Examples:
        >>> is_code("lambda x: None"), is_code("#@model.parameters()"), is_code("lambda")
        (True, True, False)
    """
    return text.startswith("#") or re.match(r"\s*lambda\b[^:]*:", text) is not None


def read(text: str) -> CodeText:
    """Recognize a string of code.

    Examples:
        >>> read("lambda x: (x['pred'], x['label'])").keys
        ['pred', 'label']
        >>> read("#monai.handlers.from_engine(['loss'], first=True)").first
        True
    """
    if len(text) > _MAX_LENGTH:
        return CodeText(text, CodeForm.UNKNOWN)
    source = _REFERENCE.sub(r"_ref_\1", text.removeprefix("#").strip())
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return CodeText(text, CodeForm.UNKNOWN)
    return _lambda(text, tree) if isinstance(tree, ast.Lambda) else _call(text, tree)


def from_engine(keys: list[str], first: bool = False) -> Expr:
    """Write the call that picks fields of the engine's output.

    Examples:
        >>> from_engine(["loss"], first=True)
        "$monai.handlers.from_engine(['loss'], first=True)"
    """
    names = ", ".join(literal(key) for key in keys)
    return Expr(f"$monai.handlers.from_engine([{names}]{', first=True' * first})")


def lambda_text(text: str) -> str | None:
    """Return a lambda of one argument in Python's own spelling, None if it is none or MONAI would interpret it."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(tree, ast.Lambda) or not _takes_one(tree):
        return None
    found = ast.unparse(tree)
    return None if re.search(r"[@#$]|::|\bimport\b|__", found) else found


def _lambda(text: str, tree: ast.Lambda) -> CodeText:
    if not _takes_one(tree):
        return CodeText(text, CodeForm.UNKNOWN)
    name = tree.args.args[0].arg
    if isinstance(tree.body, ast.Constant) and tree.body.value is None:
        return CodeText(text, CodeForm.NOTHING)
    several = isinstance(tree.body, ast.Tuple)
    parts = tree.body.elts if isinstance(tree.body, ast.Tuple) else [tree.body]
    fields = [_field(part, name) for part in parts]
    known = tuple(item for item in fields if item is not None)
    if not known or len(known) != len(fields):
        return CodeText(text, CodeForm.UNKNOWN)
    return CodeText(text, CodeForm.FIELDS, known, first=not several)


def _takes_one(tree: ast.Lambda) -> bool:
    args = tree.args
    others = (args.posonlyargs, args.kwonlyargs, args.defaults, args.vararg, args.kwarg)
    return len(args.args) == 1 and not any(others)


def _call(text: str, tree: ast.expr) -> CodeText:
    path = _path(tree.func) if isinstance(tree, ast.Call) else ""
    if not isinstance(tree, ast.Call):
        return CodeText(text, CodeForm.UNKNOWN)
    if path == "_ref_model.parameters" and not tree.args and not tree.keywords:
        return CodeText(text, CodeForm.PARAMETERS)
    if path.rpartition(".")[2] != "from_engine":
        return CodeText(text, CodeForm.UNKNOWN)
    given = {keyword.arg: _constant(keyword.value) for keyword in tree.keywords}
    keys = _constant(tree.args[0]) if tree.args else given.pop("keys", None)
    first = _constant(tree.args[1]) if len(tree.args) == 2 else given.pop("first", False)
    keys = [keys] if isinstance(keys, str) else keys
    if given or len(tree.args) > 2 or not isinstance(first, bool) or not _texts_in(keys):
        return CodeText(text, CodeForm.UNKNOWN)
    return CodeText(text, CodeForm.FIELDS, tuple(Field(key) for key in keys), first=first)


def _texts_in(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _field(node: ast.expr, name: str) -> Field | None:
    """Return the field that an expression picks: ``x['a']``, its first item on the CPU, or an AsDiscrete of that."""
    inner = _without_tail(node)
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Call) and len(inner.args) == 1:
        called = inner.func
        args = {keyword.arg: _constant(keyword.value) for keyword in called.keywords if keyword.arg is not None}
        picked = _field(inner.args[0], name)
        plain = not called.args and not inner.keywords and None not in args.values()
        if not _path(called.func).endswith("AsDiscrete") or not plain or picked is None or picked.discrete is not None:
            return None
        return Field(picked.key, args)
    if not isinstance(inner, ast.Subscript) or not isinstance(inner.value, ast.Name) or inner.value.id != name:
        return None
    key = _constant(inner.slice)
    return Field(key) if isinstance(key, str) else None


def _without_tail(node: ast.expr) -> ast.expr:
    """Return an expression without what moves a tensor to the CPU or picks the only item of a batch."""
    while True:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr not in _TAIL or node.args or node.keywords:
                return node
            node = node.func.value
        elif isinstance(node, ast.Subscript) and _is_only_item(node.slice):
            node = node.value
        else:
            return node


def _is_only_item(index: ast.expr) -> bool:
    return isinstance(index, ast.Constant) and (index.value is None or (index.value == 0 and index.value is not False))


def _path(node: ast.expr) -> str:
    """Return a dotted name; ``__import__('monai')`` counts as ``monai``."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_path(node.value)}.{node.attr}"
    if isinstance(node, ast.Call) and _path(node.func) == "__import__" and len(node.args) == 1:
        module = _constant(node.args[0])
        return module if isinstance(module, str) else "?"
    return "?"


def _constant(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
