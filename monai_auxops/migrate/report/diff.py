"""Clara | bundle, side by side."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monai_auxops.migrate.report.model import Model


def diff(report: Model, width: int = 80) -> str:
    """Return every component's two forms next to each other."""
    column = (max(60, width) - 3) // 2
    lines: list[str] = []
    for file in report["files"]:
        lines += [f"{file['file']:<{column}} | bundle", "-" * column + "-+-" + "-" * column]
        for entry in file["entries"]:
            lines += _rows(entry, column)
    return "\n".join(lines) + "\n"


def _rows(entry: Model, column: int) -> Iterator[str]:
    left = [entry["path"], *_block(entry["clara"], entry["args"])]
    right = [entry["outcome"]]
    for item in entry["bundle"]:
        right += _block(item["target"], item["args"])
    for before, after in zip_longest(_wrapped(left, column), _wrapped(right, column), fillvalue=""):
        yield f"{before:<{column}} | {after}".rstrip()
    yield f"{'':<{column}} |"


def _block(name: str, args: dict[str, Any]) -> list[str]:
    return [name, *(f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in args.items())]


def _wrapped(lines: list[str], column: int) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, column, subsequent_indent="    ") or [""]]
