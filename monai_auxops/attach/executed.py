"""The configuration that runs: the files and overrides of the ``monai.bundle run`` command line, merged."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any, Final

_NO_OVERRIDE: Final = frozenset({"run_id", "init_id", "final_id", "meta_file", "logging_file", "tracking", "args_file"})


def executed_config(files: Sequence[str], arguments: Sequence[str] | None = None) -> Any:
    """Return the configuration of this process's run, which a report page shows.

    Args:
        files: the files to merge if the command line names none.
        arguments: of the command line; default this process'.

    Returns:
        The merged files with the overrides of the command line; ``{"files": …}`` if they cannot be read from here.
    """
    from monai.bundle import ConfigParser

    given = options_of(sys.argv[1:] if arguments is None else arguments)
    named = given.pop("config_file", list(files))
    try:
        parser = ConfigParser(ConfigParser.load_config_files(named))
        for name, value in given.items():
            parser.set(value, name)
        return dict(parser.get())
    except Exception as error:  # a report page must not end a training
        return {"files": named, "overrides": given, "not read": str(error)}


def options_of(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the files and overrides among the arguments of ``monai.bundle run``.

    Examples:
        >>> options_of(["run", "--config_file", "['a.json','b.json']", "--epochs=2", "--run_id", "training"])
        {'config_file': ['a.json', 'b.json'], 'epochs': 2}
    """
    found: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        if word.startswith("--"):
            name, equals, text = word[2:].partition("=")
            value = text if equals else next(words, "")
            if name not in _NO_OVERRIDE:
                found[name] = _literal(value)
    return found


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
