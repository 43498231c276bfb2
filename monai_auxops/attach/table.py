"""Compare two epochs: for each value, whether it is equal or why it differs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.attach.accuracy import elementwise_accuracy
from monai_auxops.attach.engines import readable_id

if TYPE_CHECKING:
    from monai_auxops.attach.pairs import MetricPair
    from monai_auxops.attach.plan import Plan
    from monai_auxops.attach.trial import EpochResult

TOLERANCE: Final = 1e-5  # MONAI's means are float32
_ROUGHLY: Final = 0.01  # Ignite weighs samples by their voxels, which differ with the image size


@dataclass(frozen=True)
class ValueRow:
    """One comparison.

    Args:
        what: the name of the compared value.
        theirs: the bundle's value.
        ours: the value with, or of, aux-ops.
        verdict: ``"equal"`` or the reason.
        good: whether it is equal or explained.
    """

    what: str
    theirs: str
    ours: str
    verdict: str
    good: bool


def compare(plan: Plan, without: EpochResult, with_ops: EpochResult) -> list[ValueRow]:
    """Return a row for the weights, each old metric, and each new value that has an old counterpart."""
    same = without.weights == with_ops.weights
    rows = [ValueRow("weights", without.weights[:12], with_ops.weights[:12], "equal" if same else "differ", same)]
    for engine, metrics in without.metrics.items():
        rows += [
            _row_of_metric(engine, name, value, with_ops.metrics[engine].get(name)) for name, value in metrics.items()
        ]
    return rows + [_row_of_pair(plan, pair, with_ops) for pair in plan.pairs]


def _row_of_metric(engine: str, name: str, before: Any, after: Any) -> ValueRow:
    same = before == after or (_is_nan(before) and _is_nan(after))
    what = f"{readable_id(engine)}: {name}, without and with"
    return ValueRow(what, _text(before), _text(after), "equal" if same else "changed by the aux-ops", same)


def _row_of_pair(plan: Plan, pair: MetricPair, outcome: EpochResult) -> ValueRow:
    values = outcome.metrics[pair.engine]
    theirs, ours = values.get(pair.theirs), values.get(pair.ours)
    verdict, good = _verdict(plan, pair, theirs, ours, outcome.labels.get(pair.engine, {}))
    what = f"{readable_id(pair.engine)}: {pair.theirs} | {pair.ours}"
    return ValueRow(what, _text(theirs), _text(ours), verdict, good)


def _verdict(plan: Plan, pair: MetricPair, theirs: Any, ours: Any, labels: dict[str, Any]) -> tuple[str, bool]:
    """Return whether two values with the same meaning agree, or their known difference."""
    if theirs is None or ours is None:
        return f"no value named {pair.theirs if theirs is None else pair.ours}", False
    if not isinstance(theirs, float) or not isinstance(ours, float):
        return pair.note or "one of them is not a single number", bool(pair.note)
    if abs(theirs - ours) <= TOLERANCE or (_is_nan(theirs) and _is_nan(ours)):
        return "equal", True
    if pair.classes:
        expected = elementwise_accuracy(ours, pair.classes)
        if abs(expected - theirs) > _ROUGHLY:
            return f"{pair.note}, which would be {expected:.6f}", False
    if pair.note:
        return pair.note, True
    if labels.get("fractions"):
        return "labels hold fractions: MONAI truncates them, aux-ops leave them out", True
    measure = plan.measures.get(pair.engine)
    if _is_nan(ours) and measure is not None and pair.kind != "accuracy":
        return "no class occurs in any label, so there is nothing to measure here", True
    return f"differs by {abs(theirs - ours):.2g}, and nothing in the bundle explains it", False


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    return "" if value is None else str(value)[:24]


def text_table(rows: Sequence[ValueRow]) -> str:
    """Return the rows in columns, under their headings.

    Examples:
        >>> print(text_table([ValueRow("weights", "ab", "ab", "equal", True)]), end="")
                    bundle  ours  equal, or the reason
        weights     ab      ab    equal
    """
    lines = [("", "bundle", "ours", "equal, or the reason")]
    lines += [(row.what, row.theirs, row.ours, row.verdict) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    widths[0] = max(widths[0], 10)
    return "".join(_columns(line, widths) + "\n" for line in lines)


def _columns(line: Iterable[str], widths: Sequence[int]) -> str:
    cells = list(line)
    return "  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)), cells[-1]]).rstrip()
