"""How predictions and label become counts: the options that change what is counted, and the one function of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from monai_auxops.counting.counts import Counts, count

ACTIVATIONS = (None, "sigmoid", "softmax")


class ReadingOptions(TypedDict, total=False):
    """The fields of :class:`Reading` as keyword arguments."""

    data_format: str
    skip_background: bool
    is_onehot_targets: bool
    is_independent_predictions: bool
    threshold: float
    final_activation: str | None
    ignore_index: int | None


@dataclass(frozen=True)
class Reading:
    """How a batch is read, checked once.

    Args:
        data_format: ``"channels_first"`` or ``"channels_last"``.
        skip_background: leave out class 0.
        is_onehot_targets: the label is ``[B, C, *S]`` instead of indices ``[B, 1, *S]``.
        is_independent_predictions: channels do not exclude each other (sigmoid).
        threshold: on probabilities, where predictions are thresholded.
        final_activation: what the network left out: None (it emits probabilities), ``"sigmoid"`` or ``"softmax"``.
        ignore_index: voxels with this label are left out; of one-hot labels those of this channel.

    Raises:
        ValueError: a value that an option cannot have.
    """

    data_format: str = "channels_first"
    skip_background: bool = False
    is_onehot_targets: bool = False
    is_independent_predictions: bool = False
    threshold: float = 0.5
    final_activation: str | None = None
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        threshold = self.threshold
        if self.data_format not in ("channels_first", "channels_last"):
            raise ValueError(
                f"expected data_format to be 'channels_first' or 'channels_last', got {self.data_format!r}"
            )
        if self.final_activation not in ACTIVATIONS:
            raise ValueError(f"expected final_activation to be one of {ACTIVATIONS}, got {self.final_activation!r}")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or threshold != threshold:
            raise ValueError(f"expected threshold to be a number, got {threshold!r}")
        if self.final_activation is not None and not 0 < threshold < 1:
            raise ValueError(
                f"expected 0 < threshold < 1, a probability, with {self.final_activation!r}, got {threshold}"
            )

    def cut(self, predictions: Tensor) -> tuple[float, str | None] | None:
        """What the counts depend on; None where classes exclude each other, since an activation changes nothing there.

        Returns:
            The threshold on probabilities and the activation before it.
        """
        channels = predictions.shape[-1 if self.data_format == "channels_last" else 1]
        if not self.is_independent_predictions and channels > 1:
            return None
        if self.final_activation == "softmax" and channels == 1:
            raise ValueError("a softmax over one channel is always 1; expected final_activation='sigmoid'")
        return self.threshold, self.final_activation

    def kept(self, counts: Counts) -> Counts:
        """The counts of the classes that are looked at: without class 0 where ``skip_background`` says so."""
        if not self.skip_background:
            return counts
        if counts.tp.shape[1] == 1:
            raise ValueError("skip_background drops class 0, expected at least 2 channels, got 1")
        return Counts(*(x[:, 1:] for x in counts))


def count_for(reading: Reading, predictions: Tensor, label: Tensor | None, mask: Tensor | None = None) -> Counts:
    """Count all classes of a batch ``[B, C]``, the background too, as ``reading`` says.

    Args:
        reading: the options.
        predictions: ``[B, C, *S]``, or ``[B]`` with one logit a sample.
        label: class indices or one-hot.
        mask: ``[B, 1, *S]``; only voxels where it is positive count.
    """
    if label is None:
        raise ValueError("expected a label, got None")
    predictions = predictions[:, None] if predictions.dim() == 1 else predictions
    cut = reading.cut(predictions)
    left_out = _left_out(reading, label, predictions.dim(), mask)
    if reading.data_format == "channels_last":
        predictions, label = predictions.movedim(-1, 1), channels_first(label, predictions.dim())
    threshold = reading.threshold
    if cut is not None and reading.final_activation == "sigmoid":
        threshold = math.log(threshold / (1 - threshold))
    elif cut is not None and reading.final_activation == "softmax":
        predictions = torch.softmax(predictions.float(), 1)
    onehot = reading.is_onehot_targets
    if left_out is not None:
        predictions, label = without(predictions, label, left_out, onehot)
    counts = count(predictions, label, independent=cut is not None, onehot=onehot, threshold=threshold)
    if left_out is None or not onehot:
        return counts
    return counts._replace(tn=counts.tn - left_out.flatten(1).sum(1, keepdim=True))


def _left_out(reading: Reading, label: Tensor, dims: int, mask: Tensor | None) -> Tensor | None:
    """Where voxels do not count, ``[B, 1, *S]``; None if all do."""
    index = reading.ignore_index
    if index is None and mask is None:
        return None
    last = reading.data_format == "channels_last"
    label = channels_first(label, dims) if last else label
    label = label if label.dim() == dims else label.unsqueeze(1)
    left_out = torch.zeros_like(label[:, :1], dtype=torch.bool)
    if index is not None:
        left_out = label[:, index : index + 1] > 0.5 if reading.is_onehot_targets else label == index
    if mask is not None:
        mask = channels_first(mask, dims) if last else mask
        if mask.shape != left_out.shape:
            raise ValueError(f"expected a mask {list(left_out.shape)}, got {list(mask.shape)}")
        left_out = left_out | ~(mask > 0)
    return left_out


def channels_first(x: Tensor, dims: int) -> Tensor:
    """``x`` with its last axis as channels, if it has ``dims`` axes; else as it is."""
    return x.movedim(-1, 1) if x.dim() == dims else x


def without(predictions: Tensor, label: Tensor, left_out: Tensor, onehot: bool) -> tuple[Tensor, Tensor]:
    """The same with nothing predicted and nothing labeled where a voxel is left out."""
    if onehot:
        predictions = predictions if predictions.is_floating_point() else predictions.float()
        return predictions.masked_fill(left_out, math.nan), label.masked_fill(left_out, 0)
    label = label if label.dim() == left_out.dim() else label.unsqueeze(1)
    signed = label if label.is_floating_point() else label.long()
    return predictions, signed.masked_fill(left_out, -1)
