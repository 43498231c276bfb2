"""The epoch's values in TensorBoard: the classes of a metric in one chart, each with a name and a color."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monai_auxops.drawing.names import tensorboard_place

MAX_CHART = 20  # most classes that share a chart; with more, each has its own


class ClassWriters:
    """Writers of the folders ``classes/<class>`` next to a run's own writer, created when a class first appears."""

    def __init__(self) -> None:
        self._writers: dict[str, Any] = {}

    def write(self, writer: Any, values: Mapping[str, float], epoch: int, few: bool = True) -> None:
        """Write the values of an epoch by metric name; ``few``: let classes share a chart."""
        classes = {name.rpartition("/")[2] for name in values if "/" in name}
        share = few and len(classes) <= MAX_CHART
        for name, value in values.items():
            folder, tag = tensorboard_place(name, share)
            self._of(folder, writer).add_scalar(tag, value, epoch)
        for each in (writer, *self._writers.values()):
            each.flush()

    def _of(self, folder: str, writer: Any) -> Any:
        if not folder:
            return writer
        if folder not in self._writers:
            self._writers[folder] = type(writer)(f"{writer.log_dir}/{folder}")
        return self._writers[folder]

    def close(self) -> None:
        """Close the writers and their threads; a later value opens another file."""
        for writer in self._writers.values():
            writer.close()
