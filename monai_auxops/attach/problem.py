"""The one error of this package."""

from __future__ import annotations


class AttachError(Exception):
    """The bundle or the aux-ops cannot be used; the message says in one sentence why, and what to do."""


def first_line(error: BaseException) -> str:
    """Return the message of the first cause in one line: MONAI wraps errors in errors.

    Examples:
        >>> first_line(ValueError("a\\n  b"))
        'ValueError: a b'
    """
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
