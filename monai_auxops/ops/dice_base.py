"""What ComputeDice and DiceMaskedOutput share: the options, and Dice per sample and class from voxel counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import repeat

import torch
from torch import Tensor

from monai_auxops.core.context import BuildContext
from monai_auxops.core.ranks import Gather
from monai_auxops.core.running import RunningMean, Totals
from monai_auxops.counting.counts import Counts, count
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.overlap import PER_SAMPLE, POOLED, STATISTICS, overlap, pooled_rows, pooled_tags, pooled_values

ACTIVATIONS = (None, "sigmoid", "softmax")


class DiceOperation(AuxiliaryOperation):
    """Base of the Dice aux-ops: Clara's options, and what goes beyond them, named once.

    Args:
        class_names: of the classes (after ``skip_background``); each gets a value under ``<tag>/<class>``.
        statistics: what else to report from the same counts. Per sample, as means over samples: ``"precision"``,
            ``"recall"``, ``"specificity"``, ``"balanced_accuracy"``, with the classes' names also per class. Over the
            whole epoch, and only with names: ``"global"``, the overlap of all voxels together as nnU-Net reports it
            (``<tag>_global``), and ``"support"``, the number of samples in which a class occurred.
        empty_value: the value where a class is in neither label nor prediction: NaN (Clara: an absent class is never
            counted), or a number; then a class predicted where there is none scores 0.
        ignore_index: voxels with this label are left out; of one-hot labels those of this channel.
        mask_key: a tensor ``[B, 1, *S]`` of the batch, or of an earlier aux-op: only voxels where it is positive count.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)
    _looked = False
    _left_over: Tensor | None = None
    cause_of_nothing = "; is each class absent, or are the labels no class indices (masks of 0 and 255)?"

    def __init__(
        self,
        data_format: str = "channels_first",
        skip_background: bool = False,
        is_onehot_targets: bool = False,
        is_independent_predictions: bool = False,
        jaccard: bool = False,
        threshold: float = 0.5,
        do_summary: bool = True,
        do_print: bool = True,
        *,
        final_activation: str | None = None,
        stage: str = "raw",
        class_names: Sequence[str] | None = None,
        statistics: Sequence[str] = (),
        empty_value: float = math.nan,
        ignore_index: int | None = None,
        mask_key: str | None = None,
    ) -> None:
        self.data_format = data_format
        self.skip_background = skip_background
        self.is_onehot_targets = is_onehot_targets
        self.is_independent_predictions = is_independent_predictions
        self.jaccard = jaccard
        self.threshold = threshold
        self.final_activation = final_activation
        self.class_names, self.statistics, self.empty_value = class_names, statistics, empty_value
        self.ignore_index, self.mask_key = ignore_index, mask_key
        super().__init__(do_summary, do_print, stage=stage)
        self._check()
        wanted = bool(set(statistics) & set(POOLED))
        self._pooled = RunningMean(pooled_tags(class_names)) if class_names and wanted else None

    def _check(self) -> None:
        threshold, names = self.threshold, self.class_names
        if self.data_format not in ("channels_first", "channels_last"):
            self.fail(f"data_format to be 'channels_first' or 'channels_last', got {self.data_format!r}")
        if self.final_activation not in ACTIVATIONS:
            self.fail(f"final_activation to be one of {ACTIVATIONS}, got {self.final_activation!r}")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or threshold != threshold:
            self.fail(f"threshold to be a number, got {threshold!r}")
        if self.final_activation is not None and not 0 < threshold < 1:
            self.fail(f"0 < threshold < 1, a probability, with {self.final_activation!r}, got {threshold}")
        if names is not None and (isinstance(names, str) or not names or len(set(names)) < len(names)):
            self.fail(f"class_names to be a list of different names, got {names!r}")
        if isinstance(self.statistics, str) or not set(self.statistics) <= set(STATISTICS):
            self.fail(f"statistics to be a list out of {STATISTICS}, got {self.statistics!r}")
        if names is None and set(self.statistics) & set(POOLED):
            self.fail(f"class_names with {self.statistics!r}, which are per class, got none")

    def all_tags(self, tags: Sequence[str]) -> tuple[str, ...]:
        """``tags`` and what the names and statistics add to them."""
        names, wanted = self.class_names or (), [name for name in self.statistics if name not in POOLED]
        more = [f"{tag}/{name}" for tag in (tags[0], *wanted) for name in names]
        return (*tags, *wanted, *more)

    def named(self, tag: str, dice: Tensor, build_ctx: BuildContext) -> dict[str, Tensor]:
        """What the names and statistics add to the outputs, ``[B]`` each."""
        names = self.class_names or ()
        if not names and not self.statistics:
            return {}
        counts = self.counts(build_ctx.predictions, build_ctx.label, build_ctx)
        if names and len(names) != dice.shape[1]:
            raise ValueError(f"expected {dice.shape[1]} class_names, one for each class, got {list(names)}")
        wanted = {name: PER_SAMPLE[name](counts) for name in self.statistics if name in PER_SAMPLE}
        outputs = {name: value.nanmean(1) for name, value in wanted.items()}
        for key, value in ({tag: dice} | wanted).items():
            outputs |= {f"{key}/{name}": column for name, column in zip(names, value.unbind(1), strict=False)}
        return outputs

    def _accumulate(self, outputs: dict[str, Tensor], build_ctx: BuildContext) -> None:
        super()._accumulate(outputs, build_ctx)
        if self._pooled is not None:
            counts = self.counts(build_ctx.predictions, build_ctx.label, build_ctx)
            self._pooled.update(pooled_rows(counts, self.jaccard))

    @property
    def states(self) -> list[RunningMean]:
        """The means, and the pooled sums where they are wanted."""
        return super().states + ([] if self._pooled is None else [self._pooled])

    def values_of(self, totals: Totals) -> dict[str, float]:
        """The means, and the pooled statistics of all voxels of the epoch."""
        means, names, tags = totals.means(), self.class_names or (), self.accumulated or ()
        values = {tag: means[tag] for tag in tags}
        return values | pooled_values(totals, names, tags[0], self.statistics)

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
    def epoch_tags(self) -> tuple[str, ...] | None:
        """All tags with an epoch value."""
        return tuple(self.values_of(Totals.of(self.states, repeat(0.0))))

    def counts(self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext) -> Counts:
        """The counts of the classes that are looked at, shared with every aux-op that declares the same."""
        counts, _ = self._shared(predictions, label, build_ctx)
        first = int(self.skip_background)
        return Counts(*(x[:, first:] for x in counts)) if first else counts

    def overlaps(self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext) -> tuple[Tensor, Tensor]:
        """Dice of the classes that are looked at ``[B, C']``, and its mean over valid classes ``[B]``.

        Computed once for all aux-ops that declare the same; copies, for what an op leaves others may change.
        """
        counts, key = self._shared(predictions, label, build_ctx)
        key = ("overlap", *key, self.jaccard, repr(self.empty_value))
        dice = build_ctx.once(key, lambda: overlap(counts, self.jaccard, self.empty_value))
        dice = dice[:, int(self.skip_background) :]
        mean = build_ctx.once((*key, self.skip_background), lambda: dice.nanmean(1))
        return dice.clone(), mean.clone()

    def _shared(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> tuple[Counts, tuple[object, ...]]:
        """The counts of all classes, and the key that says what they depend on."""
        predictions = predictions[:, None] if predictions.dim() == 1 else predictions  # one logit a sample
        key: tuple[object, ...] = ("counts", self.data_format, self.is_onehot_targets, self._thresholds(predictions))
        if self._leaves_out:
            key += (self.ignore_index, self.mask_key)
        counts = build_ctx.once(key, lambda: self._count(predictions, label, build_ctx))
        if self.skip_background and counts.tp.shape[1] == 1:
            raise ValueError("skip_background drops class 0, expected at least 2 channels, got 1")
        if not self._looked:
            self._look(counts, predictions, build_ctx, key)
        return counts, key

    def _look(self, counts: Counts, predictions: Tensor, build_ctx: BuildContext, key: tuple[object, ...]) -> None:
        """Note how many voxels of the first batch (or decollated sample) have no class, for a warning at the epoch's
        end: no wait here."""
        self._looked = True
        declared = self.is_onehot_targets or self._leaves_out
        if not declared and build_ctx.once((*key, "left over"), lambda: self) is self:  # one aux-op says it
            voxels = predictions.numel() // max(1, counts.tp.shape[1])
            self._left_over = voxels - torch.stack(counts)[:, :, 0].sum()

    def _thresholds(self, predictions: Tensor) -> tuple[float, str | None] | None:
        """What the counts depend on: None where classes exclude each other, for then an activation changes nothing."""
        channels = predictions.shape[-1 if self.data_format == "channels_last" else 1]
        if not self.is_independent_predictions and channels > 1:
            return None
        if self.final_activation == "softmax" and channels == 1:
            raise ValueError("a softmax over one channel is always 1; expected final_activation='sigmoid'")
        return self.threshold, self.final_activation

    def _count(self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext) -> Counts:
        if label is None:
            raise ValueError("expected a label, got None")
        left_out = self._left_out(label, predictions.dim(), build_ctx)
        if self.data_format == "channels_last":
            predictions, label = predictions.movedim(-1, 1), channels_first(label, predictions.dim())
        threshold, independent = self.threshold, self.is_independent_predictions or predictions.shape[1] == 1
        if independent and self.final_activation == "sigmoid":
            threshold = math.log(threshold / (1 - threshold))
        elif independent and self.final_activation == "softmax":
            predictions = torch.softmax(predictions.float(), 1)
        onehot = self.is_onehot_targets
        if left_out is not None:
            predictions, label = without(predictions, label, left_out, onehot)
        counts = count(predictions, label, independent=independent, onehot=onehot, threshold=threshold)
        if left_out is None or not onehot:
            return counts
        return counts._replace(tn=counts.tn - left_out.flatten(1).sum(1, keepdim=True))

    @property
    def _leaves_out(self) -> bool:
        return self.ignore_index is not None or self.mask_key is not None

    def _left_out(self, label: Tensor, dims: int, build_ctx: BuildContext) -> Tensor | None:
        """Where voxels do not count, ``[B, 1, *S]``; None if all do."""
        if not self._leaves_out:
            return None
        label = channels_first(label, dims) if self.data_format == "channels_last" else label
        label = label if label.dim() == dims else label.unsqueeze(1)
        left_out = torch.zeros_like(label[:, :1], dtype=torch.bool)
        if self.ignore_index is not None:
            index = self.ignore_index
            left_out = label[:, index : index + 1] > 0.5 if self.is_onehot_targets else label == index
        if self.mask_key is not None:
            mask = build_ctx.from_batch(self.mask_key)
            mask = channels_first(mask, dims) if self.data_format == "channels_last" else mask
            if mask.shape != left_out.shape:
                raise ValueError(f"expected {self.mask_key!r} {list(left_out.shape)}, got {list(mask.shape)}")
            left_out = left_out | ~(mask > 0)
        return left_out


def channels_first(x: Tensor, dims: int) -> Tensor:
    """``x`` with its last axis as channels, if it has ``dims`` axes; else as it is."""
    return x.movedim(-1, 1) if x.dim() == dims else x


def without(predictions: Tensor, label: Tensor, left_out: Tensor, onehot: bool) -> tuple[Tensor, Tensor]:
    """The same with nothing predicted and nothing labelled where a voxel is left out."""
    if onehot:
        predictions = predictions if predictions.is_floating_point() else predictions.float()
        return predictions.masked_fill(left_out, math.nan), label.masked_fill(left_out, 0)
    label = label if label.dim() == left_out.dim() else label.unsqueeze(1)
    signed = label if label.is_floating_point() else label.long()
    return predictions, signed.masked_fill(left_out, -1)
