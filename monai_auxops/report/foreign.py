"""Runs of other tools: nnU-Net's training logs and summaries, Lightning's metrics.csv."""

from __future__ import annotations

import csv
import datetime
import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from monai_auxops.report.events import Curve, Series
from monai_auxops.report.tables import ENCODING, csv_fields, header_problem, table_number

STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)?:\s*(.*)")
NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|nan|inf)"
LINES = {  # of nnU-Net, version 1 and 2
    "train_loss": re.compile(rf"(?:train_loss|train loss\s*:)\s*{NUMBER}"),
    "val_loss": re.compile(rf"(?:val_loss|validation loss:)\s*{NUMBER}"),
    "learning rate": re.compile(rf"(?:Current learning rate:|lr:)\s*{NUMBER}"),
    "seconds": re.compile(rf"(?:Epoch time:|This epoch took)\s*{NUMBER}"),
}
EPOCH = re.compile(r"[Ee]poch:?\s+(\d+)\s*$")
CLASSES = re.compile(r"(?:Pseudo dice|Average global foreground Dice:)\s*\[(.*)\]")


def read_nnunet(path: Path) -> tuple[Series, dict[str, float]]:
    """Read a ``training_log*.txt``: curves over epochs, counted from 1, and the seconds of each epoch."""
    points: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    epoch, time = 0, 0.0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        stamp = STAMP.match(line)
        text = stamp[2] if stamp else line.strip()
        time = seconds_of(stamp[1]) if stamp else time
        begun = EPOCH.search(text)
        if begun:
            epoch = int(begun[1]) + 1
        for name, pattern in LINES.items():
            found = pattern.search(text)
            if found and epoch:
                points[name][epoch] = (table_number(found[1]), time)
        classes = CLASSES.search(text)
        if classes and epoch:
            values = [float(value) for value in re.findall(NUMBER, re.sub(r"np\.float\d+", "", classes[1]))]
            points["val_dice"][epoch] = (float(np.nanmean(values)), time) if values else (np.nan, time)
            for at, value in enumerate(values, 1):
                points[f"val_dice/class {at}"][epoch] = (value, time)
    durations = {str(epoch): value for epoch, (value, _) in points.pop("seconds", {}).items()}
    return {name: curve_of(steps) for name, steps in points.items()}, durations


def read_nnunet_summary(path: Path) -> list[dict[str, Any]]:
    """Read the rows of ``validation/summary.json``: case, class, Dice, IoU and voxel counts."""
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for case in content["metric_per_case"]:
        file = Path(case.get("prediction_file") or case["reference_file"]).name
        for name, values in case["metrics"].items():
            tp, fp, fn = (int(values[key]) for key in ("TP", "FP", "FN"))
            found = {"tp": tp, "fp": fp, "fn": fn, "iou": values["IoU"], "dice": values["Dice"]}
            rows.append({"case": file, "class": f"class {name}"} | found)
    return rows


def read_lightning(path: Path) -> Series:
    """Read a ``metrics.csv`` of Lightning's CSVLogger: over epochs if rows have them, otherwise over steps."""
    points: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    with path.open(newline="", encoding=ENCODING, errors="replace") as file:
        rows = csv.DictReader(line.replace("\0", "\ufffd") for line in _from_header(file))
        for row in rows:
            step, epoch = table_number(row.get("step") or ""), table_number(row.get("epoch") or "")
            for name, text in row.items():
                if name in ("step", "epoch", None) or not text or not isinstance(text, str):
                    continue
                at = epoch + 1 if not math.isnan(epoch) and not name.endswith("_step") else step
                if not math.isnan(at):
                    points[name][int(at)] = (table_number(text), 0.0)
    return {name: curve_of(steps) for name, steps in points.items()}


def _from_header(lines: Iterator[str]) -> Iterator[str]:
    """Return the lines of a ``metrics.csv``; ``ValueError`` if its header names neither steps nor epochs."""
    header = next(lines, "")
    if header and not {"step", "epoch"} & set(csv_fields(header)):
        raise ValueError(header_problem(header))
    return itertools.chain([header], lines)


def by_lightning_epoch(series: Series) -> Series:
    """Renumber the curves of Lightning's TensorBoard logger by epoch if they have one value per epoch."""
    epochs = series.get("epoch")
    if epochs is None:
        return series
    numbered: Series = {}
    for name, curve in series.items():
        if name == "epoch":
            continue
        at = np.searchsorted(epochs.steps, curve.steps).clip(0, len(epochs.steps) - 1)
        of = epochs.values[at].astype(np.int64) + 1
        once = len(np.unique(of)) == len(of)
        numbered[name] = Curve(of, curve.values, curve.times) if once else curve
    return numbered


def curve_of(points: dict[int, tuple[float, float]]) -> Curve:
    """Sort points by step."""
    steps = sorted(points)
    values, times = ([points[step][at] for step in steps] for at in range(2))
    return Curve(np.array(steps, np.int64), np.array(values, float), np.array(times, float))


def seconds_of(text: str) -> float:
    """Convert a log's time to seconds."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
