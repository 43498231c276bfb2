"""The options of ``monai-auxops migrate``: what the command line offers and what the command reads."""

# ruff: noqa: RUF009 (`_option` returns a dataclass field)
from __future__ import annotations

import argparse
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

_FORMATS: Final = ("text", "json", "html")


def _option(default: Any = MISSING, *flags: str, **how: Any) -> Any:
    """Declare an option with its flags and its argparse keywords."""
    return field(default=default, metadata={"flags": flags, "how": how})


def _switch(flag: str, help_text: str, *short: str) -> Any:
    return _option(False, *short, flag, action="store_true", help=help_text)


@dataclass(frozen=True, slots=True)
class MigrateOptions:
    """The options of one run of the command."""

    source: Path = _option(
        MISSING, "source", type=Path, help="an MMAR folder, one configuration file, or a bundle of an older MONAI"
    )
    output: Path | None = _option(
        None, "-o", "--output", type=Path, metavar="DIR", help="write the bundle to this folder (default: report only)"
    )
    env: Path | None = _option(None, "--env", type=Path, metavar="FILE", help="the environment.json to use")
    settings: tuple[str, ...] = _option(
        (), "--set", nargs="+", action="extend", metavar="NAME=VALUE", help="set variables, as in Clara"
    )
    evaluation: Path | None = _option(
        None, "--evaluation", type=Path, metavar="FILE", help="the validation configuration of a single training file"
    )
    only: str = _option("", "--only", choices=("training",), help="leave out validation configurations")
    form: str = _option("text", "--format", choices=_FORMATS, help="the format of the report (default: text)")
    diff: bool = _switch("--diff", "show Clara's file and the bundle side by side")
    strict: bool = _switch("--strict", "exit with 1 if anything is approximate")
    rules: Path | None = _option(
        None, "--rules", type=Path, metavar="FILE", help="a Python file with your own rules (it is executed)"
    )
    force: bool = _switch("--force", "replace the output folder")
    validate: bool = _option(
        True, "--no-validate", action="store_false", help="do not let MONAI validate the bundle before it is written"
    )
    weights: bool = _switch("--weights", "convert TensorFlow weights, proven equal to Clara's graph or refused")
    check: bool = _switch("--check", "run two training iterations and a validation of the migrated bundle")
    trust_code: bool = _switch(
        "--trust-code", "let --check import the MMAR's own code; for Clara Train 4, copy that code into the bundle"
    )
    aux_ops: bool = _switch("--aux-ops", "for Clara Train 4, add Dice values per class")
    verbose: bool = _switch("--verbose", "show every reason and every remark", "-v")
    width: int = 80
    color: bool = False


_REPEATED: Final = ("env", "settings", "evaluation", "only", "rules", "weights", "trust_code", "aux_ops")


def repeated(options: MigrateOptions) -> list[str]:
    """Return the flags with which another command reads the MMAR in the same way.

    Examples:
        >>> repeated(MigrateOptions(Path("mmar"), settings=("epochs=4",), trust_code=True))
        ['--set', 'epochs=4', '--trust-code']
    """
    found: list[str] = []
    for item in _declared():
        value = getattr(options, item.name)
        if item.name not in _REPEATED or not value:
            continue
        found.append(item.metadata["flags"][-1])
        if value is not True:
            found += map(str, value) if isinstance(value, tuple) else [str(value)]
    return found


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options to a command line."""
    for item in _declared():
        flags, how = item.metadata["flags"], dict(item.metadata["how"])
        if flags[0].startswith("-"):
            how["dest"] = item.name
            how["default"] = list(item.default) if item.default == () else item.default
        command.add_argument(*flags, **how)


def from_arguments(arguments: argparse.Namespace, width: int, color: bool) -> MigrateOptions:
    """Return the options of a parsed command line; ``width`` and ``color`` are the terminal's."""
    given = {item.name: getattr(arguments, item.name) for item in _declared()}
    given["settings"] = tuple(given["settings"])
    return MigrateOptions(**given, width=width, color=color)


def _declared() -> list[Any]:
    return [item for item in fields(MigrateOptions) if item.metadata]
