"""Read the scalars in TensorBoard's event files, by run, and report what could not be read."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from monai_auxops.drawing.names import metric_of

OVERHEAD = 16  # bytes of a record besides its data: its length and two checksums


class Point(NamedTuple):
    """One value of a curve."""

    step: int
    value: float
    time: float


class Curve(NamedTuple):
    """A value per step, in order of steps."""

    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64]

    def point(self, at: int) -> Point:
        """Return one point."""
        return Point(int(self.steps[at]), float(self.values[at]), float(self.times[at]))

    @property
    def last(self) -> int:
        """The last step."""
        return int(self.steps[-1])


Series = dict[str, Curve]


@dataclass
class EventFile:
    """The scalars of one file, by metric name, in the order of writing."""

    path: Path
    curves: dict[str, tuple[array[int], array[float], array[float]]] = field(default_factory=dict)
    created: float = 0.0
    problem: str = ""

    def add(self, name: str, step: int, value: float, time: float) -> None:
        """Add a scalar to its curve."""
        curve = self.curves.get(name)
        if curve is None:
            curve = self.curves[name] = (array("q"), array("d"), array("d"))
        curve[0].append(step)
        curve[1].append(value)
        curve[2].append(time)

    @property
    def ended(self) -> float:
        """The time at which the last scalar was written."""
        return max((times[-1] for _, _, times in self.curves.values()), default=self.created)


def read_events(folder: Path, started: float | None = None) -> tuple[Series, list[str], list[str]]:
    """Return the scalars of the latest run in ``folder`` and below it, with messages on damage and omissions.

    The latest value of a step counts, as after a resumed training. The name of a subfolder becomes a prefix.

    Args:
        folder: the folder of the run.
        started: the start time of the latest run, if its facts tell it.
    """
    paths = sorted(path for path in folder.rglob("*tfevents*") if path.is_file())
    files = [read_file(path, *class_and_prefix(path, folder)) for path in paths]
    problems = [file.problem for file in files if file.problem]
    latest, others = latest_run([file for file in files if file.curves], started)
    remarks = [f"{file.path.name}: not shown, because it belongs to another run in this folder." for file in others]
    return merge_curves(latest), problems, remarks


def class_and_prefix(path: Path, folder: Path) -> tuple[str, str]:
    """Return what the folders in between mean: a class of the metric, and a prefix of its name."""
    below = path.parent.relative_to(folder).parts
    if below[-2:-1] == ("classes",):
        return "/".join(below[-2:]), ""
    if not below or below[-1] in ("eval", "logs", "runs") or below[-1].startswith("version_"):
        return "", ""
    return "", f"{below[-1]}/"


def read_file(path: Path, place: str = "", prefix: str = "") -> EventFile:
    """Read the scalars of one file, up to any damage."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    file, used = EventFile(path), 0
    names: dict[str, str] = {}
    try:
        for record in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(record)
            file.created = file.created or event.wall_time
            for tag, value in scalars(event):
                name = names.setdefault(tag, prefix + metric_of(tag, place))
                file.add(name, event.step, value, event.wall_time)
            used += len(record) + OVERHEAD
        lost = path.stat().st_size - used
        if lost:
            file.problem = f"{path.name}: truncated or damaged; its last {lost:,} bytes cannot be read."
    except Exception as error:  # the parser's errors on damaged records have no common type
        kind = type(error).__name__
        file.problem = f"{path.name}: damaged after {used:,} bytes ({kind}); only earlier values are shown."
    return file


def scalars(event: Any) -> Iterator[tuple[str, float]]:
    """Yield name and value of each scalar of an event, in the old and the new format."""
    for value in event.summary.value:
        if value.HasField("simple_value"):
            yield value.tag, value.simple_value
        elif value.HasField("tensor") and value.metadata.plugin_data.plugin_name == "scalars":
            from tensorboard.util.tensor_util import make_ndarray

            yield value.tag, float(make_ndarray(value.tensor))


def latest_run(files: Sequence[EventFile], started: float | None) -> tuple[list[EventFile], list[EventFile]]:
    """Separate the files of the latest run from those of others in the same folder.

    A file that ended before the run started is older. Otherwise a run starts where most curves restart at an earlier
    step. A file with a single step after a longer run is an evaluation, not a run.
    """
    of_run = [file for file in files if started is None or file.ended >= started]
    others = [file for file in files if file not in of_run]
    current: list[EventFile] = []
    for file in sorted(of_run, key=lambda file: file.created):
        if not starts_again(file, current):
            current.append(file)
        elif all(len(set(steps)) == 1 for steps, _, _ in file.curves.values()):
            others.append(file)
        else:
            others += current
            current = [file]
    return current, others


def starts_again(file: EventFile, current: Iterable[EventFile]) -> bool:
    """Tell whether most of the earlier curves restart in a file after their end."""
    again = total = 0
    for name, (steps, _, times) in file.curves.items():
        known = [other.curves[name] for other in current if name in other.curves]
        if known and max(len(earlier) for earlier, _, _ in known) > 1:
            total += 1
            begins = min(steps) <= min(min(earlier) for earlier, _, _ in known)
            again += begins and times[0] >= max(earlier[-1] for _, _, earlier in known)
    return 2 * again > total


def merge_curves(files: Sequence[EventFile]) -> Series:
    """Merge curves; the latest value of a repeated step counts."""
    parts: dict[str, list[Any]] = {}
    for file in files:
        for name, columns in file.curves.items():
            parts.setdefault(name, []).append(columns)
    series = {}
    for name, curves in parts.items():
        steps, values, times = (np.concatenate([np.asarray(c[at]) for c in curves]) for at in range(3))
        order = np.lexsort((times, steps))
        steps, values, times = steps[order], values[order], times[order]
        last = np.append(steps[1:] != steps[:-1], True)
        series[name] = Curve(steps[last], values[last], times[last])
    return series
