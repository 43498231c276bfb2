"""Pictures of the worst, the median and the best case: labels, predictions and errors of one slice."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import nibabel
import numpy as np

from monai_auxops.drawing.errors import paint_case
from monai_auxops.evaluation.formats import Affine, Array, Volume, read_volume
from monai_auxops.evaluation.measure import Measured, Settings, read_pair
from monai_auxops.evaluation.output import PICTURES
from monai_auxops.evaluation.pairing import find_pairs
from monai_auxops.evaluation.volumes import grid_difference
from monai_auxops.report.thumbnails import most_wrong_slice, png_of

if TYPE_CHECKING:
    from monai_auxops.evaluation.options import EvaluateOptions

INDEX = "best.json"
MAX_SIDE = 320  # pixels
PANELS = ("image", "label", "prediction", "errors")


class ChosenCase(NamedTuple):
    """A case to draw."""

    place: str
    case: str
    value: float


def choose_cases(rows: Sequence[Mapping[str, Any]]) -> list[ChosenCase]:
    """Choose the worst, the best and the median case by the mean Dice of its classes, each case once.

    Args:
        rows: a row per case and class, without regions, because their voxels are those of their classes.

    Examples:
        >>> rows = [{"case": case, "dice": value} for case, value in (("a", 0.9), ("b", 0.1), ("c", 0.5), ("d", 0.6))]
        >>> [(chosen.place, chosen.case) for chosen in choose_cases(rows)]
        [('worst', 'b'), ('median', 'd'), ('best', 'a')]
    """
    values: dict[str, list[float]] = {}
    for row in rows:
        dice = row.get("dice")
        if dice is not None and math.isfinite(dice):
            values.setdefault(row["case"], []).append(dice)
    means = sorted((sum(dice) / len(dice), case) for case, dice in values.items())
    places = {len(means) // 2: "median", len(means) - 1: "best", 0: "worst"}  # the last one of equal keys counts
    names = places if len(means) > 1 else {0: "only case"}
    return [ChosenCase(names[at], case, value) for at, (value, case) in enumerate(means) if at in names]


def write_pictures(
    options: EvaluateOptions, rows: Sequence[Mapping[str, Any]], results: Sequence[Measured], settings: Settings
) -> list[str]:
    """Draw the chosen cases into ``pictures`` in the output; return a sentence for each that cannot be drawn."""
    by_case = {result.pair.case: result for result in results}
    folder, images = options.output, options.images
    regions = {region.name for region in settings.naming.regions}
    cases = choose_cases([row for row in rows if row["class"] not in regions])
    where, problems = image_of_each([by_case[chosen.case] for chosen in cases], images, options.labels)
    drawn = []
    (folder / PICTURES).mkdir(exist_ok=True)
    for old in (folder / PICTURES).glob("[0-9].png"):  # of an earlier evaluation
        old.unlink()
    for number, chosen in enumerate(cases, 1):
        try:
            pixels, at, slices = draw_case(by_case[chosen.case], settings, where.get(chosen.case))
            content = png_of(pixels)
        except Exception as error:  # the readers may raise anything; a missing picture is not a failure
            problems.append(f"{chosen.case}: no picture ({error})")
            continue
        (folder / PICTURES / f"{number}.png").write_bytes(content)
        value = {"place": chosen.place, "file": chosen.case, "value": chosen.value}
        drawn.append({**value, "slice": at, "slices": slices, "name": str(number)})
    panels = PANELS if images is not None else PANELS[1:]
    index = {"metric": "mean dice", "cases": drawn, "panels": panels, "matrix": None, "classes": None}
    (folder / PICTURES / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")
    return problems


def image_of_each(measured: Sequence[Measured], images: Path | None, labels: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the image of each case, found by the name of its label, and a sentence for each case without one."""
    if images is None:
        return {}, []
    cases = {result.pair.label: result.pair.case for result in measured}
    try:
        pairs = find_pairs(images, labels).pairs
    except (ValueError, OSError) as error:
        return {}, [f"--images: {error}"]
    found = {cases[pair.label]: pair.prediction for pair in pairs if pair.label in cases}
    return found, [f"{case}: no image in {images}" for case in cases.values() if case not in found]


def draw_case(measured: Measured, settings: Settings, image: Path | None) -> tuple[Array, int | None, int | None]:
    """Return the picture of a case ``[H, W, 3]``, the number of its slice from 1, and how many there are."""
    label, truth, predicted, _ = read_pair(measured.pair, settings)
    background = np.zeros_like(truth, dtype=np.float32)
    if image is not None:
        picture = read_volume(image)
        different = grid_difference(picture, Volume(truth, label.affine, label.path))
        if different is not None:
            raise ValueError(f"its image {image} has another grid: {different}")
        background = picture.values.astype(np.float32)
    left_out = np.isin(truth, measured.unannotated)
    shown = [
        reorient(x, label.affine)
        for x in (background, np.where(left_out, -1, truth), np.where(left_out, -1, predicted))
    ]
    at = slices = None
    if truth.ndim == 3:
        slices = shown[1].shape[2]
        cut = most_wrong_slice(shown[1], shown[2])
        shown, at = [x[:, :, cut] for x in shown], cut + 1
    stride = math.ceil(max(shown[0].shape) / MAX_SIDE)
    three = np.stack([x[::stride, ::stride].astype(np.float32) for x in shown])
    pixels: Array = paint_case(three)
    width = three.shape[1]
    return (pixels if image is not None else pixels[:, width:]), at, slices


def reorient(values: Array, affine: Affine) -> Array:
    """Reorient a volume so that its axes point to the right, the front and the head."""
    if values.ndim != 3:
        return values
    turned: Array = nibabel.apply_orientation(values, nibabel.io_orientation(np.vstack([affine, [0, 0, 0, 1]])))
    return turned
