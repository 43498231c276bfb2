"""The names of metrics and aux-ops in the log, which are keys of the bundle: each once, the key metric's first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.clara4.components import METRICS, truth_of
from monai_auxops.migrate.conversion.metric_names import GivenName, own_names
from monai_auxops.migrate.diagnostics import Outcome

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.item import Item
    from monai_auxops.migrate.diagnostics import Log
    from monai_auxops.migrate.reading.variables import Variables

_UNNAMED: Final = "the file does not name it; the bundle uses the name of its class"
_KEY: Final = "is_key_metric"


class MetricNamer:
    """Names the metrics of one file."""

    def __init__(self, variables: Variables, log: Log) -> None:
        self.variables, self.log = variables, log

    def named(self, items: list[Item]) -> list[Item]:
        """Return the items of a file, its metrics and aux-ops with names of their own."""
        found = [self._labeled(item) for item in items]
        metrics = [index for index, item in enumerate(found) if item.label and (item.blocks or item.manual)]
        for index, name in zip(metrics, own_names([_given(found[index]) for index in metrics], self.log), strict=True):
            if name != found[index].label:
                note = f"another one has its name; it is {name} in the bundle"
                found[index] = replace(found[index], label=name).lowered(Outcome.APPROXIMATE, note)
        return found

    def _labeled(self, item: Item) -> Item:
        """Return a metric with the name that the file gives it, and whether the file marks it as the key metric."""
        place = item.occurrence.place
        if item.creates:
            return replace(item, label=f"{place.part}_{item.creates[0]}")
        if not item.active or place.key not in METRICS:
            return item
        label, is_key = self._label(item), place.key == "key_metric" or self._is_marked(item)
        if label:
            return replace(item, label=label, is_key=is_key)
        return replace(item, label=item.occurrence.name, is_key=is_key).lowered(Outcome.EQUIVALENT, _UNNAMED)

    def _label(self, item: Item) -> str:
        node = item.occurrence.attribute("log_label")
        value = self.variables.resolve(node) if node is not None else None
        if node is None or value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.log.add("CT403", node.where, f"log_label is {node.plain()!r}, which is not a name")
            return ""
        return str(value)

    def _is_marked(self, item: Item) -> bool:
        node = item.occurrence.attribute(_KEY)
        truth = truth_of(self.variables.resolve(node)) if node is not None else False
        if node is not None and truth is None:
            self.log.add("CT403", node.where, f"{_KEY} is {node.plain()!r}, which is neither true nor false")
        return bool(truth)


def _given(item: Item) -> GivenName:
    occurrence = item.occurrence
    return GivenName(occurrence.where, occurrence.place.part, item.label, item.is_key)
