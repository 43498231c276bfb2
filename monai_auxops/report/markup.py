"""Small pieces of HTML. All text from a run is escaped here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    """Return a table of texts; numeric columns are right-aligned."""
    right = set(numeric)
    kinds = ["n" if i in right else "name" for i in range(len(head))]
    top = "".join(f"<th class='{kind}'>{escape(text)}</th>" for text, kind in zip(head, kinds, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td class='{k}'>{escape(text)}</td>" for text, k in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"


def bullets(kind: str, title: str, texts: Sequence[str]) -> str:
    """Return a box with one sentence per line; nothing without sentences."""
    if not texts:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in dict.fromkeys(texts))
    return f"<div class='{kind}'>{escape(title)}<ul>{items}</ul></div>"


def in_script(value: Any) -> str:
    """Return JSON that can neither end a script nor start a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def four_decimals(value: float | None) -> str:
    """Format a number with four decimals, a whole number above 1 without, and None as "–".

    Examples:
        >>> four_decimals(0.12345678), four_decimals(12.0), four_decimals(math.nan), four_decimals(None)
        ('0.1235', '12', '–', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) > 1:
        return f"{value:.0f}"
    return f"{value:.4f}" if abs(value) >= 0.0001 or value == 0 else f"{value:.1e}"


def mean_and_sd(numbers: dict[str, Any]) -> str:
    """Return ``mean ± sd``, or "–" if nothing was measured."""
    if "mean" not in numbers:
        return "–"
    deviation = numbers.get("sd")
    mean = f"{numbers['mean']:.4f}"
    return mean if deviation is None else f"{mean} ± {deviation:.4f}"


def interval_text(bounds: Sequence[float] | None) -> str:
    """Format a bootstrap interval."""
    return "–" if bounds is None else f"{bounds[0]:.4f} to {bounds[1]:.4f}"


def duration_text(seconds: float) -> str:
    """Format a duration for people.

    Examples:
        >>> duration_text(75.0), duration_text(7.25), duration_text(9000.0), duration_text(0)
        ('1 min 15 s', '7.2 s', '2 h 30 min', '')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds > 0 else ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def time_text(text: Any) -> str:
    """Format an ISO 8601 time for people.

    Examples:
        >>> time_text("2026-11-25T22:34:29+00:00")
        '2026-11-25 22:34'
    """
    return str(text)[:16].replace("T", " ")


def short_name(case: str) -> str:
    """Return a case without the folders of its first file; a running number alone is called a case.

    Examples:
        >>> short_name("data/case_1/image.nii.gz"), short_name("a/x.nii,a/y.nii"), short_name("3")
        ('case_1/image.nii.gz', 'a/x.nii', 'case 3')
    """
    if case.isdecimal():
        return f"case {case}"
    parts = Path(case.split(",", 1)[0]).parts
    return "/".join(parts[-2:]) if len(parts) > 1 and parts[-2] != "/" else case
