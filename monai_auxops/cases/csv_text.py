"""Rows of a CSV file, in which no text is executed by a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from monai_auxops.cases.clara import one_line

FORMULA = ("=", "+", "-", "@")


def csv_line(fields: Iterable[Any]) -> bytes:
    """Format one row. Line breaks become spaces; text that a spreadsheet would execute gets a leading apostrophe.

    Examples:
        >>> csv_line([1, "=cmd|x", "a,b", 0.5])
        b'1,\\'=cmd|x,"a,b",0.5\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(
        [csv_text(field) if isinstance(field, str) else field for field in fields]
    )
    return text.getvalue().encode()


def csv_text(text: str) -> str:
    """Return ``text`` on one line, and never as a formula; a number is unchanged."""
    flat = one_line(text)
    return f"'{flat}" if flat.startswith(FORMULA) and not is_number(flat) else flat


def is_number(text: str) -> bool:
    """Tell whether a spreadsheet reads ``text`` as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
