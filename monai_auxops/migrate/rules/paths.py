"""Where a migrated bundle writes: never outside a folder that the configuration or the bundle names."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.encode import Expr, literal
from monai_auxops.migrate.rules.base import Caveat
from monai_auxops.migrate.rules.values import A

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts

OUTPUT = Expr("@output_dir")


def leaves(path: str) -> bool:
    """Tell whether a relative path climbs out of its folder.

    Examples:
        >>> leaves("eval/a"), leaves("../x")
        (False, True)
    """
    return ".." in PurePosixPath(path.replace("\\", "/")).parts


def escapes(name: str) -> Caveat:
    """Return the remark on an output path that climbs out of its folder."""
    text = "the path leaves its folder; the bundle writes to its own output folder"
    return Caveat(A(name, lambda path: leaves(path or "")), text, code="CT603")


def output_path(path: str, facts: Facts) -> Any:
    """Return an output path: the bundle's output folder if it is the MMAR's, or below the bundle."""
    if not path or path == facts.output_dir or leaves(path) or "{" in path:
        return OUTPUT
    if PurePosixPath(path).is_absolute():
        return path
    return Expr(f"$@bundle_root + {literal('/' + path.removeprefix('./'))}")
