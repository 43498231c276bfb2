"""Accuracy of a network that answers several labels at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.core.context import BuildContext
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.label_format import check, label_format_of, named, split
from monai_auxops.ops.naming import check_tag
from monai_auxops.ops.options import OpOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ComputeMulticlassAccuracy(AuxiliaryOperation):
    """Per sample the share of its labels that are predicted right: binary ones by ``> 0.5``, others by argmax.

    NaN, negative and out-of-range labels are left out; a label with NaN among its logits is wrong.

    Args:
        tag: name of the value ``[B]``.
        use_sigmoid_for_binary: the network emits logits for binary labels.
        use_softmax_for_multiclass: kept for old configurations; an argmax is the same with and without.
        use_sigmoid_for_accuracy: apply a second sigmoid to binary columns, as Clara did literally: each becomes
            positive. Warns once.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        label_format: one integer per label: 1 binary with one logit, k a label of k classes with k logits. Default:
            ``label_format`` of the context's ``_data_property``.
        **options: for every aux-op, see :class:`~monai_auxops.AuxiliaryOperation`.

    Raises:
        ValueError: no label_format, or predictions ``[B, sum(label_format)]`` / labels ``[B, L]`` that do not fit.

    >>> accuracy = ComputeMulticlassAccuracy("accuracy", label_format=[3, 1])
    >>> _ = accuracy(torch.tensor([[0.1, 2.0, 0.3, -1.0]]), torch.tensor([[1, 1]]))
    >>> accuracy.aggregate()
    {'accuracy': 0.5}

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.ComputeMulticlassAccuracy``.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)

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
        check(label_format, self)
        self.accumulated = (tag,)

    def get_output_tensors(  # type: ignore[override]  # Clara's signature
        self, predictions: Tensor, labels: Tensor, build_ctx: BuildContext | None = None
    ) -> dict[str, Tensor]:
        """``{tag: [B]}``."""
        label_format = label_format_of(self.label_format, build_ctx)
        if label_format is None:
            raise ValueError("expected label_format= or _data_property['label_format'], got neither")
        pairs = split(predictions, labels, label_format)
        right = torch.stack([self._right(logits, label) for logits, label in pairs], 1)
        valid = torch.stack([named(label, k) for (_, label), k in zip(pairs, label_format, strict=True)], 1)
        return {self.tag: ((right & valid).sum(1) / valid.sum(1))}  # 0 / 0 is NaN

    def _right(self, logits: Tensor, label: Tensor) -> Tensor:
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        if logits.shape[1] > 1:
            best = logits.max(1)
            return (best.indices == label) & ~best.values.isnan()
        value, sigmoids = logits[:, 0], self.use_sigmoid_for_binary + self.use_sigmoid_for_accuracy
        if self.use_sigmoid_for_accuracy:
            self.warn_once("use_sigmoid_for_accuracy applies a second sigmoid, which makes every prediction positive")
        cut = (0.5, 0.0, -math.inf)[sigmoids]  # sigmoid(x) > 0.5 is x > 0, and sigmoid(x) > 0 is x > -inf: no rounding
        return ((value > cut) == (label > 0.5)) & ~value.isnan()
