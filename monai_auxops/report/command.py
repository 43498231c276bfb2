"""``monai-auxops report``: read the runs, write the page."""

from __future__ import annotations

import difflib
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monai_auxops.report.run import Run

HINT = 'the report needs further packages: pip install "monai-auxops[report]"'


def report(
    folders: Sequence[Path],
    output: Path | None = None,
    metric: str | None = None,
    worst: int = 8,
    lower: bool = False,
    watch: float | None = None,
) -> int:
    """Write the report of one run, or a comparison of several.

    Args:
        folders: the folders of the runs; a folder that contains several runs adds each of them.
        output: the page; default ``report.html`` in the folder, or for several runs in the working folder.
        metric: the metric that decides on the best epoch; default the run's key metric.
        worst: how many of the worst cases to show with pictures.
        lower: whether less of the metric is better.
        watch: seconds after which to rewrite the page, until the run ends.

    Returns:
        0; 1 if a file is damaged or an evaluation incomplete (the page says which); 2 if a folder does not exist or has
        no run, or the page cannot be written.
    """
    for folder in folders:
        if not folder.is_dir():
            return print_failure(f"no folder {folder}")
    if worst < 0:
        return print_failure(f"--worst: expected at least 0, got {worst}")
    try:
        import tensorboard  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        return print_failure(f"{HINT} ({error})")
    while True:
        runs = read_runs(folders, metric, lower)
        code = write_page(runs, output, folders, metric, worst)
        if watch is None or code == 2 or not any(run.is_running for run in runs):
            return code
        time.sleep(watch)


def read_runs(folders: Sequence[Path], metric: str | None = None, lower: bool = False) -> list[Run]:
    """Read every run in the folders, and give them distinct names."""
    from monai_auxops.report.discover import distinct_names, find_runs
    from monai_auxops.report.reading import read_run

    found = list(dict.fromkeys(run for folder in folders for run in find_runs(folder)))
    runs = [read_run(folder, metric, lower) for folder in found]
    for run, name in zip(runs, distinct_names(found), strict=True):
        run.name = name
    return runs


def write_page(
    runs: Sequence[Run], output: Path | None, folders: Sequence[Path], metric: str | None = None, worst: int = 8
) -> int:
    """Write the page; return the exit code."""
    from monai_auxops.report.page import Page

    for run in runs:
        if not (run.series or run.cases or run.measured or run.evaluation or "started" in run.facts):
            expected = "expected TensorBoard event files, *_cases.csv, run.json, or the logs of nnU-Net or Lightning"
            return print_failure(" ".join([f"nothing in {run.folder}: {expected}", *run.problems, *run.remarks]))
        if metric is not None and run.judge.metric not in run.series:
            return print_failure(f"no curve of {run.folder} is named {metric!r}{suggestion(metric, run.by_epoch())}")
    path = output or (folders[0] if len(folders) == 1 else Path()) / "report.html"
    try:
        save_page(path, Page(runs, worst, path.parent).html())
    except OSError as error:
        return print_failure(f"cannot write {path}: {error.strerror}")
    for run in runs:
        for problem in run.problems:
            print(f"{run.name}: {problem}", file=sys.stderr)
    print(f"Report: {path.resolve()}")
    return 1 if any(run.problems for run in runs) else 0


def save_page(path: Path, text: str) -> None:
    """Write the page in one step: a browser that reloads never sees half of it."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory")
    new.write_text(text, encoding="utf-8", errors="replace")
    new.replace(path)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Suggest a similar name, or list the known ones.

    Examples:
        >>> suggestion("val_dice/grai", ["val_dice/gray", "val_loss"])
        "; did you mean 'val_dice/gray'?"
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def print_failure(problem: str) -> int:
    """Print why there is no page, and return the exit code."""
    print(f"monai-auxops report: {problem}", file=sys.stderr)
    return 2
