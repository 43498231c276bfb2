"""What ComputeDice and DiceMaskedOutput share: Dice per sample and class, from voxel counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.core.context import BuildContext
from monai_auxops.core.ranks import Gather
from monai_auxops.core.running import Totals
from monai_auxops.counting.counts import Counts
from monai_auxops.counting.overlap import PER_SAMPLE, overlap, pooled_rows, pooled_values
from monai_auxops.counting.reading import count_for
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.dice_options import DICE_KEYWORDS, FIELDS, DiceKeywords, DiceOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack


class DiceOperation(AuxiliaryOperation):
    """Base of the Dice aux-ops: reads :class:`~monai_auxops.ops.dice_options.DiceOptions`, counts, divides."""

    keywords = DICE_KEYWORDS
    higher_is_better = True
    bounds = (0.0, 1.0)
    _looked = False
    _left_over: Tensor | None = None
    cause_of_nothing = "; is each class absent, or are the labels no class indices (masks of 0 and 255)?"

    def __init__(
        self,
        tags: Sequence[str],
        data_format: str,
        skip_background: bool,
        is_onehot_targets: bool,
        is_independent_predictions: bool,
        jaccard: bool,
        threshold: float,
        do_summary: bool,
        do_print: bool,
        **options: Unpack[DiceKeywords],
    ) -> None:
        self.data_format = data_format
        self.skip_background = skip_background
        self.is_onehot_targets = is_onehot_targets
        self.is_independent_predictions = is_independent_predictions
        self.jaccard = jaccard
        self.threshold = threshold
        super().__init__(do_summary, do_print, **options)  # type: ignore[misc]  # keywords says which it takes
        try:
            self.options = DiceOptions(**{name: getattr(self, name) for name in FIELDS})
        except ValueError as error:
            raise ValueError(f"{self!r}: {error}") from None
        self.accumulated = self.options.tags(tags)
        self.sum_tags = tuple(self.options.pooled_tags())
        self._pooled_names = self.options.pooled_names(tags[0])

    def named(self, tag: str, dice: Tensor, build_ctx: BuildContext) -> dict[str, Tensor]:
        """What the names and statistics add to the outputs, ``[B]`` each."""
        names = self.options.class_names or ()
        if not names and not self.options.statistics:
            return {}
        counts = self.counts(build_ctx)
        if names and len(names) != dice.shape[1]:
            raise ValueError(f"expected {dice.shape[1]} class_names, one for each class, got {list(names)}")
        wanted = {name: PER_SAMPLE[name](counts) for name in self.options.per_sample}
        outputs = {name: value.nanmean(1) for name, value in wanted.items()}
        for key, value in ({tag: dice} | wanted).items():
            outputs |= {f"{key}/{name}": column for name, column in zip(names, value.unbind(1), strict=False)}
        return outputs

    def sums(self, build_ctx: BuildContext) -> Tensor:
        """The rows of the pooled statistics."""
        return pooled_rows(self.counts(build_ctx), self.options.jaccard)

    def values_of(self, totals: Totals) -> dict[str, float]:
        """The means, and the pooled statistics of all voxels of the epoch."""
        means = totals.means()
        values = {tag: means[tag] for tag in self.accumulated or ()}
        if self._pooled_names:
            options = self.options
            pooled = pooled_values(totals.sums, options.class_names or (), options.statistics)
            values |= zip(self._pooled_names, pooled, strict=True)
        return values

    def epoch_values(self, totals: Totals, gather: Gather) -> dict[str, float]:
        """The values of the epoch; after the first one a warning, if labels were no classes."""
        values = super().epoch_values(totals, gather)
        left_over, self._left_over = self._left_over, None
        if left_over is not None and (n := int(left_over)):
            self.warn_once(
                f"{n} of the first voxels have a label that is no class (255, negative, a fraction, NaN) and count for "
                "nothing: check the labels, or say with ignore_index= that it is meant"
            )
        return values

    @property
    def epoch_tags(self) -> tuple[str, ...]:
        """All tags with an epoch value."""
        return (*(self.accumulated or ()), *self._pooled_names)

    def counts(self, build_ctx: BuildContext) -> Counts:
        """The counts of the classes that are looked at, shared with every aux-op that reads the batch alike."""
        return self.options.kept(self._shared(build_ctx)[0])

    def overlaps(self, build_ctx: BuildContext) -> tuple[Tensor, Tensor]:
        """Dice of the classes that are looked at ``[B, C']``, and its mean over valid classes ``[B]``.

        Computed once for all aux-ops that declare the same; copies, because what an op leaves others may change.
        """
        options = self.options
        counts, key = self._shared(build_ctx)
        key = ("overlap", *key, options.jaccard, repr(options.empty_value))
        dice = build_ctx.once(key, lambda: overlap(counts, options.jaccard, options.empty_value))
        dice = dice[:, int(options.skip_background) :]
        mean = build_ctx.once((*key, options.skip_background), lambda: dice.nanmean(1))
        return dice.clone(), mean.clone()

    def _shared(self, build_ctx: BuildContext) -> tuple[Counts, tuple[object, ...]]:
        """The counts of all classes, and the key that says what they depend on."""
        options, predictions, label = self.options, build_ctx.predictions, build_ctx.label
        predictions = predictions[:, None] if predictions.dim() == 1 else predictions  # one logit a sample
        key: tuple[object, ...] = ("counts", options.data_format, options.is_onehot_targets, options.cut(predictions))
        if self._leaves_out:
            key += (options.ignore_index, options.mask_key)

        def compute() -> Counts:
            mask = None if options.mask_key is None else build_ctx.from_batch(options.mask_key)
            return count_for(options, predictions, label, mask)

        counts = build_ctx.once(key, compute)
        options.kept(counts)
        if not self._looked:
            self._look(counts, predictions, build_ctx, key)
        return counts, key

    def _look(self, counts: Counts, predictions: Tensor, build_ctx: BuildContext, key: tuple[object, ...]) -> None:
        """Note how many voxels of the first batch (or decollated sample) have no class, for a warning at the epoch's
        end: no wait here."""
        self._looked = True
        declared = self.options.is_onehot_targets or self._leaves_out
        if not declared and build_ctx.once((*key, "left over"), lambda: self) is self:  # one aux-op says it
            voxels = predictions.numel() // max(1, counts.tp.shape[1])
            self._left_over = voxels - torch.stack(counts)[:, :, 0].sum()

    @property
    def _leaves_out(self) -> bool:
        return self.options.ignore_index is not None or self.options.mask_key is not None
