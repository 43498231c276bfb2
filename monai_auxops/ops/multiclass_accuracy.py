"""Accuracy of a network that predicts several labels at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.counting.overlap import ratio
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.contradictions import NO_CLASS, RANGE, beyond_probabilities, within_probabilities
from monai_auxops.ops.label_format import Alike, check_label_format, class_mask, join_alike, label_format_of, widen
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.running import Totals
    from monai_auxops.ops.options import OpOptions


class ComputeMulticlassAccuracy(AuxiliaryOperation):
    """The share of correctly predicted labels per sample: binary ones by ``> 0.5``, others by argmax.

    NaN, negative and out-of-range labels are left out; a label with NaN among its logits is wrong.

    Args:
        tag: name of the value ``[B]``.
        use_sigmoid_for_binary: the network emits logits for binary labels.
        use_softmax_for_multiclass: for old configurations; it has no effect on the argmax.
        use_sigmoid_for_accuracy: apply a second sigmoid to binary columns as Clara did, which makes each positive; it
            causes one warning.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        label_format: one integer per label: 1 binary with one logit, k a label of k classes with k logits. Default:
            ``label_format`` of the context's ``_data_property``.
        **options: for every aux-op, see ``AuxiliaryOperation``.

    Raises:
        ValueError: no label_format, or predictions ``[B, sum(label_format)]`` or labels ``[B, L]`` that do not fit.

    Examples:
        >>> accuracy = ComputeMulticlassAccuracy("accuracy", label_format=[3, 1])
        >>> _ = accuracy(torch.tensor([[0.1, 2.0, 0.3, -1.0]]), torch.tensor([[1, 1]]))
        >>> accuracy.aggregate()
        {'accuracy': 0.5}

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.ComputeMulticlassAccuracy``.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)
    sum_tags = (NO_CLASS, RANGE)

    def __init__(
        self,
        tag: str,
        use_sigmoid_for_binary: bool = True,
        use_softmax_for_multiclass: bool = True,
        use_sigmoid_for_accuracy: bool = False,
        do_summary: bool = True,
        do_print: bool = True,
        *,
        label_format: Sequence[int] | None = None,
        **options: Unpack[OpOptions],
    ) -> None:
        self.tag, self.label_format = check_tag(tag, self), label_format
        self.use_sigmoid_for_binary = use_sigmoid_for_binary
        self.use_softmax_for_multiclass = use_softmax_for_multiclass
        self.use_sigmoid_for_accuracy = use_sigmoid_for_accuracy
        super().__init__(do_summary, do_print, **options)
        check_label_format(label_format, self)
        self.accumulated = (tag,)

    def get_output_tensors(  # type: ignore[override]  # Clara's signature
        self, predictions: Tensor, labels: Tensor, build_ctx: BuildContext | None = None
    ) -> dict[str, Tensor]:
        """``{tag: [B]}``."""
        label_format = label_format_of(self.label_format, build_ctx)
        if label_format is None:
            raise ValueError("expected label_format= or _data_property['label_format'], got neither")
        alike = join_alike(predictions, labels, label_format)
        valid = [class_mask(labels.values, labels.classes) for labels in alike]
        right = [self._right(labels) & known for labels, known in zip(alike, valid, strict=True)]
        return {self.tag: ratio(_concatenate(right).sum(1), _concatenate(valid).sum(1))}

    def sums(self, build_ctx: BuildContext) -> Tensor:
        """Count labels above their classes, and samples whose binary columns contradict the options."""
        predictions, labels = build_ctx.predictions, build_ctx.label
        label_format = label_format_of(self.label_format, build_ctx) or ()
        alike = join_alike(predictions, labels, label_format)  # type: ignore[arg-type]  # not None: it was measured
        above = _concatenate([widen(labels.values) > max(labels.classes, 2) - 1 for labels in alike]).sum(1)
        binary = next((labels.logits[..., 0] for labels in alike if labels.classes == 1), None)
        outside = torch.zeros_like(above)
        if binary is not None and not self.use_sigmoid_for_accuracy:
            is_suspicious = within_probabilities if self.use_sigmoid_for_binary else beyond_probabilities
            outside = is_suspicious(binary).long()
        return torch.stack([above, outside])

    def contradictions(self, totals: Totals) -> Iterator[tuple[str, str]]:
        """Report labels above their classes, and a missing or second sigmoid."""
        sums, samples = totals.sums, totals.counts[RANGE]
        if n := int(sums[NO_CLASS]):
            message = f"{n} labels are above the classes that label_format allows and were ignored"
            yield NO_CLASS, f"{message}; check label_format and the labels"
        if (n := int(sums[RANGE])) and not self.use_sigmoid_for_binary:
            message = f"in {n} of {samples} samples binary predictions outside 0 to 1 were compared with 0.5"
            yield RANGE, f"{message}; if they are logits, pass use_sigmoid_for_binary=True"
        elif n and n == samples:
            message = "all binary predictions lie within 0 to 1, although use_sigmoid_for_binary=True expects"
            yield RANGE, f"{message} logits; pass use_sigmoid_for_binary=False if they are probabilities"

    @property
    def definition(self) -> str:
        """The options that a loaded state must agree on."""
        return f"label_format={self.label_format}, sigmoids={self._sigmoids}"

    @property
    def _cut(self) -> float:
        """The threshold of a binary column: sigmoid(x) > 0.5 is x > 0, and sigmoid(x) > 0 is x > -inf."""
        return (0.5, 0.0, -math.inf)[self._sigmoids]

    @property
    def _sigmoids(self) -> int:
        return self.use_sigmoid_for_binary + self.use_sigmoid_for_accuracy

    def _right(self, labels: Alike) -> Tensor:
        """Return which labels ``[B, n]`` are predicted correctly."""
        _, logits, values = labels
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        if labels.classes > 1:
            best = logits.max(2)
            return (best.indices == widen(values)) & ~best.values.isnan()
        value = logits[..., 0]
        if self.use_sigmoid_for_accuracy:
            self.warn_once("use_sigmoid_for_accuracy applies a second sigmoid, which makes every prediction positive")
        return ((value > self._cut) == (widen(values) > 0.5)) & ~value.isnan()


def _concatenate(masks: list[Tensor]) -> Tensor:
    return masks[0] if len(masks) == 1 else torch.cat(masks, 1)
