"""What the ranks must have alike before their values are added up, and what they tell one another."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Protocol

from monai_auxops.core.running import RunningMean

UNSAID = "note/"  # sums that follow from the call, of no interest in a message


class HasTags(Protocol):
    """An op whose tags may be known only after its first batch."""

    accumulated: tuple[str, ...] | None
    unsettled: bool

    @property
    def states(self) -> list[RunningMean]:
        """All that is summed over the epoch and over ranks."""


def signature(op: HasTags) -> str:
    """Describe ``op`` as every rank must have it: the call that makes it, and what it adds up.

    What differs between processes without harm is left out: addresses of objects, and where a report is written.
    """
    tags = [tag for state in op.states for tag in state.tags if not tag.startswith(UNSAID)]
    return f"{same_everywhere(repr(op))} of {'tags to be found' if _is_open(op) else tags}"


def same_everywhere(description: str) -> str:
    """Return ``description`` without what may differ between processes.

    Examples:
        >>> same_everywhere("Op(loss=<function f at 0x7f12>, report_path=PosixPath('a/0'), tag='x')")
        "Op(loss=<function f>, report_path=..., tag='x')"
    """
    text = re.sub(r" at 0x[0-9a-f]+", "", description)
    return re.sub(r"report_path=(\w+\('[^']*'\)|'[^']*')", "report_path=...", text)


def note_tags(ops: Sequence[HasTags]) -> str:
    """Write down the tags that undeclared ops found, for ranks without a batch; empty where all are declared."""
    undeclared = [op for op in ops if _is_open(op)]
    return json.dumps([op.accumulated for op in undeclared]) if undeclared else ""


def settle_tags(ops: Sequence[HasTags], notes: Sequence[str]) -> None:
    """Give each undeclared op the tags that it found on other ranks, from the notes of all; once in its life."""
    undeclared = [op for op in ops if _is_open(op)]
    found = zip(*map(json.loads, notes), strict=True) if undeclared else ()
    for op, candidates in zip(undeclared, found, strict=True):
        known = {tuple(tags) for tags in candidates if tags is not None}
        if len(known) > 1:
            raise ValueError(f"{op!r}: the ranks accumulate different tags: {sorted(known)}")
        if known:
            op.accumulated, op.unsettled = known.pop(), False


def _is_open(op: HasTags) -> bool:
    """Whether the ranks do not know yet that they have the same tags."""
    return op.accumulated is None or op.unsettled
