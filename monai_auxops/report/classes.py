"""The values of each class at the shown epoch: one per case, and counts that a mean hides."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monai_auxops.drawing.names import families, split_name
from monai_auxops.report.judge import is_overlap
from monai_auxops.report.statistics import describe_sample, finite_values, worst_case
from monai_auxops.report.tables import Table, case_of, numeric_columns, table_number

if TYPE_CHECKING:
    from monai_auxops.report.run import Run


@dataclass
class ClassValues:
    """The values of one class by case; counts are None if the run's files do not tell."""

    name: str
    values: dict[str, float] = field(default_factory=dict)
    missed: int | None = None
    hallucinated: int | None = None
    absent: int | None = None

    def describe(self, higher: bool) -> dict[str, Any]:
        """Return the statistics of the valid values, with the worst case; empty without valid values."""
        valid = finite_values(self.values)
        if not valid:
            return {}
        worst = worst_case(valid, higher)
        return describe_sample(valid.values()) | {"worst": worst, "worst_value": valid[worst]}


@dataclass
class ClassTable:
    """The classes of one metric."""

    metric: str
    higher: bool
    classes: list[ClassValues]


def class_table(run: Run) -> ClassTable | None:
    """Return the classes of the deciding metric, or of the first metric with classes; None without cases."""
    if run.measured:
        return ClassTable("dice", True, table_of_measured(run.measured))
    if run.cases is None:
        return None
    return table_of_cases(run.cases, run)


def table_of_measured(rows: Iterable[Mapping[str, Any]]) -> list[ClassValues]:
    """Read rows with voxel counts, one per case and class."""
    found: dict[str, ClassValues] = {}
    for row in rows:
        if not row.get("class"):
            continue
        entry = found.setdefault(row["class"], ClassValues(row["class"], {}, 0, 0, 0))
        tp, fp, fn = (table_number(row.get(key) or "nan") for key in ("tp", "fp", "fn"))
        entry.values[row["case"]] = table_number(row.get("dice") or "nan") if tp + fn > 0 else math.nan
        entry.missed = (entry.missed or 0) + (tp == 0 and fn > 0)
        entry.hallucinated = (entry.hallucinated or 0) + (tp + fn == 0 and fp > 0)
        entry.absent = (entry.absent or 0) + (tp + fn + fp == 0)
    return list(found.values())


def table_of_cases(table: Table, run: Run) -> ClassTable | None:
    """Read the columns of one metric in a case table, the mean over classes first."""
    columns = numeric_columns(table)
    metric = family_of(columns, run.same.get(run.judge.metric or "", run.judge.metric))
    if metric is None:
        return None
    members = members_of(metric, columns)
    cases = number_repeated([case_of(row) for row in table.rows])
    precisions = members_of(metric_beside(metric, "precision"), columns)
    classes = []
    for member, column in members.items():
        values = dict(zip(cases, (table_number(row[column]) for row in table.rows), strict=True))
        name = member or ("mean over classes" if len(members) > 1 else only_class(metric, run.same))
        entry = ClassValues(name, values)
        if is_overlap(metric) and (member or len(members) == 1):
            entry.missed = sum(value == 0 for value in values.values())
            if member in precisions:
                found = (table_number(row[precisions[member]]) for row in table.rows)
                false = sum(math.isnan(v) and p == 0 for v, p in zip(values.values(), found, strict=True))
                entry.hallucinated = false
        classes.append(entry)
    directions = run.facts.get("higher_is_better") or {}
    higher = directions.get(metric) if isinstance(directions.get(metric), bool) else run.judge.higher
    return ClassTable(metric, higher is not False, classes)


def only_class(metric: str, same: Mapping[str, str]) -> str:
    """Return the class of a metric that has a single one, or else the metric's own name.

    Examples:
        >>> only_class("val_dice", {"val_dice/tumor": "val_dice"}), only_class("val_dice", {})
        ('tumor', 'val_dice')
    """
    return next((name.removeprefix(f"{metric}/") for name, other in same.items() if other == metric != name), metric)


def family_of(columns: Sequence[str], metric: str | None) -> str | None:
    """Choose the metric whose classes are shown: the deciding one, or the one with most classes."""
    if metric is not None and metric in columns:
        return root_of(metric, columns)
    roots = [root_of(name, columns) for name in columns]
    return Counter(roots).most_common(1)[0][0] if roots else None


def root_of(name: str, columns: Iterable[str]) -> str:
    """Return the metric that a column belongs to, with its split as prefix."""
    split, rest = split_name(name)
    same = [split_name(column)[1] for column in columns if split_name(column)[0] == split]
    for family, members in families(same).items():
        if rest in members.values():
            return prefix_of(name) + members.get("", family)
    return name


def members_of(metric: str, columns: Iterable[str]) -> dict[str, str]:
    """Return the columns of a metric by class; ``""`` is the mean."""
    split, rest = split_name(metric)
    beside = {split_name(column)[1]: column for column in columns if split_name(column)[0] == split}
    members = families(beside).get(rest, {})
    ordered = sorted(members.items(), key=lambda item: item[0] != "")  # stable: the mean first
    return {member: beside[full] for member, full in ordered}


def metric_beside(metric: str, name: str) -> str:
    """Return another statistic of the same engine: ``val_precision`` of ``val_dice``."""
    return prefix_of(metric) + name


def prefix_of(name: str) -> str:
    """Return the prefix before the metric's own name."""
    return name[: len(name) - len(split_name(name)[1])]


def number_repeated(names: Sequence[str]) -> list[str]:
    """Add numbers to names that occur more than once, such as patches of one volume.

    Examples:
        >>> number_repeated(["a", "b", "a"])
        ['a', 'b', 'a (2)']
    """
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result
