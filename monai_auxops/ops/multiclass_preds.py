"""Probabilities of a network that predicts several labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.label_format import (
    LOG_ODDS,
    check_label_format,
    class_mask,
    in_order,
    join_alike,
    label_format_of,
    log_odds,
    widen,
)
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from monai_auxops.core.context import BuildContext
    from monai_auxops.ops.options import OpOptions


class ComputeMulticlassPreds(AuxiliaryOperation):
    """Logits split by ``label_format``, with a sigmoid or softmax per label, joined again; not accumulated.

    Args:
        preds_name: name of the probabilities ``[B, sum(label_format)]``.
        labels_name: name of the labels ``[B, L]``.
        use_sigmoid_for_binary: apply a sigmoid to binary labels.
        use_softmax_for_multiclass: apply a softmax to the other labels.
        label_format: one integer per label: 1 binary with one logit, k a label of k classes with k logits. Default:
            ``label_format`` of the context's ``_data_property``.
        labels_onehot: return the labels as ``[B, sum(label_format)]``, one-hot per label; NaN where a label is NaN,
            negative or out of range.
        **options: for every aux-op, see ``AuxiliaryOperation``.

    Raises:
        ValueError: no label_format, or shapes that do not fit.

    Examples:
        >>> op = ComputeMulticlassPreds(label_format=[2, 1], labels_onehot=True)
        >>> out = op(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[1, 1]]))
        >>> out["preds"], out["labels"]
        (tensor([[0.5000, 0.5000, 0.5000]]), tensor([[0., 1., 1.]]))

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.ComputeMulticlassPreds``.
    """

    accumulated = ()

    def __init__(
        self,
        preds_name: str = "preds",
        labels_name: str = "labels",
        use_sigmoid_for_binary: bool = True,
        use_softmax_for_multiclass: bool = True,
        *,
        label_format: Sequence[int] | None = None,
        labels_onehot: bool = False,
        **options: Unpack[OpOptions],
    ) -> None:
        self.preds_name, self.labels_name = check_tag(preds_name, self), check_tag(labels_name, self)
        self.use_sigmoid_for_binary = use_sigmoid_for_binary
        self.use_softmax_for_multiclass = use_softmax_for_multiclass
        self.label_format, self.labels_onehot = label_format, labels_onehot
        super().__init__(False, False, **options)
        check_label_format(label_format, self)
        if preds_name == labels_name:
            self.fail(f"two different names, got {preds_name!r} twice")

    def get_output_tensors(  # type: ignore[override]  # Clara's signature
        self, predictions: Tensor, labels: Tensor, build_ctx: BuildContext | None = None
    ) -> dict[str, Tensor]:
        """Return ``{preds_name: [B, sum(label_format)], labels_name: [B, L]}``."""
        label_format = label_format_of(self.label_format, build_ctx)
        if label_format is None:
            raise ValueError("expected label_format= or _data_property['label_format'], got neither")
        alike = join_alike(predictions, labels, label_format)
        preds = in_order([self._activate(each.logits.float()) for each in alike], label_format)
        if build_ctx is not None and self.use_sigmoid_for_binary and self.use_softmax_for_multiclass:
            odds = in_order([log_odds(each.logits) for each in alike], label_format)
            build_ctx.set(f"{self.preds_name}/{LOG_ODDS}", odds)
        labels = labels[:, None] if labels.dim() == 1 else labels
        if self.labels_onehot:
            labels = in_order([one_hot_columns(each.values, each.classes) for each in alike], label_format)
        return {self.preds_name: preds, self.labels_name: labels}

    def _activate(self, logits: Tensor) -> Tensor:
        if logits.shape[-1] == 1:
            return logits.sigmoid() if self.use_sigmoid_for_binary else logits
        return logits.softmax(-1) if self.use_softmax_for_multiclass else logits


def one_hot_columns(label: Tensor, classes: int) -> Tensor:
    """Convert ``[...]`` to float ``[..., classes]`` (one column for a binary label), NaN where it is not a class."""
    first = 0 if classes > 1 else 1  # the single column of a binary label says whether it is 1
    index = torch.arange(first, first + classes, device=label.device)
    label = widen(label)
    return (label[..., None] == index).float().masked_fill(~class_mask(label, classes)[..., None], float("nan"))
