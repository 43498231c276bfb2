"""TensorBoard's event files: the scalars in them, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from monai_auxops.drawing.names import metric_of

OVERHEAD = 16  # bytes a record takes beside its data: its length and two checksums


class Point(NamedTuple):
    """One value of a curve."""

    step: int
    value: float
    time: float


Series = dict[str, list[Point]]


def read_events(folder: Path) -> tuple[Series, list[str]]:
    """All scalars of the event files in ``folder`` and below it, and a sentence for each file with something missing.

    The latest value of a step counts, as after a resumed training. Names from a folder below get its name in front.
    """
    points: dict[str, dict[int, Point]] = {}
    problems: list[str] = []
    for path in sorted(folder.rglob("*tfevents*")):
        below = path.parent.relative_to(folder).parts
        if below[-2:-1] == ("classes",):  # a class of the run in the folder above
            problems += read_file(path, "/".join(below[-2:]), "", points)
            continue
        prefix = f"{below[-1]}/" if below and below[-1] != "eval" else ""
        problems += read_file(path, "", prefix, points)
    return {name: [steps[step] for step in sorted(steps)] for name, steps in points.items()}, problems


def read_file(path: Path, place: str, prefix: str, points: dict[str, dict[int, Point]]) -> list[str]:
    """Add the scalars of one file to ``points``, by metric name; say what is missing."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    used = 0
    try:
        for record in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(record)
            for tag, value in scalars(event):
                curve = points.setdefault(prefix + metric_of(tag, place), {})
                earlier = curve.get(event.step)
                if earlier is None or earlier.time <= event.wall_time:
                    curve[event.step] = Point(event.step, value, event.wall_time)
            used += len(record) + OVERHEAD
    except Exception as error:  # of the parser of a damaged record: of no common type
        return [f"{path.name}: damaged after {used:,} bytes ({type(error).__name__}); shown is what came before."]
    lost = path.stat().st_size - used
    return [f"{path.name}: cut off or damaged; its last {lost:,} bytes cannot be read."] if lost else []


def scalars(event: Any) -> Iterator[tuple[str, float]]:
    """Name and value of each scalar of an event, in the old notation and the new."""
    for value in event.summary.value:
        if value.HasField("simple_value"):
            yield value.tag, value.simple_value
        elif value.HasField("tensor") and value.metadata.plugin_data.plugin_name == "scalars":
            from tensorboard.util.tensor_util import make_ndarray

            yield value.tag, float(make_ndarray(value.tensor))
