"""The mean prediction over annotated voxels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.counting.means import valid_sums
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.contradictions import RANGE, already_probabilities, within_probabilities
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.running import Totals
    from monai_auxops.ops.options import OpOptions


class ReduceMeanMasked(AuxiliaryOperation):
    """The mean of the predictions over valid entries, and a mask of where there were any.

    An entry is valid if it is finite and, where the label has or broadcasts to the predictions' shape, its label is
    neither NaN nor negative (Clara's "not annotated").

    Args:
        tag: name of the mean; NaN where nothing was valid.
        mask_tag: name of the mask, 1.0 where at least one valid entry was reduced. Default ``tag + "_mask"``.
        axis: axes to reduce, counted on the batched tensor ``[B, C, *S]`` as in TensorFlow: an axis, a list, or None
            for one value per sample. The mean is accumulated only if one value per sample remains.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        final_activation: ``"sigmoid"`` or ``"softmax"`` (over channels), applied before the mean.
        **options: for every aux-op, see ``AuxiliaryOperation``.

    Raises:
        ValueError: an axis that the predictions do not have.

    Examples:
        >>> mean = ReduceMeanMasked("mean")
        >>> out = mean(torch.tensor([[[0.2, 0.4, 0.9]]]), torch.tensor([[[1, 0, -1]]]))
        >>> out["mean"], out["mean_mask"]
        (tensor([0.3000]), tensor([1.]))

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.ReduceMeanMasked``.
    """

    def __init__(
        self,
        tag: str,
        mask_tag: str | None = None,
        axis: int | Sequence[int] | None = None,
        do_summary: bool = True,
        do_print: bool = True,
        *,
        final_activation: str | None = None,
        **options: Unpack[OpOptions],
    ) -> None:
        self.tag, self.mask_tag, self.axis = check_tag(tag, self), mask_tag, axis
        self.final_activation = final_activation
        super().__init__(do_summary, do_print, **options)
        self._mask_tag = check_tag(f"{tag}_mask" if mask_tag is None else mask_tag, self)
        if self._mask_tag == tag:
            self.fail(f"mask_tag to differ from tag, got {tag!r} twice")
        if final_activation not in (None, "sigmoid", "softmax"):
            self.fail(f"final_activation to be None, 'sigmoid' or 'softmax', got {final_activation!r}")
        if axis is not None and not all(isinstance(x, int) for x in (axis if isinstance(axis, Sequence) else [axis])):
            self.fail(f"axis to be an integer, a list of integers or None, got {axis!r}")
        self.accumulated = (tag,) if axis is None else None
        self.sum_tags = () if final_activation is None else (RANGE,)

    @property
    def definition(self) -> str:
        """The options that a loaded state must agree on."""
        return f"axis={self.axis}, final_activation={self.final_activation!r}"

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """Return ``{tag: mean, mask_tag: mask}``, both reduced over the same axes."""
        axes = self._axes(predictions.dim())
        self.without_batch_axis = (self.tag, self._mask_tag) if 0 in axes else ()
        per_sample = set(axes) == set(range(1, predictions.dim()))
        if self.accumulated is None:
            self.accumulated, self.unsettled = (self.tag,) if per_sample else (), True
        if self.final_activation == "softmax" and predictions.dim() == 1:
            raise ValueError(
                "expected predictions [B, C, *S] with final_activation='softmax', got one logit per sample"
            )
        total, number = valid_sums(predictions, align_label(label, predictions), axes, self.final_activation)
        dtype = torch.float64 if predictions.dtype == torch.float64 else torch.float32
        return {self.tag: (total / number).to(dtype), self._mask_tag: (number > 0).float()}  # 0 / 0 is NaN

    def sums(self, build_ctx: BuildContext) -> Tensor:
        """Count samples whose predictions are probabilities before the activation."""
        return within_probabilities(build_ctx.predictions).long()[None]

    def contradictions(self, totals: Totals) -> Iterator[tuple[str, str]]:
        """Report an activation that is applied to probabilities."""
        if totals.sums[RANGE] == totals.counts[RANGE] > 0:
            yield RANGE, already_probabilities(f"final_activation={self.final_activation!r}")

    def _axes(self, dims: int) -> list[int]:
        if self.axis is None:
            return list(range(1, dims))
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        if not all(-dims <= axis < dims for axis in axes):
            raise ValueError(f"expected axis within the {dims} axes of the predictions, got {self.axis}")
        return sorted({axis % dims for axis in axes})


def align_label(label: Tensor | None, values: Tensor) -> Tensor | None:
    """Return the label with the axes of ``values``; None if it cannot mark a value as invalid.

    That is a label which does not broadcast to their shape, or whose dtype has neither NaN nor negative numbers.
    """
    if label is None or not label.dtype.is_signed:
        return None
    if values.dim() == 1 and label.shape == (len(values), 1):
        label = label[:, 0]
    elif values.dim() > 1 and label.shape == values.shape[:1] + values.shape[2:]:
        label = label.unsqueeze(1)
    if label.dim() != values.dim():
        return None
    fits = all(mine in (1, theirs) for mine, theirs in zip(label.shape, values.shape, strict=True))
    return label if fits else None
