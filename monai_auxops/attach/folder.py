"""A bundle's folder: its configuration files, and the position of syntax errors in them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from monai_auxops.attach.problem import AttachError, first_line

SUFFIXES: Final = (".json", ".yaml", ".yml")
OURS: Final = "aux_ops"
_NO_WORKFLOW: Final = ("metadata", "logging", "inference", "infer", OURS)


def configs_of(bundle: Path) -> Path:
    """Return the folder of the configuration files, or refuse a folder that is not a bundle."""
    if not bundle.exists():
        raise AttachError(f"{bundle} does not exist")
    if not bundle.is_dir():
        raise AttachError(f"{bundle} is a file; name the bundle's folder, which holds configs/")
    for folder in (bundle / "configs", bundle / "config"):
        if folder.is_dir():
            return folder
    raise AttachError(f"{bundle} is not a MONAI bundle: it has no folder configs/")


def locate_file(name: str, configs: Path, bundle: Path) -> Path:
    """Return the absolute path of a configuration file that the user names."""
    return next((path for path in (configs / name, bundle / name) if path.is_file()), Path(name)).resolve()


def workflow_files(configs: Path) -> list[Path]:
    """Return the files that may train or evaluate, sorted; metadata, inference and our own files are left out."""
    files = [path for path in sorted(configs.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file()]
    return [path for path in files if not path.stem.lower().startswith(_NO_WORKFLOW)]


def load_config(path: Path) -> dict[str, Any]:
    """Return the content of one JSON or YAML file; a malformed file is refused with the line of the error."""
    from monai.bundle import ConfigParser

    try:
        content = ConfigParser.load_config_file(str(path))
    except FileNotFoundError as error:
        raise AttachError(f"{path} is not there") from error
    except (OSError, UnicodeDecodeError) as error:
        raise AttachError(f"{path} cannot be read: {first_line(error)}") from error
    except Exception as error:
        raise AttachError(f"{path} is not {_language(path)}: {_error_position(error)}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise AttachError(f"{path} holds no configuration: expected names and values, got {type(content).__name__}")
    return content


def _language(path: Path) -> str:
    return "JSON" if path.suffix.lower() == ".json" else "YAML"


def _error_position(error: Exception) -> str:
    """Return line, column and problem of what a JSON or a YAML reader raised."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        problem = " ".join(str(getattr(error, "problem", "")).split())
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    return first_line(error)


@contextmanager
def inside_bundle(bundle: Path) -> Iterator[None]:
    """Work in the bundle's folder, as its run does, and import its own ``scripts`` while the block runs."""
    root = str(bundle.resolve())
    others, before = _forget_scripts(), Path.cwd()
    sys.path.insert(0, root)
    os.chdir(root)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(root)
        _forget_scripts()
        sys.modules.update(others)


def _forget_scripts() -> dict[str, Any]:
    """Remove every loaded module ``scripts``, because each bundle has one of that name."""
    names = [name for name in sys.modules if name.split(".")[0] == "scripts"]
    return {name: sys.modules.pop(name) for name in names}
