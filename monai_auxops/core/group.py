"""The ops that share one count: how their values follow from it, and the batches buffered for their running means."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from monai_auxops.core.shared_counts import reporter_key, shared_counts
from monai_auxops.counting.epilogue import Column, Evaluated, evaluate, quotients

if TYPE_CHECKING:
    from monai_auxops.core.accumulator import Accumulator
    from monai_auxops.core.context import BuildContext
    from monai_auxops.counting.reading import Reading

MAX_WAITING_BATCHES = 128


class Formula(NamedTuple):
    """How an op's values follow from shared counts: a column for each of its tags, then for each of its sums.

    If the sums need more than counts, there are no columns for them (``asks_for_sums``).
    """

    reading: Reading
    mask_key: str | None
    columns: tuple[Column, ...]
    asks_for_sums: bool = False


class Op(Protocol):
    """What a plan asks of an op."""

    accumulated: tuple[str, ...] | None

    @property
    def accumulator(self) -> Accumulator | None: ...
    def formula(self, build_ctx: BuildContext) -> Formula | None: ...
    def sums(self, build_ctx: BuildContext) -> Tensor: ...
    def build(self, build_ctx: BuildContext) -> dict[str, Tensor]: ...
    def accumulate(self, outputs: dict[str, Tensor], build_ctx: BuildContext) -> None: ...
    def measure(self, build_ctx: BuildContext) -> dict[str, Tensor]: ...


class Member(NamedTuple):
    """One op of a group, and where its columns are."""

    op: Op
    accumulator: Accumulator
    columns: slice
    asks_for_sums: bool


class Group:
    """The ops that share one count, and the batches buffered for their running means.

    Args:
        askers: each op with its formula.
        key: the key of the count in a ``BuildContext``.
        reporter: the op that reports faulty labels, if it is one of these.
    """

    def __init__(self, askers: Sequence[tuple[Op, Formula]], key: Hashable, reporter: Op | None) -> None:
        self.reporter_key, self.reporter = reporter_key(key), reporter
        self.reading, self.mask_key = askers[0][1].reading, askers[0][1].mask_key
        self.columns: tuple[Column, ...] = ()
        self.members: list[Member] = []
        self.waiting: list[Tensor] = []
        for op, formula in askers:
            start = len(self.columns)
            self.columns += formula.columns
            if op.accumulator is not None:
                op.accumulator.follow(self.settle)
                own = slice(start, len(self.columns))
                self.members.append(Member(op, op.accumulator, own, formula.asks_for_sums))

    def evaluate(self, build_ctx: BuildContext) -> Evaluated:
        """Count the batch, and compute the values of all columns."""
        if self.reporter is not None:  # an op outside the plan must not report the same labels again
            build_ctx.once(self.reporter_key, lambda: self.reporter)
        counts = shared_counts(build_ctx, self.reading, self.mask_key).counts
        samples, classes = counts.tp.shape
        voxels = build_ctx.predictions.numel() // (samples * classes)  # a score per class, wherever the channels are
        return evaluate(counts, voxels, self.columns)

    def outputs(self, evaluated: Evaluated) -> dict[Op, dict[str, Tensor]]:
        """Return the values of each op's tags, ``[B]`` each."""
        views, outputs = evaluated.values.unbind(1), {}
        for member in self.members:
            outputs[member.op] = dict(zip(member.accumulator.tags, views[member.columns], strict=False))
        return outputs

    def add(self, fractions: Tensor, build_ctx: BuildContext) -> None:
        """Buffer a batch for the running means. Its values are not used, because whoever reads them may change them."""
        if len(self.waiting) == MAX_WAITING_BATCHES or (self.waiting and self.waiting[0].shape != fractions.shape):
            self.settle()
        self.waiting.append(fractions)
        for op, accumulator, _, asks_for_sums in self.members:
            accumulator.open()
            if asks_for_sums:
                accumulator.add_sums(op.sums(build_ctx))

    def settle(self) -> None:
        """Add the buffered batches to the running means of every op."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        values = quotients(torch.stack(waiting)).double()  # [batches, B, n]
        sums, counts = values.nansum((0, 1)), (~values.isnan()).sum((0, 1))
        for member in self.members:
            member.accumulator.add_totals(sums[member.columns], counts[member.columns], len(waiting))
