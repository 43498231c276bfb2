"""What ComputeDice and DiceMaskedOutput share: the options, and Dice per sample and class from voxel counts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from monai_auxops.context import BuildContext
from monai_auxops.counts import Counts, count
from monai_auxops.ops.base import AuxiliaryOperation

ACTIVATIONS = (None, "sigmoid", "softmax")


class DiceOperation(AuxiliaryOperation):
    """Base of the Dice aux-ops: Clara's options, named once."""

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
    ) -> None:
        self.data_format = data_format
        self.skip_background = skip_background
        self.is_onehot_targets = is_onehot_targets
        self.is_independent_predictions = is_independent_predictions
        self.jaccard = jaccard
        self.threshold = threshold
        self.final_activation = final_activation
        super().__init__(do_summary, do_print, stage=stage)
        if data_format not in ("channels_first", "channels_last"):
            self.fail(f"data_format to be 'channels_first' or 'channels_last', got {data_format!r}")
        if final_activation not in ACTIVATIONS:
            self.fail(f"final_activation to be one of {ACTIVATIONS}, got {final_activation!r}")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or threshold != threshold:
            self.fail(f"threshold to be a number, got {threshold!r}")
        if final_activation is not None and not 0 < threshold < 1:
            self.fail(f"0 < threshold < 1, a probability, with final_activation={final_activation!r}, got {threshold}")

    def per_class(self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext) -> Tensor:
        """Dice (or Jaccard) ``[B, C']`` per sample and class, NaN where the class is absent from the label."""
        predictions = predictions[:, None] if predictions.dim() == 1 else predictions  # one logit a sample
        key = ("counts", self.data_format, self.is_onehot_targets, self._thresholds(predictions))
        counts = build_ctx.once(key, lambda: self._count(predictions, label))
        if self.skip_background and counts.tp.shape[1] == 1:
            raise ValueError("skip_background drops class 0, expected at least 2 channels, got 1")
        first = int(self.skip_background)
        return overlap(Counts(*(x[:, first:] for x in counts)), self.jaccard)

    def _thresholds(self, predictions: Tensor) -> tuple[float, str | None] | None:
        """What the counts depend on: None where classes exclude each other, for then an activation changes nothing."""
        channels = predictions.shape[-1 if self.data_format == "channels_last" else 1]
        if not self.is_independent_predictions and channels > 1:
            return None
        if self.final_activation == "softmax" and channels == 1:
            raise ValueError("a softmax over one channel is always 1; expected final_activation='sigmoid'")
        return self.threshold, self.final_activation

    def _count(self, predictions: Tensor, label: Tensor | None) -> Counts:
        if label is None:
            raise ValueError("expected a label, got None")
        if self.data_format == "channels_last":
            predictions, label = predictions.movedim(-1, 1), self._channels_first(label, predictions.dim())
        threshold, independent = self.threshold, self._thresholds_apply(predictions)
        if independent and self.final_activation == "sigmoid":
            threshold = math.log(threshold / (1 - threshold))
        elif independent and self.final_activation == "softmax":
            predictions = torch.softmax(predictions.float(), 1)
        return count(predictions, label, independent=independent, onehot=self.is_onehot_targets, threshold=threshold)

    def _thresholds_apply(self, predictions: Tensor) -> bool:
        return self.is_independent_predictions or predictions.shape[1] == 1

    @staticmethod
    def _channels_first(label: Tensor, dims: int) -> Tensor:
        return label.movedim(-1, 1) if label.dim() == dims else label


def overlap(counts: Counts, jaccard: bool = False) -> Tensor:
    """``2 TP / (P + T)``, or with ``jaccard`` ``TP / (P + T - TP)``, per sample and class; NaN where ``T = 0``.

    >>> overlap(Counts(*torch.tensor([[[2, 0]], [[1, 3]], [[1, 0]], [[6, 7]]])))
    tensor([[0.6667,    nan]])

    Source: L. R. Dice, Measures of the amount of ecologic association between species, Ecology 26 (1945).
    """
    tp, fp, fn, _ = counts
    value = tp / (tp + fp + fn) if jaccard else 2 * tp / (2 * tp + fp + fn)
    return value.masked_fill(tp + fn == 0, float("nan"))
