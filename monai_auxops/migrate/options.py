"""The options of `monai-auxops migrate`, in one place: what the command line offers and what the command reads."""

# ruff: noqa: RUF009 (`_option` returns a dataclass field)
from __future__ import annotations

import argparse
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

_FORMATS: Final = ("text", "json", "html")


def _option(default: Any = MISSING, *flags: str, **how: Any) -> Any:
    """Declare an option with its flags and what argparse knows of it."""
    return field(default=default, metadata={"flags": flags, "how": how})


def _switch(flag: str, help_text: str, *short: str) -> Any:
    return _option(False, *short, flag, action="store_true", help=help_text)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    source: Path = _option(
        MISSING, "source", type=Path, help="an MMAR folder, or one config_train.json or config_validation.json"
    )
    output: Path | None = _option(
        None, "-o", "--output", type=Path, metavar="DIR", help="write the bundle here (without it: report only)"
    )
    env: Path | None = _option(None, "--env", type=Path, metavar="FILE", help="environment.json to use")
    settings: tuple[str, ...] = _option(
        (), "--set", nargs="+", action="extend", metavar="NAME=VALUE", help="variables, as in Clara"
    )
    evaluation: Path | None = _option(
        None, "--evaluation", type=Path, metavar="FILE", help="the validation configuration of a single training file"
    )
    only: str = _option("", "--only", choices=("training",), help="leave validation configurations out")
    form: str = _option("text", "--format", choices=_FORMATS, help="of the report (default: text)")
    diff: bool = _switch("--diff", "show Clara and bundle side by side")
    strict: bool = _switch("--strict", "exit 1 if anything is approximate")
    rules: Path | None = _option(
        None, "--rules", type=Path, metavar="FILE", help="your own rows (this Python file is executed)"
    )
    force: bool = _switch("--force", "replace the output folder")
    validate: bool = _option(
        True, "--no-validate", action="store_false", help="do not let MONAI check the bundle before it is written"
    )
    weights: bool = _switch("--weights", "bring TensorFlow weights along, proven equal to Clara's graph or refused")
    check: bool = _switch("--check", "run two iterations and a validation of the migrated bundle")
    trust_code: bool = _switch(
        "--trust-code", "with --check: import the bundle's own scripts; of Clara Train 4: copy them into the bundle"
    )
    aux_ops: bool = _switch("--aux-ops", "for Clara Train 4: add Dice per class under names of its own")
    verbose: bool = _switch("--verbose", "every reason and every remark", "-v")
    width: int = 80
    color: bool = False


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options to a command line."""
    for item in _declared():
        flags, how = item.metadata["flags"], dict(item.metadata["how"])
        if flags[0].startswith("-"):
            how["dest"] = item.name
            how["default"] = list(item.default) if item.default == () else item.default
        command.add_argument(*flags, **how)


def from_arguments(arguments: argparse.Namespace, width: int, color: bool) -> Options:
    """Return the options of a parsed command line; `width` and `color` are the terminal's."""
    given = {item.name: getattr(arguments, item.name) for item in _declared()}
    given["settings"] = tuple(given["settings"])
    return Options(**given, width=width, color=color)


def _declared() -> list[Any]:
    return [item for item in fields(Options) if item.metadata]
