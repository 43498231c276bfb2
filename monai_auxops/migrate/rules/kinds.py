"""Types of Clara's arguments: each returns the clean value of what configurations hold, or raises ValueError."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

ArgumentType = Callable[[Any], Any]

MOST_CHANNELS = 10_000
"""The bundle's metadata names every channel; no network of Clara's had a thousand."""


def anything(value: Any) -> Any:
    """Accept every value."""
    return value


def flag(value: Any) -> bool:
    """Accept true and false, and 0 and 1.

    Examples:
        >>> flag(True), flag(0)
        (True, False)
    """
    if isinstance(value, bool) or value in (0, 1):
        return bool(value)
    raise ValueError(f"expected true or false, found {_found_text(value)}")


def number(value: Any) -> float | int:
    """Accept a number, and a number written as text.

    Examples:
        >>> number("1e-4")
        0.0001
    """
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, found {_found_text(value)}")
    return value


def integer(value: Any) -> int:
    """Accept a whole number; 1e2 and "100" are whole numbers.

    Examples:
        >>> integer(1e2), integer("4")
        (100, 4)
    """
    found = number(value)
    if (isinstance(found, float) and not math.isfinite(found)) or found != int(found):
        raise ValueError(f"expected a whole number, found {_found_text(value)}")
    return int(found)


def count(value: Any) -> int:
    """Accept a whole number above 0.

    Examples:
        >>> count("20")
        20
    """
    found = integer(value)
    if found < 1:
        raise ValueError(f"expected a number above 0, found {found}")
    return found


def text(value: Any) -> str:
    """Accept text."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {_found_text(value)}")
    return value


def texts(value: Any) -> list[str]:
    """Accept one text or a list of texts.

    Examples:
        >>> texts("image")
        ['image']
    """
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ValueError(f"expected text or a list of texts, found {_found_text(value)}")
    return found


def numbers(value: Any) -> list[float | int]:
    """Accept a list of numbers, a single number, or a comma-separated text.

    Examples:
        >>> numbers("0.5, 1")
        [0.5, 1]
    """
    return [number(item) for item in _listed(value)]


def integers(value: Any) -> list[int]:
    """Accept a list of whole numbers, a single one, or a comma-separated text.

    Examples:
        >>> integers("32,64,64")
        [32, 64, 64]
    """
    return [integer(item) for item in _listed(value)]


def channels(value: Any) -> int:
    """Accept a number of channels.

    Examples:
        >>> channels("105")
        105
    """
    found = integer(value)
    if not 1 <= found <= MOST_CHANNELS:
        raise ValueError(f"expected 1 to {MOST_CHANNELS:,} channels, found {_found_text(value)}")
    return found


def label_format(value: Any) -> list[int]:
    """Accept the numbers of channels of one label each.

    Examples:
        >>> label_format([1, 3])
        [1, 3]
    """
    found = [channels(item) for item in _listed(value)]
    channels(sum(found) or 1)
    return found


def one_of(*choices: str) -> ArgumentType:
    """Accept one of these texts.

    Examples:
        >>> one_of("softmax", "sigmoid")("softmax")
        'softmax'
    """

    def choice(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}, found {_found_text(value)}")
        return str(value)

    return choice


def optional(kind: ArgumentType) -> ArgumentType:
    """Accept null as well.

    Examples:
        >>> optional(integer)(None) is None
        True
    """
    return lambda value: None if value is None else kind(value)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.strip("[]() ").split(",") if part.strip()]
    return value if isinstance(value, list) else [value]


def _from_text(value: str) -> Any:
    for convert in (int, float):
        try:
            return convert(value)
        except ValueError:
            continue
    return value


def _found_text(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
