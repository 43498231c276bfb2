"""The plan of an iteration: which ops of an engine share a count. It is made at the first batch of a kind.

That batch runs through every op in full, which checks tags, shapes and options. Later batches take the
fast path:

    predictions, label ── one count per question ─▶ counts ── one epilogue ──▶ values [B, n]
                                                                                  │ columns of each op
              state.output[tag], BuildContext ◀── views ──────────────────────────┤
              running means of each op ◀── many batches at once, when a value is read

An op takes part if its ``formula`` says how its values follow from shared counts. All other ops run in full, and so
does an op of a subclass that overrides a method and keeps the formula of its parent.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from monai_auxops.core.context import BuildContext, refuse_capture, undisturbed
from monai_auxops.core.shared_counts import shared_counts
from monai_auxops.counting.epilogue import Column, Evaluated, evaluate, quotients

if TYPE_CHECKING:
    from monai_auxops.core.accumulator import Accumulator
    from monai_auxops.counting.reading import Reading

MAX_WAITING_BATCHES = 128
MAX_CLASSES = 128  # of an epilogue, whose matrices grow with the square of the classes

Kind = tuple[object, ...]
"""What a plan depends on besides its ops."""


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
    """The ops that share one count, and the batches buffered for their running means."""

    def __init__(self, asking: Sequence[tuple[Op, Formula]], key: Hashable, speaker: Op | None) -> None:
        self.says, self.speaker = ("says", key), speaker
        self.reading, self.mask_key = asking[0][1].reading, asking[0][1].mask_key
        self.columns: tuple[Column, ...] = ()
        self.members: list[Member] = []
        self.waiting: list[Tensor] = []
        for op, formula in asking:
            start = len(self.columns)
            self.columns += formula.columns
            if op.accumulator is not None:
                op.accumulator.follow(self.settle)
                own = slice(start, len(self.columns))
                self.members.append(Member(op, op.accumulator, own, formula.asks_for_sums))

    def evaluate(self, build_ctx: BuildContext) -> Evaluated:
        """Count the batch, and compute the values of all columns."""
        if self.speaker is not None:
            build_ctx.once(self.says, lambda: self.speaker)
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


class Plan:
    """The fast path for batches of one kind, for the ops of one engine that read the same predictions and label."""

    def __init__(self, ops: Sequence[Op], build_ctx: BuildContext, kind: Kind) -> None:
        self.ops, self.kind = tuple(ops), kind
        questions: dict[Hashable, list[tuple[Op, Formula]]] = {}
        for op in ops:
            formula = None if changes_below_formula(op) else op.formula(build_ctx)
            if formula is not None:
                shared = shared_counts(build_ctx, formula.reading, formula.mask_key)
                if shared.counts.tp.shape[1] <= MAX_CLASSES:
                    questions.setdefault(shared.key, []).append((op, formula))
        self.groups = [Group(asking, key, speaker(build_ctx, key, asking)) for key, asking in questions.items()]

    def fits(self, ops: Sequence[Op], kind: Kind) -> bool:
        """Tell whether the plan was made for these ops and this kind of batch."""
        return self.ops == tuple(ops) and self.kind == kind

    def evaluate(self, build_ctx: BuildContext) -> list[Evaluated] | None:
        """Evaluate the batch for each group; None if that fails, because the full run then names the op."""
        try:
            return [group.evaluate(build_ctx) for group in self.groups]
        except ValueError:
            return None

    def measure(
        self, results: Sequence[Evaluated], build_ctx: BuildContext, built: Sequence[dict[str, Tensor]] | None = None
    ) -> list[dict[str, Tensor]]:
        """Run each op, on what ``evaluate`` returned or in full, and return their outputs in order.

        Args:
            results: what each group evaluated.
            build_ctx: the context of the batch.
            built: outputs of ops that already ran in full, for the first batch.
        """
        for group, result in zip(self.groups, results, strict=True):
            group.add(result.fractions, build_ctx)
        planned = self._planned(results)
        together: dict[str, Tensor] = {}
        for mine in planned.values():
            together |= mine
        build_ctx.leave(together)
        return [
            planned[op] if op in planned else self._in_full(number, build_ctx, built)
            for number, op in enumerate(self.ops)
        ]

    def _in_full(
        self, number: int, build_ctx: BuildContext, built: Sequence[dict[str, Tensor]] | None
    ) -> dict[str, Tensor]:
        """Run an op that has no part in the plan, or accumulate what it has built."""
        if built is None:
            return self.ops[number].measure(build_ctx)
        self.ops[number].accumulate(built[number], build_ctx)
        return built[number]

    def _planned(self, results: Sequence[Evaluated]) -> dict[Op, dict[str, Tensor]]:
        planned: dict[Op, dict[str, Tensor]] = {}
        for group, result in zip(self.groups, results, strict=True):
            planned |= group.outputs(result)
        return planned


def changes_below_formula(op: Op) -> bool:
    """Tell whether a subclass or the object itself overrides a method, so that an inherited formula may be wrong."""
    kinds = type(op).__mro__
    owner = next(number for number, kind in enumerate(kinds) if "formula" in vars(kind))
    later = [*kinds[:owner], op]
    names = {name for each in later for name, value in vars(each).items() if inspect.isroutine(value)}
    return any(inspect.isroutine(getattr(kinds[owner], name, None)) for name in names if not name.startswith("__"))


def speaker(build_ctx: BuildContext, key: Hashable, asking: Sequence[tuple[Op, Formula]]) -> Op | None:
    """Return the op that reports faulty labels for this key, if it is one of these."""
    op = build_ctx.once(("says", key), lambda: asking[0][0])
    return op if op in [asker for asker, _ in asking] else None


def kind_of(build_ctx: BuildContext) -> Kind | None:
    """Return what a plan depends on besides its ops; None for a batch that runs in full."""
    predictions, label = build_ctx.predictions, build_ctx.label
    if not isinstance(predictions, Tensor) or not isinstance(label, Tensor) or build_ctx.equal_outputs:
        return None
    places = predictions.dim() - 2
    if places < 1 or label.dim() <= places or not predictions.numel():
        return None
    if predictions.device.type == "mps":  # Apple's GPUs have no float64
        return None
    same_places = predictions.shape[2:] == label.shape[-places:]
    channels = predictions.shape[1], tuple(label.shape[1:-places])
    return places, *channels, same_places, predictions.dtype, predictions.device


def measure_together(
    ops: Sequence[Op], build_ctx: BuildContext, plan: Plan | None
) -> tuple[list[dict[str, Tensor]], Plan | None]:
    """Run ``ops`` on one batch, by ``plan`` if it fits; return their outputs, and the plan for the next batch."""
    kind = kind_of(build_ctx)
    if kind is None:
        return [op.measure(build_ctx) for op in ops], None
    device = build_ctx.predictions.device
    refuse_capture(device)
    with undisturbed(device):
        results = plan.evaluate(build_ctx) if plan is not None and plan.fits(ops, kind) else None
        if plan is not None and results is not None:
            return plan.measure(results, build_ctx), plan
        built = [op.build(build_ctx) for op in ops]  # raises errors here, from the op that they concern
        plan = Plan(ops, build_ctx, kind)
        return plan.measure(plan.evaluate(build_ctx) or [], build_ctx, built), plan
