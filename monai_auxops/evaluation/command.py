"""``monai-auxops evaluate``: measure two folders, and write tables as in a paper."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from monai_auxops.evaluation.classes import Naming, read_naming, targets
from monai_auxops.evaluation.measure import Measured, Settings, rows_of
from monai_auxops.evaluation.output import (
    PAGE,
    check_output,
    console_table,
    prepare_output,
    write_summary,
    write_table,
)
from monai_auxops.evaluation.pairing import find_pairs
from monai_auxops.evaluation.pictures import write_pictures
from monai_auxops.evaluation.run import measure_all
from monai_auxops.evaluation.summary import summarize
from monai_auxops.report.command import HINT

if TYPE_CHECKING:
    from monai_auxops.evaluation.options import EvaluateOptions

COMPLETE, INCOMPLETE, REFUSED = 0, 1, 2
NAMED = 6  # files that an error names


class Evaluation(NamedTuple):
    """The results: a row per case and class, and a sentence for everything that was not measured."""

    rows: list[dict[str, Any]]
    classes: dict[str, dict[str, Any]]
    problems: list[str]
    remarks: list[str]
    results: list[Measured]
    settings: Settings


def evaluate(options: EvaluateOptions) -> int:
    """Measure, write the files, print the table.

    Returns:
        0 if every case was measured; 1 if one was not; 2 if nothing could be done.
    """
    try:
        check_output(options.output)
        result = evaluation(options)
    except (ValueError, OSError) as error:
        print(f"monai-auxops evaluate: {error}", file=sys.stderr)
        return REFUSED
    try:
        paths, said = write_results(result, options)
    except OSError as error:  # a disk that is full
        paths, said = [], [f"monai-auxops evaluate: not all results were written: {error}"]
    for sentence in (*result.problems, *result.remarks, *said):
        print(sentence, file=sys.stderr)
    sys.stdout.write(console_table(result.classes))
    for path in paths:
        print(path.resolve())
    return INCOMPLETE if result.problems or not paths else COMPLETE


def write_results(result: Evaluation, options: EvaluateOptions) -> tuple[list[Path], list[str]]:
    """Write all files; return the paths, and a sentence for each picture that cannot be drawn."""
    summary = summary_content(result, options)
    paths = [write_table(options.output, result.rows), write_summary(options.output, summary)]
    said = write_pictures(options, result.rows, result.results, result.settings)
    return [*paths, *write_page(options.output)], said


def write_page(folder: Path) -> list[Path]:
    """Write the report next to the table if the packages for it are installed."""
    if importlib.util.find_spec("vl_convert") is None:
        print(HINT, file=sys.stderr)
        (folder / PAGE).unlink(missing_ok=True)  # that of an earlier evaluation, with other numbers
        return []
    from monai_auxops.report.command import save_page
    from monai_auxops.report.page import Page
    from monai_auxops.report.reading import read_run

    save_page(folder / PAGE, Page([read_run(folder)], folder=folder).html())
    return [folder / PAGE]


def evaluation(options: EvaluateOptions) -> Evaluation:
    """Measure the cases of two folders.

    Raises:
        ValueError: invalid options, a folder that does not exist or has no image, no two files that belong together.
    """
    for folder in (options.predictions, options.labels, *([options.images] if options.images else [])):
        if not folder.is_dir():
            raise ValueError(f"no folder {folder}")
    if options.predictions.samefile(options.labels):
        raise ValueError(f"{options.predictions} and {options.labels} are the same folder; expected two")
    settings = settings_of(options)
    pairing = find_pairs(options.predictions, options.labels)
    if not pairing.pairs:
        raise ValueError(_no_pair(pairing.problems))
    prepare_output(options.output)
    results = list(progress(measure_all(pairing.pairs, settings, options.workers), len(pairing.pairs)))
    results.sort(key=lambda result: result.pair)
    found = sorted({int(value) for result in results if result.joint is not None for value in result.joint.values})
    measured_targets = targets(settings.naming, [v for v in found if v >= 0], settings.background)
    rows = [row for result in results for row in rows_of(result, measured_targets)]
    failed = [f"{result.pair.case}: {result.reason}" for result in results if result.reason]
    problems = [*pairing.problems, *failed, *unnamed_values(settings.naming, found)]
    if not rows:
        problems.append("no label and no prediction has a class, so there is nothing to measure")
    said = remarks(settings.naming, found, results)
    return Evaluation(rows, summarize(rows), problems, said, results, settings)


def _no_pair(problems: Sequence[str]) -> str:
    shown = [*problems[:NAMED], *([f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else [])]
    return "\n  ".join(["no prediction and label belong together by their names:", *shown])


def settings_of(options: EvaluateOptions) -> Settings:
    """Check the options, some of which are valid only together."""
    if not 0 <= options.tolerance < math.inf:
        raise ValueError(f"--tolerance: expected mm, at least 0, got {options.tolerance}")
    if math.isnan(options.threshold):
        raise ValueError("--threshold: expected a number, got nan")
    if options.workers < 1:
        raise ValueError(f"--workers: expected at least 1, got {options.workers}")
    naming = read_naming(options.classes, options.regions, options.ignored)
    shared = (options.background, options.surface, options.tolerance, options.probabilities)
    return Settings(naming, *shared, options.threshold, options.resample)


def summary_content(result: Evaluation, options: EvaluateOptions) -> dict[str, Any]:
    """Return the content of the summary besides the numbers."""
    cases = {row["case"] for row in result.rows if row["status"] != "failed"}
    regions = [region.name for region in result.settings.naming.regions]
    return {
        "predictions": str(options.predictions),
        "labels": str(options.labels),
        "cases": len(cases),
        "complete": not result.problems,
        "tolerance_mm": options.tolerance if options.surface else None,
        "classes": result.classes,
        "regions": regions,
        "problems": result.problems,
        "remarks": result.remarks,
    }


def unnamed_values(naming: Naming, found: Iterable[int]) -> list[str]:
    """Report values without a name if names were given."""
    if not naming.names:
        return []
    in_regions = {value for region in naming.regions for value in region.values}
    known = {0, *naming.names, *naming.ignored, *in_regions}
    odd = [str(value) for value in found if value >= 0 and value not in known]
    if not odd:
        return []
    return [f"values without a name in --classes: {', '.join(odd)}; measured as label {odd[0]} and so on"]


def remarks(naming: Naming, found: Iterable[int], results: Sequence[Measured]) -> list[str]:
    """Return remarks that a reader should know although nothing went wrong."""
    unseen = [name for value, name in naming.names.items() if value not in set(found) and value != 0]
    said = [f"classes in no label and no prediction: {', '.join(unseen)}"] if unseen else []
    said += _negative_values(naming, results)
    said += [f"{cases}: {doubt}" for doubt, cases in _cases_by_doubt(results).items()]
    spacings = {result.spacing for result in results if result.joint is not None}
    if any(set(spacing) == {1.0} for spacing in spacings):
        said.append(
            "the spacing is exactly 1 (files such as PNG do not store one), so lengths may be in pixels instead of mm"
        )
    return [*said, *_nothing_in_common(results)]


def _negative_values(naming: Naming, results: Sequence[Measured]) -> list[str]:
    """Return what became of negative values, which are no class unless they have a name."""
    tables = [result.joint for result in results if result.joint is not None]
    labeled = {value for result in results for value in result.unannotated if value < 0} - {*naming.ignored}
    predicted = {value for table in tables for value in table.values[table.voxels.any(0)].tolist() if value < 0}
    said = []
    if labeled:
        said.append(f"negative values, which are no class; voxels labeled so are not counted: {_listed(labeled)}")
    if predicted - {*naming.names}:
        said.append(
            f"negative predictions, or scores with NaN; these voxels count as predicted to be no class: "
            f"{_listed(predicted - {*naming.names})}"
        )
    return said


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(values)))


def _cases_by_doubt(results: Sequence[Measured]) -> dict[str, str]:
    """Return which cases each doubt is about: one case, and the number of the others."""
    cases: dict[str, list[str]] = {}
    for result in results:
        if result.doubt:
            cases.setdefault(result.doubt, []).append(result.pair.case)
    return {doubt: names[0] + f" and {len(names) - 1} more" * (len(names) > 1) for doubt, names in cases.items()}


def _nothing_in_common(results: Sequence[Measured]) -> list[str]:
    """Return a remark if labels and predictions have no value in common, such as 1 and 255 for the same class."""
    tables = [result.joint for result in results if result.joint is not None]
    labeled = {value for table in tables for value in table.values[table.voxels.any(1)].tolist()} - {0}
    predicted = {value for table in tables for value in table.values[table.voxels.any(0)].tolist()} - {0}
    if not labeled or not predicted or labeled & predicted:
        return []
    shown = [", ".join(map(str, sorted(values)[:5])) for values in (labeled, predicted)]
    return [f"labels have the values {shown[0]} and predictions {shown[1]}: none in common, so no class can overlap"]


def progress(results: Iterator[Measured], total: int) -> Iterator[Measured]:
    """Show a progress bar on a terminal if tqdm is installed."""
    if not sys.stderr.isatty():
        return results
    try:
        from tqdm import tqdm
    except ImportError:
        return results
    bar: Iterator[Measured] = tqdm(results, total=total, desc="cases", leave=False)
    return bar
