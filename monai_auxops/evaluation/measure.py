"""Measure one case: read both files, compare their grids, count, and report errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from monai_auxops.counting.counts import Counts
from monai_auxops.counting.overlap import overlap, precision, recall
from monai_auxops.evaluation import volumes
from monai_auxops.evaluation.classes import Naming, Target, targets
from monai_auxops.evaluation.formats import Array, Volume, read_volume
from monai_auxops.evaluation.joint import JointTable, count_joint
from monai_auxops.evaluation.surfaces import surface_distances

if TYPE_CHECKING:
    from monai_auxops.evaluation.pairing import CasePair

MAX_COSINE: Final = 1e-3
"""By how much rounding in a header may bend the right angle between two axes."""


class Settings(NamedTuple):
    """The settings of a measurement."""

    naming: Naming
    background: bool = False
    surface: bool = False
    tolerance: float = 1.0  # mm
    probabilities: bool = False
    threshold: float = 0.5
    resample: bool = False


@dataclass
class Measured:
    """The result of one case: a table of voxels and distances by target, or the reason why there is none."""

    pair: CasePair
    joint: JointTable | None = None
    voxel: float = math.nan  # mm³ of a voxel, mm² in two dimensions
    spacing: tuple[float, ...] = ()
    distances: dict[str, dict[str, float]] = field(default_factory=dict)
    reason: str = ""
    unannotated: tuple[int, ...] = ()
    doubt: str = ""


class ReadPair(NamedTuple):
    """Both files of a case on the label's grid, and a doubt about the predicted classes."""

    label: Volume
    truth: Array
    predicted: Array
    doubt: str = ""


def measure(pair: CasePair, settings: Settings) -> Measured:
    """Measure a case; any error becomes the reason in its row."""
    try:
        return _measure(pair, settings)
    except Exception as error:  # the readers' errors have no common type
        return Measured(pair, reason=_error_sentence(error))


def rows_of(measured: Measured, measured_targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Return a row of the table for each class and region, or a single one with the reason.

    ``status`` distinguishes what a mean hides: ``measured``; ``missed``, labeled but no voxel was found;
    ``hallucinated``, predicted but not labeled (no Dice); ``absent``, neither.
    """
    pair = measured.pair
    files = {"prediction": str(pair.prediction), "label": str(pair.label), "reason": measured.reason}
    if measured.joint is None:
        return [{"case": pair.case, "class": "", "status": "failed"} | files]
    columns = overlap_columns(measured.joint.counts([target.values for target in measured_targets]), measured.voxel)
    rows = []
    for at, target in enumerate(measured_targets):
        numbers = {name: column[at] for name, column in columns.items()} | measured.distances.get(target.name, {})
        rows.append({"case": pair.case, "class": target.name, "status": status_of(numbers)} | numbers | files)
    return rows


def overlap_columns(exact: Counts, voxel: float) -> dict[str, list[Any]]:
    """Return what follows from the counts ``[1, C]`` of a case, a list over classes by name."""
    counts = Counts(*(part.double() for part in exact))
    values = {
        "dice": overlap(counts),
        "iou": overlap(counts, jaccard=True),
        "precision": precision(counts),
        "recall": recall(counts),
        "tp": exact.tp,
        "fp": exact.fp,
        "fn": exact.fn,
        "label_ml": (counts.tp + counts.fn) * voxel / 1000,
        "prediction_ml": (counts.tp + counts.fp) * voxel / 1000,
    }
    return {name: value[0].tolist() for name, value in values.items()}


def status_of(counts: dict[str, Any]) -> str:
    """Return which of the four outcomes a class has in a case.

    Examples:
        >>> status_of({"tp": 0, "fp": 3, "fn": 0}), status_of({"tp": 0, "fp": 3, "fn": 2})
        ('hallucinated', 'missed')
    """
    if counts["tp"]:
        return "measured"
    if counts["fn"]:
        return "missed"
    return "hallucinated" if counts["fp"] else "absent"


def read_pair(pair: CasePair, settings: Settings) -> ReadPair:
    """Read both files of a case.

    Raises:
        ValueError: different grids, or values that are not classes.
    """
    prediction, label = read_volume(pair.prediction), read_volume(pair.label)
    truth = volumes.label_map(label)
    moved = _on_grid_of(label, prediction, settings)
    if not settings.probabilities:
        return ReadPair(label, truth, volumes.label_map(moved))
    predicted = volumes.decide_classes(moved, settings.threshold)
    highest = int(truth.max(initial=0, where=~np.isin(truth, settings.naming.ignored)))
    return ReadPair(label, truth, predicted, volumes.doubt_about_scores(prediction, highest))


def _on_grid_of(label: Volume, prediction: Volume, settings: Settings) -> Volume:
    """Return a prediction on the grid of its label, if need be and if asked for by resampling."""
    different = volumes.grid_difference(prediction, label)
    if different is None:
        return prediction
    if not settings.resample:
        raise ValueError(
            f"{prediction.path} and {label.path} have different grids: {different}; "
            "pass --resample to resample the prediction to the label's grid"
        )
    return volumes.resample(prediction, label, "bilinear" if settings.probabilities else "nearest")


def _measure(pair: CasePair, settings: Settings) -> Measured:
    label, truth, predicted, doubt = read_pair(pair, settings)
    unannotated = settings.naming.unannotated(truth)
    joint = count_joint(truth, predicted, unannotated)
    result = Measured(pair, joint, label.voxel, label.spacing, unannotated=unannotated, doubt=doubt)
    if settings.surface:
        _refuse_sheared(label)
        result.distances = _distances(truth, predicted, result, settings)
    return result


def _refuse_sheared(label: Volume) -> None:
    """Refuse a grid whose axes are not perpendicular, because distances are measured along its axes."""
    edges = label.affine[:, :-1] / label.spacing
    if np.abs(edges.T @ edges - np.eye(label.dimensions)).max() > MAX_COSINE:
        raise ValueError(
            f"{label.path}: the axes are not perpendicular, so --surface cannot measure distances; "
            "resample label and prediction to perpendicular axes"
        )


def _distances(truth: Any, predicted: Any, measured: Measured, settings: Settings) -> dict[str, dict[str, float]]:
    """Measure the surfaces of every class and region that occurs in both files."""
    assert measured.joint is not None
    annotated = ~np.isin(truth, measured.unannotated)
    found = {}
    for target in targets(settings.naming, measured.joint.values.tolist(), settings.background):
        masks = [np.isin(values, target.values) & annotated for values in (predicted, truth)]
        found[target.name] = surface_distances(masks[0], masks[1], measured.spacing, settings.tolerance)
    return found


def _error_sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
