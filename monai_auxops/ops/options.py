"""The keyword-only options of every aux-op, in one place."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

OutputTransform = Callable[[Any], Any]


class OpOptions(TypedDict, total=False):
    """Keyword arguments of every aux-op besides its own.

    Args:
        stage: ``"raw"`` (default) reads the network's output, ``"post"`` prediction and label after post-processing.
        output_transform: where predictions and label are in the engine's output: a callable as in ``attach``, or a key
            or index into the network's output such as ``"out"`` or ``-1``.
        report_path: folder for a table of the value of each case.
        case_key: key of the batch that holds the names of the cases.
    """

    stage: str
    output_transform: OutputTransform | str | int | None
    report_path: str | Path | None
    case_key: str | None


OP_OPTIONS: Mapping[str, Any] = {"stage": "raw", "output_transform": None, "report_path": None, "case_key": None}


def refuse_unknown(op: object, given: Iterable[str], known: Mapping[str, Any]) -> None:
    """Raise a ``TypeError`` for the first option of ``op`` that is not ``known``, with a suggestion."""
    for name in given:
        if name not in known:
            positional = [key for key in inspect.signature(type(op).__init__).parameters if key != "self"]
            close = difflib.get_close_matches(name, [*known, *positional], 1)
            meant = f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(known)}"
            raise TypeError(f"{op!r}: unknown option {name!r}{meant}")
