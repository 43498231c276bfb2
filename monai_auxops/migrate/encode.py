"""The border between an MMAR's data and a bundle's code: only an Expr may start with ``$``, ``@`` or ``%``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

_EVALUATED: Final = re.compile(r"[$@%]|.*(?:#|[@%]::)", re.DOTALL)
_PLAIN: Final = re.compile(r"[A-Za-z0-9 _./,;()\[\]+=*<>!?|~^&-]")
_RESERVED_KEYS: Final = frozenset({"_target_", "_requires_", "_mode_", "_disabled_", "_desc_", "_path_", "_name_"})


class Expr(str):
    """Text that MONAI's parser should evaluate or follow; only this package writes it, never a configuration."""

    __slots__ = ()


class UnsafeKeyError(ValueError):
    """A key that MONAI's parser would interpret."""


def literal(text: str) -> str:
    r"""Return a Python string literal in which MONAI's parser finds nothing to evaluate.

    References are found inside literals too, and an expression that holds the word "import" is parsed as a statement.

    Examples:
        >>> literal("$(rm) @a#b")
        "'\\x24(rm) \\x40a\\x23b'"
    """
    return "'" + "".join(_escape(char) for char in text).replace("import", r"\x69mport") + "'"


def _escape(char: str) -> str:
    if _PLAIN.match(char):
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_evaluated(text: str) -> bool:
    """Tell whether MONAI's parser would change or evaluate this text.

    Examples:
        >>> is_evaluated("$print(1)"), is_evaluated("dice_tc")
        (True, False)
    """
    return _EVALUATED.match(text) is not None


def check_key(key: str) -> None:
    """Raise UnsafeKeyError for a key that MONAI's parser would interpret."""
    if key in _RESERVED_KEYS or "#" in key or "::" in key or key[:1] in ("+", "$", "@", "%"):
        raise UnsafeKeyError(key)


def encode(value: Any, on_escape: Callable[[str], None] | None = None) -> Any:
    """Return the value as a bundle's JSON holds it; text that MONAI would evaluate becomes a quoted literal."""
    if isinstance(value, Expr) or not isinstance(value, str | dict | list | tuple):
        return str(value) if isinstance(value, Expr) else value
    if isinstance(value, str):
        return _text(value, on_escape)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, Expr):
                check_key(key)
        return {str(key): encode(child, on_escape) for key, child in value.items()}
    return [encode(child, on_escape) for child in value]


def _text(text: str, on_escape: Callable[[str], None] | None) -> str:
    if not is_evaluated(text):
        return text
    if on_escape is not None:
        on_escape(text)
    return f"${literal(text)}"
