"""The common base of ComputeDice and DiceMaskedOutput: Dice per sample and class, from voxel counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.core.group import Formula
from monai_auxops.core.shared_counts import SharedCounts, shared_counts
from monai_auxops.counting.counts import Counts
from monai_auxops.counting.epilogue import FRACTIONS, NOTHING, WITHOUT_CLASS, Column
from monai_auxops.counting.overlap import PER_SAMPLE, overlap, pooled_rows, pooled_values
from monai_auxops.ops import contradictions as noted
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.dice_options import DICE_KEYWORDS, FIELDS, DiceKeywords, DiceOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.running import Totals

NOTES = (noted.NO_CLASS, noted.RANGE, noted.OVERLAP)


class DiceOperation(AuxiliaryOperation):
    """Base class of the Dice aux-ops, which count voxels as ``DiceOptions`` says and divide the counts."""

    keywords = DICE_KEYWORDS
    higher_is_better = True
    bounds = (0.0, 1.0)
    cause_of_nothing = "; check whether every class is absent, or the labels are not class indices (masks of 0 and 255)"
    _channels = 0  # of the last batch

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
        super().__init__(do_summary, do_print, **options)  # type: ignore[misc]  # its keywords are checked at run time
        try:
            self.options = DiceOptions(**{name: getattr(self, name) for name in FIELDS})
            self._own_tags = tuple(tags)
            self._name_outputs(prefix="")
        except ValueError as error:
            raise ValueError(f"{self!r}: {error}") from None

    @property
    def equal_tags(self) -> dict[str, str]:
        """The tags that always equal another one: those of the class, if there is only one."""
        ends = [f"/{name}" for name in self.options.class_names or ()]
        tags = self.epoch_tags or ()
        roots = {tag: tag.removesuffix(ends[0]) for tag in tags if len(ends) == 1 and tag.endswith(ends[0])}
        return {tag: root for tag, root in roots.items() if root in tags}

    def _name_outputs(self, prefix: str) -> None:
        options, own = self.options, self._own_tags
        tags = options.tags(own, prefix)
        if len(set(tags)) < len(tags) and not prefix:  # a class or another tag has the same name as a statistic
            prefix = f"{own[0]}/"
            tags = options.tags(own, prefix)
        if len(set(tags)) < len(tags):
            twice = sorted({tag for tag in tags if tags.count(tag) > 1})
            raise ValueError(f"expected different names for tags, classes and statistics, got {twice} twice")
        self._prefix, self.accumulated = prefix, tags
        self._pooled_names = options.pooled_names(own[0], prefix)
        self._epoch_tags = (*tags, *self._pooled_names)
        self._pooled_tags = options.pooled_tags()
        self.sum_tags = (*self._pooled_tags, *NOTES)
        self._accumulator = None

    def qualify(self) -> bool:
        """Prefix the names of statistics with the op's tag; return False if there are none, or a batch was measured."""
        if self._prefix or not self.options.statistics or (self.running is not None and self.running.updates):
            return False
        self._name_outputs(prefix=f"{self._own_tags[0]}/")
        return True

    @property
    def definition(self) -> str:
        """The options that a loaded state must agree on."""
        return repr(self.options)

    def named_outputs(self, tag: str, dice: Tensor, build_ctx: BuildContext) -> dict[str, Tensor]:
        """Return the outputs for class names and statistics, ``[B]`` each."""
        names = self.options.class_names or ()
        if not names and not self.options.statistics:
            return {}
        if names and len(names) != dice.shape[1]:
            raise ValueError(f"expected {dice.shape[1]} class_names, one for each class, got {list(names)}")
        counts = self.counts(build_ctx)
        wanted = {self._prefix + name: PER_SAMPLE[name](counts) for name in self.options.per_sample}
        outputs = {name: value.nanmean(1) for name, value in wanted.items()}
        for key, value in ({tag: dice} | wanted).items():
            outputs |= {f"{key}/{name}": column for name, column in zip(names, value.unbind(1), strict=False)}
        return outputs

    def values_of(self, totals: Totals) -> dict[str, float]:
        """Return the means, and the pooled statistics of all voxels of the epoch."""
        values = super().values_of(totals)
        if self._pooled_names:
            options = self.options
            pooled = pooled_values(totals.sums, options.class_names or (), options.statistics)
            values |= zip(self._pooled_names, pooled, strict=True)
        return values

    @property
    def epoch_tags(self) -> tuple[str, ...]:
        """All tags with an epoch value."""
        return self._epoch_tags

    def counts(self, build_ctx: BuildContext) -> Counts:
        """Return the counts of the measured classes, shared with every aux-op that reads the batch the same way."""
        return Counts(*map(self.options.select_measured, self._shared_counts(build_ctx).counts))

    def overlaps(self, build_ctx: BuildContext) -> tuple[Tensor, Tensor]:
        """Return Dice of the measured classes ``[B, C']``, and its mean over valid classes ``[B]``.

        They are computed once for all aux-ops with the same options. The results are copies, so users may modify them.
        """
        options, shared = self.options, self._shared_counts(build_ctx)
        key = ("overlap", *shared.key, options.jaccard, repr(options.empty_value))
        all_classes = build_ctx.once(key, lambda: overlap(shared.counts, options.jaccard, options.empty_value))
        dice = options.select_measured(all_classes)
        mean = build_ctx.once((*key, options.skip_background), lambda: dice.nanmean(1))
        return dice.clone(), mean.clone()

    def _shared_counts(self, build_ctx: BuildContext) -> SharedCounts:
        return shared_counts(build_ctx, self.options, self.options.mask_key)

    def formula(self, build_ctx: BuildContext) -> Formula | None:
        """Return how means and classes follow from counts; None if a statistic or a sum needs more than fractions."""
        options = self.options
        if self._pooled_tags or not set(options.per_sample) <= set(FRACTIONS):
            return None
        if options.mask_key is not None and build_ctx.get(options.mask_key) is not None:
            return None  # an op of this iteration writes the mask
        shared = self._shared_counts(build_ctx)
        asks = options.is_onehot_targets or shared.left_out is not None or options.num_classes is not None
        asks = asks or options.cut(build_ctx.predictions) is not None
        columns = self._columns(options.classes(shared.counts.tp.shape[1]))
        self._channels = shared.counts.tp.shape[1]
        speaks = noted.is_first_reader(self, build_ctx, shared.key)
        notes = () if asks else (WITHOUT_CLASS if speaks else NOTHING, NOTHING, NOTHING)
        return Formula(options, options.mask_key, (*columns, *notes), asks)

    def _columns(self, classes: Sequence[int]) -> list[Column]:
        """Return the column of each accumulated tag, in order."""
        options = self.options
        own = Column("jaccard" if options.jaccard else "dice", tuple(classes), options.empty_value)
        named = [own, *(Column(name, tuple(classes)) for name in options.per_sample)]
        each = [[column._replace(classes=(c,)) for c in classes] for column in named]
        singles = each[0][: len(self._own_tags) - 1]
        return [own, *singles, *named[1:], *(c for group in each for c in group if options.class_names)]

    def sums(self, build_ctx: BuildContext) -> Tensor:
        """Return the rows of the pooled statistics, then those of ``NOTES``."""
        shared = self._shared_counts(build_ctx)
        rows = torch.stack(self._notes(build_ctx, shared))
        if not self._pooled_tags:
            return rows
        counts = Counts(*map(self.options.select_measured, shared.counts))
        return torch.cat([pooled_rows(counts, self.options.jaccard), rows])

    def _notes(self, build_ctx: BuildContext, shared: SharedCounts) -> list[Tensor]:
        """Count what contradicts the options.

        Voxels whose label is not a class; samples whose predictions do not fit the activation; samples whose one-hot
        labels overlap although an argmax predicts.
        """
        options, nothing = self.options, shared.counts.tp.new_zeros(build_ctx.batch_size)
        no_class = outside = overlaps = nothing
        if noted.is_first_reader(self, build_ctx, shared.key):
            predictions = options.with_channel(build_ctx.predictions, build_ctx.label)
            self._channels = shared.counts.tp.shape[1]
            compared = options.cut(predictions) is not None
            if compared and options.final_activation is not None:
                outside = noted.within_probabilities(predictions).long()
            elif compared and 0 < options.threshold < 1:
                outside = noted.beyond_probabilities(predictions).long()
            if not options.is_onehot_targets:
                channels = 1 if options.num_classes else self._channels
                no_class = shared.without_class(math.prod(predictions.shape[1:]) // channels)
            elif not compared and options.data_format == "channels_first":
                overlaps = noted.has_overlap(build_ctx.label).long()  # type: ignore[arg-type]  # not None: it was counted
        return [no_class, outside, overlaps]

    def contradictions(self, totals: Totals) -> Iterator[tuple[str, str]]:
        """Report labels that are not a class, a missing or second activation, and classes that overlap."""
        options, sums, samples = self.options, totals.sums, totals.counts[noted.RANGE]
        if n := int(sums[noted.NO_CLASS]):
            yield noted.NO_CLASS, noted.no_class(n, self._channels)
        if (n := int(sums[noted.RANGE])) and options.final_activation is None:
            yield noted.RANGE, noted.not_probabilities(n, samples, options.threshold, self._channels)
        elif n and n == samples:
            yield noted.RANGE, noted.already_probabilities(f"final_activation={options.final_activation!r}")
        if n := int(sums[noted.OVERLAP]):
            yield noted.OVERLAP, noted.overlap(n, samples, "pass is_independent_predictions=True")
