"""The names of validation metrics, which are keys of the bundle: each once, the key metric's first."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from monai_auxops.migrate.diagnostics import Log, Outcome, worst
from monai_auxops.migrate.rules import Section

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.binding import Bound
    from monai_auxops.migrate.diagnostics import Where


def with_own_names(bound: Iterable[Bound], log: Log) -> list[Bound]:
    """Return the occurrences of a file, those metrics renamed whose name another metric has; each is reported."""
    found = list(bound)
    metrics = [index for index, item in enumerate(found) if _is_metric(item)]
    given = {(found[index].component.place.part, found[index].args["name"]) for index in metrics}
    taken: set[tuple[str, str]] = set()
    for index in sorted(metrics, key=lambda index: not found[index].args.get("is_key_metric")):
        item, part = found[index], found[index].component.place.part
        if (part, item.args["name"]) in taken:
            name = free_name(item.args["name"], {name for other, name in taken | given if other == part})
            report_second_name(item.component.where, item.args["name"], name, log)
            found[index] = _renamed(item, name)
        taken.add((part, found[index].args["name"]))
    return found


def report_second_name(where: Where, label: str, name: str, log: Log) -> None:
    """Report a metric that gets a name of its own."""
    log.add("CT505", where, f'the name "{label}" is used twice; this one is "{name}" in the bundle')


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


def _is_metric(item: Bound) -> bool:
    in_section = item.component.place.section is Section.METRIC
    return in_section and item.active and not item.manual and isinstance(item.args.get("name"), str)


def _renamed(item: Bound, name: str) -> Bound:
    reason = f"{item.reason} Another one has its name; it is {name} in the bundle."
    outcome = worst([item.outcome, Outcome.APPROXIMATE])
    return replace(item, args={**item.args, "name": name}, outcome=outcome, reason=reason)
