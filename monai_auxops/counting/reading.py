"""How predictions and label become counts: the options that change what is counted, and the function that counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypedDict

import torch
from torch import Tensor

from monai_auxops.counting.counts import Counts, count, count_indices
from monai_auxops.counting.ignored import ignored_labels, is_integer, unlabeled, where_equal

ACTIVATIONS = (None, "sigmoid", "softmax")
_FLAGS = ("skip_background", "is_onehot_targets", "is_independent_predictions", "jaccard")


class ReadingOptions(TypedDict, total=False):
    """The fields of ``Reading`` as keyword arguments."""

    data_format: str
    skip_background: bool
    is_onehot_targets: bool
    is_independent_predictions: bool
    threshold: float
    final_activation: str | None
    ignore_index: int | Sequence[int] | None
    num_classes: int | None


@dataclass(frozen=True)
class Reading:
    """The options that say how a batch is read; they are checked once.

    Args:
        data_format: ``"channels_first"`` or ``"channels_last"``.
        skip_background: leave out class 0.
        is_onehot_targets: the label is ``[B, C, *S]`` instead of indices ``[B, 1, *S]``.
        is_independent_predictions: channels do not exclude each other (sigmoid).
        threshold: on probabilities, where predictions are thresholded.
        final_activation: the activation that the network leaves out: None (it emits probabilities), ``"sigmoid"`` or
            ``"softmax"``.
        ignore_index: a label, or a list of labels, whose voxels are left out; of one-hot labels the voxels of these
            channels. A class among them is left out of every mean, name and statistic as well.
        num_classes: predictions are class indices ``[B, 1, *S]`` out of this many classes instead of scores.

    Raises:
        ValueError: an option has an invalid value.
    """

    data_format: str = "channels_first"
    skip_background: bool = False
    is_onehot_targets: bool = False
    is_independent_predictions: bool = False
    threshold: float = 0.5
    final_activation: str | None = None
    ignore_index: int | Sequence[int] | None = None
    num_classes: int | None = None

    def __post_init__(self) -> None:
        threshold, classes = self.threshold, self.num_classes
        for name in {field.name for field in fields(self)}.intersection(_FLAGS):
            if getattr(self, name) not in (True, False):
                raise ValueError(f"expected {name} to be True or False, got {getattr(self, name)!r}")
        if self.data_format not in ("channels_first", "channels_last"):
            raise ValueError(
                f"expected data_format to be 'channels_first' or 'channels_last', got {self.data_format!r}"
            )
        if self.final_activation not in ACTIVATIONS:
            raise ValueError(f"expected final_activation to be one of {ACTIVATIONS}, got {self.final_activation!r}")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or math.isnan(threshold):
            raise ValueError(f"expected threshold to be a number, got {threshold!r}")
        if self.final_activation is not None and not 0 < threshold < 1:
            raise ValueError(
                f"expected 0 < threshold < 1, a probability, with {self.final_activation!r}, got {threshold}"
            )
        ignored_labels(self.ignore_index)
        if classes is not None and (not is_integer(classes) or classes < 2):
            raise ValueError(f"expected num_classes to be an integer of at least 2, got {classes!r}")
        if classes is not None and (self.is_independent_predictions or self.final_activation):
            raise ValueError("expected scores with is_independent_predictions or final_activation, got num_classes")

    def with_channel(self, predictions: Tensor, label: Tensor | None) -> Tensor:
        """Return the predictions with a channel axis, which one logit per sample and class indices ``[B, *S]`` lack."""
        if predictions.dim() == 1:
            return predictions[:, None]
        if self.num_classes is None or label is None or label.dim() == 1:
            return predictions
        channel = -1 if self.data_format == "channels_last" else 1
        labeled = label.dim() - 1 if self.is_onehot_targets or label.shape[channel] == 1 else label.dim()
        return predictions.unsqueeze(channel) if predictions.dim() == labeled else predictions

    def cut(self, predictions: Tensor) -> tuple[float, str | None] | None:
        """Return what the counts depend on; None if classes are exclusive, where an activation changes nothing.

        Returns:
            The threshold on probabilities and the activation before it.
        """
        channels = predictions.shape[-1 if self.data_format == "channels_last" else 1]
        if self.num_classes is not None or (not self.is_independent_predictions and channels > 1):
            return None
        if self.final_activation == "softmax" and channels == 1:
            raise ValueError("a softmax over one channel is always 1; expected final_activation='sigmoid'")
        return self.threshold, self.final_activation

    def classes(self, number: int) -> list[int]:
        """Return the classes out of ``number`` that are measured; ``ValueError`` if there are none.

        One channel is one class, whose labels are 0 and 1: ignoring one of them keeps the class.
        """
        if number == 1:
            if self.skip_background:
                raise ValueError("skip_background drops class 0, expected at least 2 channels, got 1")
            return [0]
        out = ignored_labels(self.ignore_index)
        if self.is_onehot_targets and not all(0 <= index < number for index in out):
            raise ValueError(
                f"expected ignore_index within the channels 0..{number - 1} of one-hot labels, got {self.ignore_index}"
            )
        left = [c for c in range(int(self.skip_background), number) if c not in out]
        if not left:
            raise ValueError(f"expected at least one class that is not left out, got {number} classes and {self}")
        return left

    def select_measured(self, values: Tensor) -> Tensor:
        """Select the columns ``[B, C']`` of the measured classes from ``[B, C]``."""
        classes = self.classes(values.shape[1])
        first, last = classes[0], classes[-1]
        if last - first + 1 == len(classes):
            return values[:, first : last + 1]
        return torch.stack([values[:, c] for c in classes], 1)  # indexing with a list would synchronize with a GPU

    def left_out(self, label: Tensor | None, dims: int, mask: Tensor | None = None) -> Tensor | None:
        """Return where voxels are not counted, ``[B, 1, *S]``; None if all are.

        Args:
            label: the label, with or without its channel.
            dims: the number of dimensions of the predictions.
            mask: ``[B, 1, *S]`` in the predictions' format; only voxels where it is positive count.
        """
        ignored = ignored_labels(self.ignore_index)
        if label is None or not (ignored or mask is not None):
            return None
        label = channels_first(label, dims) if self.data_format == "channels_last" else label
        label = label if label.dim() == dims else label.unsqueeze(1)
        left_out = torch.zeros_like(label[:, :1], dtype=torch.bool)
        if self.is_onehot_targets and ignored:
            self.classes(label.shape[1])
        for index in ignored:
            here = label[:, index : index + 1] > 0.5 if self.is_onehot_targets else where_equal(label, index)
            left_out = left_out | here
        if mask is None:
            return left_out
        mask = channels_first(mask, dims) if self.data_format == "channels_last" else mask
        if mask.shape != left_out.shape:
            raise ValueError(f"expected a mask {list(left_out.shape)}, got {list(mask.shape)}")
        return left_out | ~(mask > 0)


def count_for(reading: Reading, predictions: Tensor, label: Tensor | None, left_out: Tensor | None = None) -> Counts:
    """Count all classes of a batch ``[B, C]`` as ``reading`` says, including background and ignored classes.

    Args:
        reading: the options.
        predictions: ``[B, C, *S]``, or ``[B]`` with one logit per sample.
        label: class indices or one-hot.
        left_out: where voxels are not counted, from ``Reading.left_out``.
    """
    if label is None:
        raise ValueError("expected a label, got None")
    predictions = reading.with_channel(predictions, label)
    dims, cut, onehot = predictions.dim(), reading.cut(predictions), reading.is_onehot_targets
    if reading.data_format == "channels_last":
        predictions, label = predictions.movedim(-1, 1), channels_first(label, dims)
    if left_out is not None:
        label = unlabeled(label, left_out, onehot)
    if reading.num_classes is not None:
        return count_indices(predictions, label, reading.num_classes, onehot=onehot)
    threshold = reading.threshold
    if cut is not None and reading.final_activation == "sigmoid":
        threshold = math.log(threshold / (1 - threshold))
    elif cut is not None and reading.final_activation == "softmax":
        predictions = torch.softmax(predictions.float(), 1)
    return count(predictions, label, independent=cut is not None, onehot=onehot, threshold=threshold)


def channels_first(x: Tensor, dims: int) -> Tensor:
    """Move the last axis of ``x`` to the channels if it has ``dims`` axes; otherwise return it unchanged."""
    return x.movedim(-1, 1) if x.dim() == dims else x
