"""What must be equal on all ranks before their values are summed, and what the ranks tell each other."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from monai_auxops.core.running import RunningMean

NOT_COMPARED = "note/"  # prefix of sums that follow from the call, so a message need not list them


class HasTags(Protocol):
    """An op whose tags may be known only after its first batch."""

    accumulated: tuple[str, ...] | None
    unsettled: bool

    @property
    def states(self) -> list[RunningMean]:
        """Everything that is summed over the epoch and over ranks."""


def signature(op: HasTags) -> str:
    """Describe what must be equal on every rank: the call that constructs ``op``, and the tags it sums.

    Differences that do no harm are left out: object addresses, and where a report is written.
    """
    tags = [tag for state in op.states for tag in state.tags if not tag.startswith(NOT_COMPARED)]
    summed = "tags to be found" if _is_open(op) else str(tags)
    return f"{same_everywhere(repr(op))} of {summed}"


def same_everywhere(description: str) -> str:
    """Return ``description`` without the parts that may differ between processes.

    Examples:
        >>> same_everywhere("Op(loss=<function f at 0x7f12>, report_path=PosixPath('a/0'), tag='x')")
        "Op(loss=<function f>, report_path=..., tag='x')"
    """
    text = re.sub(r" at 0x[0-9a-f]+", "", description)
    return re.sub(r"report_path=(\w+\('[^']*'\)|'[^']*')", "report_path=...", text)


def note_tags(ops: Sequence[HasTags]) -> str:
    """Serialize the tags that undeclared ops found, for ranks without a batch; empty if all tags are declared."""
    undeclared = [op for op in ops if _is_open(op)]
    return json.dumps([op.accumulated for op in undeclared]) if undeclared else ""


def settle_tags(ops: Sequence[HasTags], notes: Sequence[str]) -> None:
    """Give each undeclared op the tags that it found on other ranks, from the notes of all ranks; once per op."""
    undeclared = [op for op in ops if _is_open(op)]
    found = zip(*map(json.loads, notes), strict=True) if undeclared else ()
    for op, candidates in zip(undeclared, found, strict=True):
        known = {tuple(tags) for tags in candidates if tags is not None}
        if len(known) > 1:
            raise ValueError(f"{op!r}: the ranks accumulate different tags: {sorted(known)}")
        if known:
            op.accumulated, op.unsettled = known.pop(), False


def _is_open(op: HasTags) -> bool:
    """Tell whether the ranks do not know yet that they have the same tags."""
    return op.accumulated is None or op.unsettled
