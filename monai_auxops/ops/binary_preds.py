"""Scores of binary labels, for an AUC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.label_format import LOG_ODDS, check_label_format, label_format_of, split_labels
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from monai_auxops.core.context import BuildContext
    from monai_auxops.ops.options import OpOptions


class ComputeBinaryPreds(AuxiliaryOperation):
    """The sigmoid of the binary columns and their labels, for ``ComputeAUC``; not accumulated.

    Args:
        binary_preds_name: name of the scores ``[B, n]``.
        binary_labels_name: name of the labels ``[B, n]``.
        label_format: one integer per label, 1 for the binary ones. Default: ``label_format`` of the context's
            ``_data_property``, or all columns are binary.
        **options: for every aux-op, see ``AuxiliaryOperation``.

    Raises:
        ValueError: no label is binary, or shapes do not fit.

    Examples:
        >>> op = ComputeBinaryPreds(label_format=[3, 1])
        >>> out = op(torch.tensor([[0.1, 2.0, 0.3, 0.0]]), torch.tensor([[1, 1]]))
        >>> out["binary_preds"], out["binary_labels"]
        (tensor([[0.5000]]), tensor([[1]]))

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.ComputeBinaryPreds``.
    """

    accumulated = ()

    def __init__(
        self,
        binary_preds_name: str = "binary_preds",
        binary_labels_name: str = "binary_labels",
        *,
        label_format: Sequence[int] | None = None,
        **options: Unpack[OpOptions],
    ) -> None:
        self.binary_preds_name = check_tag(binary_preds_name, self)
        self.binary_labels_name = check_tag(binary_labels_name, self)
        self.label_format = label_format
        super().__init__(False, False, **options)
        check_label_format(label_format, self)
        if binary_preds_name == binary_labels_name:
            self.fail(f"two different names, got {binary_preds_name!r} twice")

    def get_output_tensors(  # type: ignore[override]  # Clara's signature
        self, predictions: Tensor, label: Tensor, build_ctx: BuildContext | None = None
    ) -> dict[str, Tensor]:
        """Return ``{binary_preds_name: [B, n], binary_labels_name: [B, n]}``."""
        columns = 1 if predictions.dim() == 1 else predictions.shape[1]
        label_format = label_format_of(self.label_format, build_ctx) or (1,) * columns
        binary = [
            pair for pair, k in zip(split_labels(predictions, label, label_format), label_format, strict=True) if k == 1
        ]
        if not binary:
            raise ValueError(f"expected a binary label (1) in label_format, got {list(label_format)}")
        logits = torch.cat([logits for logits, _ in binary], 1)
        scores = logits.float().sigmoid()
        if build_ctx is not None:
            build_ctx.set(f"{self.binary_preds_name}/{LOG_ODDS}", logits)
        return {self.binary_preds_name: scores, self.binary_labels_name: torch.stack([y for _, y in binary], 1)}
