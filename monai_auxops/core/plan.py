"""The plan of an iteration: which ops of an engine share a count. It is made at the first batch of a kind.

That batch runs through every op in full, which checks tags, shapes and options. Later batches take the fast path:

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
from typing import TYPE_CHECKING

from torch import Tensor

from monai_auxops.core.context import BuildContext, refuse_capture, undisturbed
from monai_auxops.core.group import Formula, Group, Op
from monai_auxops.core.shared_counts import reporter_key, shared_counts

if TYPE_CHECKING:
    from monai_auxops.counting.epilogue import Evaluated

MAX_CLASSES = 128  # of an epilogue, whose matrices grow with the square of the classes

Kind = tuple[object, ...]
"""What a plan depends on besides its ops."""


class Plan:
    """The fast path for batches of one kind, for the ops of one engine that read the same predictions and label."""

    def __init__(self, ops: Sequence[Op], build_ctx: BuildContext, kind: Kind) -> None:
        self.ops, self.kind = tuple(ops), kind
        questions: dict[Hashable, list[tuple[Op, Formula]]] = {}
        for op in ops:
            formula = None if overrides_below_formula(op) else op.formula(build_ctx)
            if formula is not None:
                shared = shared_counts(build_ctx, formula.reading, formula.mask_key)
                if shared.counts.tp.shape[1] <= MAX_CLASSES:
                    questions.setdefault(shared.key, []).append((op, formula))
        self.groups = [Group(askers, key, reporter_of(build_ctx, key, askers)) for key, askers in questions.items()]

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
        planned = self._planned_outputs(results)
        by_tag: dict[str, Tensor] = {}
        for outputs in planned.values():
            by_tag |= outputs
        build_ctx.leave(by_tag)
        return [
            planned[op] if op in planned else self._in_full(number, build_ctx, built)
            for number, op in enumerate(self.ops)
        ]

    def _in_full(
        self, number: int, build_ctx: BuildContext, built: Sequence[dict[str, Tensor]] | None
    ) -> dict[str, Tensor]:
        """Run an op that takes no part in the plan, or accumulate what it has built."""
        if built is None:
            return self.ops[number].measure(build_ctx)
        self.ops[number].accumulate(built[number], build_ctx)
        return built[number]

    def _planned_outputs(self, results: Sequence[Evaluated]) -> dict[Op, dict[str, Tensor]]:
        planned: dict[Op, dict[str, Tensor]] = {}
        for group, result in zip(self.groups, results, strict=True):
            planned |= group.outputs(result)
        return planned


def overrides_below_formula(op: Op) -> bool:
    """Tell whether a subclass or the object itself overrides a method, so that an inherited formula may be wrong."""
    kinds = type(op).__mro__
    owner = next(number for number, kind in enumerate(kinds) if "formula" in vars(kind))
    later = [*kinds[:owner], op]
    names = {name for each in later for name, value in vars(each).items() if inspect.isroutine(value)}
    return any(inspect.isroutine(getattr(kinds[owner], name, None)) for name in names if not name.startswith("__"))


def reporter_of(build_ctx: BuildContext, key: Hashable, askers: Sequence[tuple[Op, Formula]]) -> Op | None:
    """Return the op that reports faulty labels of this count, if it is one of these."""
    op = build_ctx.once(reporter_key(key), lambda: askers[0][0])
    return op if op in [asker for asker, _ in askers] else None


def kind_of(build_ctx: BuildContext) -> Kind | None:
    """Return what a plan depends on besides its ops; None for a batch that runs in full."""
    predictions, label = build_ctx.predictions, build_ctx.label
    if not isinstance(predictions, Tensor) or not isinstance(label, Tensor) or build_ctx.equal_outputs:
        return None
    spatial_dims = predictions.dim() - 2
    if spatial_dims < 1 or label.dim() <= spatial_dims or not predictions.numel():
        return None
    if predictions.device.type == "mps":  # Apple's GPUs have no float64
        return None
    same_size = predictions.shape[2:] == label.shape[-spatial_dims:]
    channels = predictions.shape[1], tuple(label.shape[1:-spatial_dims])
    return spatial_dims, *channels, same_size, predictions.dtype, predictions.device


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
