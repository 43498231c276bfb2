"""Accuracy: the share of correct predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.core.group import Formula
from monai_auxops.core.shared_counts import shared_counts
from monai_auxops.counting.counts import Counts
from monai_auxops.counting.elements import Shares, shares_of_classes, shares_of_elements
from monai_auxops.counting.epilogue import NOTHING, WITHOUT_CLASS, Column
from monai_auxops.counting.ignored import ignored_labels
from monai_auxops.counting.reading import Reading
from monai_auxops.ops import contradictions as noted
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.running import Totals
    from monai_auxops.ops.options import OpOptions


class ComputeAccuracy(AuxiliaryOperation):
    """The share of elements where the rounded prediction equals the label, per sample.

    If predictions and label have the same shape, elements are compared: ``(p > 0.5) == (y > 0.5)``. For class scores
    ``[B, C, *S]`` and class indices ``[B, 1, *S]``, the argmax is compared. NaN, negative and out-of-range labels are
    left out; a NaN prediction is never correct.

    On one-hot labels the element-wise share is inflated: guessing among C classes scores ``1 - 2 (C - 1) / C**2``, 0.98
    for 105 classes. ``exclusive=True`` compares the argmax instead.

    Args:
        tag: name of the value ``[B]``.
        use_sigmoid: first apply a sigmoid to predictions of the label's shape.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        exclusive: labels ``[B, C, *S]`` are one-hot: compare the argmax over channels.
        final_activation: ``"sigmoid"`` is the same as ``use_sigmoid``; ``"softmax"`` fits only class indices or
            ``exclusive``.
        ignore_index: a label, or a list of labels, to leave out, such as 255; for one-hot labels with ``exclusive`` the
            voxels of these channels.
        mask_key: a tensor ``[B, 1, *S]`` of the batch, or of an earlier aux-op: only voxels where it is positive count.
        num_classes: predictions are class indices ``[B, 1, *S]`` out of this many classes instead of scores.
        **options: for every aux-op, see ``AuxiliaryOperation``.

    Raises:
        ValueError: shapes that do not fit, both ``use_sigmoid`` and ``final_activation``, a softmax of binary labels.

    Examples:
        >>> import torch
        >>> accuracy = ComputeAccuracy("accuracy", use_sigmoid=True)
        >>> _ = accuracy(torch.tensor([[2.0, -1.0, -3.0]]), torch.tensor([[1, 0, 1]]))
        >>> accuracy.aggregate()
        {'accuracy': 0.6666666865348816}

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.ComputeAccuracy``.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)
    sum_tags = (noted.NO_CLASS, noted.RANGE, noted.OVERLAP, noted.ONE_HOT)
    _channels = 0  # of the last batch

    def __init__(
        self,
        tag: str,
        use_sigmoid: bool = False,
        do_summary: bool = True,
        do_print: bool = True,
        *,
        exclusive: bool = False,
        final_activation: str | None = None,
        ignore_index: int | Sequence[int] | None = None,
        mask_key: str | None = None,
        num_classes: int | None = None,
        **options: Unpack[OpOptions],
    ) -> None:
        self.tag, self.use_sigmoid, self.exclusive = check_tag(tag, self), use_sigmoid, exclusive
        self.final_activation, self.num_classes = final_activation, num_classes
        self.ignore_index, self.mask_key = ignore_index, mask_key
        super().__init__(do_summary, do_print, **options)
        if final_activation not in (None, "sigmoid", "softmax"):
            self.fail(f"final_activation to be None, 'sigmoid' or 'softmax', got {final_activation!r}")
        if use_sigmoid and final_activation is not None:
            self.fail("use_sigmoid or final_activation, got both")
        try:
            self._indices = Reading(ignore_index=ignore_index, num_classes=num_classes)
            self._onehot = Reading(is_onehot_targets=True, ignore_index=ignore_index, num_classes=num_classes)
        except ValueError as error:
            raise ValueError(f"{self!r}: {error}") from None
        self._sigmoid = use_sigmoid or final_activation == "sigmoid"
        self.accumulated = (tag,)

    @property
    def definition(self) -> str:
        """The options that a loaded state must agree on."""
        return f"{self._indices}, exclusive={self.exclusive}, mask_key={self.mask_key!r}, sigmoid={self._sigmoid}"

    @property
    def _cut(self) -> float:
        """The threshold above which an element is positive."""
        return 0.0 if self._sigmoid else 0.5

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """``{tag: [B]}``."""
        reading = self._reading(build_ctx)
        if reading is None:
            return {self.tag: self._element_shares(build_ctx).accuracy()}
        counts = shared_counts(build_ctx, reading, self.mask_key).counts
        return {self.tag: shares_of_classes(Counts(*map(reading.select_measured, counts))).accuracy()}

    def _reading(self, build_ctx: BuildContext) -> Reading | None:
        """Return how classes are read; None if elements are compared."""
        predictions, label = _with_channels(build_ctx, self._indices)
        same = predictions.shape == label.shape
        if self.num_classes is not None:
            return self._indices if label.shape[1] == 1 else self._onehot
        if same and not self.exclusive:
            if self.final_activation == "softmax":
                raise ValueError(
                    "expected class indices with final_activation='softmax', got a label of the same shape"
                )
            return None
        if predictions.shape[1] == 1:
            if self.exclusive and same:
                raise ValueError("exclusive compares the argmax over channels; expected at least 2 channels, got 1")
            raise ValueError(
                f"expected a label of the predictions' shape {list(predictions.shape)}, got {list(label.shape)}"
            )
        return self._onehot if same else self._indices

    def _element_shares(self, build_ctx: BuildContext) -> Shares:
        ignored = ignored_labels(self.ignore_index)

        def compute() -> Shares:
            predictions, label = _with_channels(build_ctx, self._indices)
            return shares_of_elements(predictions, label, self._cut, ignored, self._mask(label, build_ctx))

        return build_ctx.once(("elements", self._cut, ignored, self.mask_key), compute)

    def _mask(self, label: Tensor, build_ctx: BuildContext) -> Tensor | None:
        if self.mask_key is None:
            return None
        mask = build_ctx.from_batch(self.mask_key)
        expected = [len(label), 1, *label.shape[2:]]
        if list(mask.shape) != expected:
            raise ValueError(f"expected a mask {expected}, got {list(mask.shape)}")
        return mask.expand(label.shape)

    def formula(self, build_ctx: BuildContext) -> Formula | None:
        """Return how the share of correct classes follows from counts; None if elements are compared."""
        reading = self._reading(build_ctx)
        if reading is None or build_ctx.get(self.mask_key or "") is not None:
            return None
        shared = shared_counts(build_ctx, reading, self.mask_key)
        classes = tuple(reading.classes(shared.counts.tp.shape[1]))
        asks = reading.is_onehot_targets or shared.left_out is not None or reading.num_classes is not None
        self._channels = shared.counts.tp.shape[1]
        speaks = noted.is_first_reader(self, build_ctx, shared.key)
        notes = () if asks else (WITHOUT_CLASS if speaks else NOTHING, NOTHING, NOTHING, NOTHING)
        return Formula(reading, self.mask_key, (Column("recall", classes, pooled=True), *notes), asks)

    def sums(self, build_ctx: BuildContext) -> Tensor:
        """Count per sample what contradicts the options.

        Labels that are not a class; samples whose predictions are not what the options say; labels that overlap under
        an argmax, and labels that are one-hot although elements are compared.
        """
        reading, (predictions, label) = self._reading(build_ctx), _with_channels(build_ctx, self._indices)
        nothing = torch.zeros(build_ctx.batch_size, dtype=torch.int64, device=predictions.device)
        no_class = outside = overlaps = one_hot = nothing
        self._channels = predictions.shape[1] if reading is None else reading.num_classes or predictions.shape[1]
        if reading is None:
            check = noted.within_probabilities if self._sigmoid else noted.beyond_probabilities
            no_class, outside = self._element_shares(build_ctx).above, check(predictions).long()
            if self._channels > 1 and label.numel():
                one_hot = noted.is_one_hot(label).long()
        elif not reading.is_onehot_targets:
            shared = shared_counts(build_ctx, reading, self.mask_key)
            if noted.is_first_reader(self, build_ctx, shared.key):
                no_class = shared.without_class(math.prod(predictions.shape[2:]))
        elif self.num_classes is None:
            overlaps = noted.has_overlap(label).long()
        return torch.stack([no_class, outside, overlaps, one_hot])

    def contradictions(self, totals: Totals) -> Iterator[tuple[str, str]]:
        """Report labels that are not a class, overlap or are one-hot, and a missing or second activation."""
        sums, samples = totals.sums, totals.counts[noted.RANGE]
        if n := int(sums[noted.NO_CLASS]):
            yield noted.NO_CLASS, noted.no_class(n, self._channels)
        if (n := int(sums[noted.RANGE])) and not self._sigmoid:
            yield noted.RANGE, noted.not_probabilities(n, samples, 0.5, self._channels)
        elif n and n == samples:
            option = "use_sigmoid=True" if self.use_sigmoid else "final_activation='sigmoid'"
            yield noted.RANGE, noted.already_probabilities(option)
        if n := int(sums[noted.OVERLAP]):
            yield noted.OVERLAP, noted.overlap(n, samples, "leave out exclusive=True")
        if sums[noted.ONE_HOT] == samples > 0:
            message = "the labels look one-hot, which inflates this accuracy; pass exclusive=True to compare classes"
            yield noted.ONE_HOT, message


def _with_channels(build_ctx: BuildContext, reading: Reading) -> tuple[Tensor, Tensor]:
    predictions, label = build_ctx.predictions, build_ctx.label
    if label is None:
        raise ValueError("expected a label, got None")
    predictions = reading.with_channel(predictions, label)
    if label.shape == predictions.shape[:1] + predictions.shape[2:]:
        label = label.unsqueeze(1)
    return predictions, label
