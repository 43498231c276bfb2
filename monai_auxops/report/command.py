"""``monai-auxops report``: read the runs, write the page."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monai_auxops.report.run import Run

HINT = 'the report needs some packages more: pip install "monai-auxops[report]"'


def report(folders: Sequence[Path], output: Path | None = None, metric: str | None = None, worst: int = 8) -> int:
    """Write the page of one run, or of several compared.

    Args:
        folders: of the runs.
        output: the page; default ``report.html`` in the folder, of several runs in the working folder.
        metric: which metric decides on the best epoch; default the run's key metric.
        worst: how many of the worst cases are shown with pictures.

    Returns:
        0; 2 if a folder is not there or holds no run, or the page cannot be written.
    """
    for folder in folders:
        if not folder.is_dir():
            return failed(f"no folder {folder}")
    try:
        import altair  # noqa: F401
        import tensorboard  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        return failed(f"{HINT} ({error})")
    from monai_auxops.report.page import Page
    from monai_auxops.report.run import read_run

    runs = [read_run(folder, metric) for folder in folders]
    for run in runs:
        if not run.series and run.cases is None and "started" not in run.facts:
            return failed(f"nothing in {run.folder}: expected TensorBoard event files, *_cases.csv or run.json")
        if metric is not None and metric not in run.series:
            return failed(f"no curve of {run.folder} is named {metric!r}{meant(metric, run.by_epoch())}")
    path = output or (folders[0] if len(folders) == 1 else Path()) / "report.html"
    try:
        path.write_text(Page(told_apart(runs), worst).html(), encoding="utf-8")
    except OSError as error:
        return failed(f"cannot write {path}: {error.strerror}")
    for run in runs:
        for problem in run.problems:
            print(f"{run.name}: {problem}", file=sys.stderr)
    print(f"Report: {path.resolve()}")
    return 0


def told_apart(runs: Sequence[Run]) -> Sequence[Run]:
    """Runs whose folders have the same name get the folder above in front."""
    names = [run.name for run in runs]
    for run in runs:
        if names.count(run.name) > 1:
            run.name = "/".join(run.folder.resolve().parts[-2:])
    return runs


def meant(name: str, known: Iterable[str]) -> str:
    """What may have been meant, or what there is.

    >>> meant("val_dice/gray", ["val_dice/grey", "val_loss"])
    "; did you mean 'val_dice/grey'?"
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def failed(problem: str) -> int:
    """Say why there is no page."""
    print(f"monai-auxops report: {problem}", file=sys.stderr)
    return 2
