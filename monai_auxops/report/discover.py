"""Find the folders of runs: the given folder, or each run in it if it contains several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

OWN = ("run.json", "summary.json", "metrics.csv", "hparams.yaml", "*tfevents*", "training_log*.txt", "*_cases.csv")
STRONG = ("run.json", "metrics.csv", "hparams.yaml", "training_log*.txt")
PARTS = ("train", "training", "val", "valid", "validation", "test", "testing", "eval", "classes", "best")


def find_runs(folder: Path) -> list[Path]:
    """Return the folders of the runs in ``folder``: itself, unless it contains several.

    Below a folder without its own files, every folder with a ``run.json``, or a log of another tool, is a run; if there
    is none, every folder with event files is, except parts of one run such as ``train`` and ``val``. A single run there
    is the one that is meant, unless a part of it lies elsewhere.
    """
    if has_match(folder, OWN):
        return [folder]
    folders = sorted(path for path in folder.rglob("*") if path.is_dir())
    below = [path for path in folders if not is_part(path, folder)]
    for patterns in (STRONG, ("summary.json", "*tfevents*", "*_cases.csv")):
        found = topmost([path for path in below if has_match(path, patterns)])
        if found:
            is_whole = topmost([path for path in folders if has_match(path, OWN)]) == found
            return found if len(found) > 1 or is_whole else [folder]
    return [folder]


def is_part(path: Path, folder: Path) -> bool:
    """Tell whether a folder is a part of a run: of its curves, or a class of a metric."""
    parts = path.relative_to(folder).parts
    return parts[-1] in PARTS[:7] or "classes" in parts[:-1] or any(part.startswith(".") for part in parts)


def topmost(paths: Sequence[Path]) -> list[Path]:
    """Drop paths below another one."""
    return [path for path in paths if not any(other in path.parents for other in paths)]


def has_match(folder: Path, patterns: Sequence[str]) -> bool:
    """Tell whether the folder itself contains a file that matches a pattern."""
    return any(path.is_file() for pattern in patterns for path in folder.glob(pattern))


def run_name(folder: Path) -> str:
    """Return the folder's name, with its parent's if the name is generic.

    Examples:
        >>> run_name(Path("my_bundle/eval")), run_name(Path("logs/unet_32"))
        ('my_bundle/eval', 'unet_32')
    """
    *_, above, name = ("", *folder.resolve().parts)
    plain = name in ("eval", "logs", "output", "outputs", "runs") or name.startswith(("fold_", "version_"))
    return f"{above}/{name}" if plain else name


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """Give runs distinct names, with as many parent folders as necessary.

    Examples:
        >>> distinct_names([Path("a/x/eval"), Path("b/x/eval")])
        ['a/x/eval', 'b/x/eval']
    """
    names = [run_name(folder) for folder in folders]
    parts = [folder.resolve().parts for folder in folders]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        if len(set(names)) == len(names):
            break
        equal = [names.count(name) > 1 for name in names]
        names = ["/".join(p[-depth:]) if e else n for n, p, e in zip(names, parts, equal, strict=True)]
    return names


def nearest_file(folder: Path, name: str) -> Path | None:
    """Return the file called ``name`` in ``folder`` or below it; of several the one with the fewest folders above it.

    A further evaluator writes to a folder below that of the first one.
    """
    found = [path for path in folder.rglob(name) if path.is_file()]
    return min(found, key=lambda path: (len(path.parts), path), default=None)
