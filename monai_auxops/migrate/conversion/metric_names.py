"""The names of validation metrics, which are keys of the bundle: each once, the key metric's first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from monai_auxops.migrate.diagnostics import Log, Outcome, worst
from monai_auxops.migrate.rules import Section

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.binding import Bound
    from monai_auxops.migrate.diagnostics import Where


def with_own_names(bound: Iterable[Bound], log: Log) -> list[Bound]:
    """Return the occurrences of a file, those metrics renamed whose name another metric has; each is reported."""
    found = list(bound)
    metrics = [index for index, item in enumerate(found) if _is_metric(item)]
    given = [_given(found[index]) for index in metrics]
    for index, name in zip(metrics, own_names(given, log), strict=True):
        if name != found[index].args["name"]:
            found[index] = _renamed(found[index], name)
    return found


class GivenName(NamedTuple):
    """The name that a file gives to a metric, and what decides who keeps it."""

    where: Where
    part: str
    label: str
    is_key: bool


def own_names(given: Sequence[GivenName], log: Log) -> list[str]:
    """Return a name for each metric that no other one of its section has; a key metric keeps its own."""
    labels = {(metric.part, metric.label) for metric in given}
    taken: set[tuple[str, str]] = set()
    names = [metric.label for metric in given]
    for index in sorted(range(len(given)), key=lambda index: not given[index].is_key):
        metric, name = given[index], names[index]
        if (metric.part, name) in taken:
            name = free_name(name, {other for part, other in taken | labels if part == metric.part})
            message = f'the name "{metric.label}" is used twice; this one is "{name}" in the bundle'
            log.add("CT505", metric.where, message)
        taken.add((metric.part, name))
        names[index] = name
    return names


def free_name(label: str, taken: Collection[str]) -> str:
    """Return the first of label_2, label_3 and so on that is free.

    Examples:
        >>> free_name("dice", {"dice", "dice_2"})
        'dice_3'
    """
    count = 2
    while f"{label}_{count}" in taken:
        count += 1
    return f"{label}_{count}"


def _given(item: Bound) -> GivenName:
    component, is_key = item.component, bool(item.args.get("is_key_metric"))
    return GivenName(component.where, component.place.part, item.args["name"], is_key)


def _is_metric(item: Bound) -> bool:
    in_section = item.component.place.section is Section.METRIC
    return in_section and item.active and not item.manual and isinstance(item.args.get("name"), str)


def _renamed(item: Bound, name: str) -> Bound:
    reason = f"{item.reason} Another one has its name; it is {name} in the bundle."
    outcome = worst([item.outcome, Outcome.APPROXIMATE])
    return replace(item, args={**item.args, "name": name}, outcome=outcome, reason=reason)
