"""AUC of a network that predicts several labels at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monai_auxops.metrics.auc_base import AUCMetric, against_rest, is_class
from monai_auxops.metrics.roc import averaged_auc
from monai_auxops.ops.label_format import check_label_format, label_format_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from monai_auxops.core.context import BuildContext


class ComputeMulticlassAverage(AUCMetric):
    """AUC of a network that predicts several labels: one class against the rest per label, then the mean over labels.

    Args:
        name: the metric's name.
        field: tag of the probabilities ``[B, sum(label_format)]`` (``ComputeMulticlassPreds``).
        label_field: tag of the labels ``[B, L]``.
        auc_average: how to average over the classes of a label: ``"macro"``, ``"weighted"`` or ``"micro"``.
        label_index: measure only this label.
        report_path: folder for ``<name>_raw_results.txt``, the scores and labels of each case, and
            ``<name>_summary_results.txt``, the value.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        is_key_metric: make it the key metric, unless a slot says which one is.
        label_format: one integer per label. Default: ``label_format`` of the context's ``_data_property``.
        case_key: the key of the batch that names a case; default the image's file, or a running number.

    Raises:
        ValueError: no label_format, shapes that do not fit it, a label that does not exist.

    Examples:
        >>> import torch
        >>> metric = ComputeMulticlassAverage("auc", "model", "label", label_format=[3])
        >>> _ = metric(torch.eye(3), torch.tensor([[0], [1], [2]]))
        >>> metric.aggregate()
        {'auc': 1.0}

    Source: Clara Train 3.1, ``ai4med.components.metrics.ComputeMulticlassAverage``; its formula is not published.
    """

    def __init__(
        self,
        name: str,
        field: str,
        label_field: str,
        auc_average: str = "macro",
        label_index: int | None = None,
        report_path: str | Path | None = None,
        do_summary: bool = True,
        do_print: bool = True,
        is_key_metric: bool = False,
        *,
        label_format: Sequence[int] | None = None,
        case_key: str | None = None,
    ) -> None:
        self.label_index, self.label_format = label_index, label_format
        super().__init__(
            name,
            field,
            label_field,
            auc_average,
            report_path=report_path,
            do_summary=do_summary,
            do_print=do_print,
            is_key_metric=is_key_metric,
            case_key=case_key,
        )
        check_label_format(label_format, self)
        self._format = tuple(label_format or ())

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """Keep the batch and the data's label_format."""
        self._format = label_format_of(self.label_format, build_ctx) or ()
        return super().get_output_tensors(predictions, label, build_ctx)

    def check_shapes(self, scores: Tensor, labels: Tensor) -> None:
        """Check that both fit the label_format, and that the chosen label exists."""
        columns, number = scores.shape[1], labels.shape[1]
        if [columns, number] != [sum(self._format), len(self._format)]:
            raise ValueError(
                f"expected label_format with {columns} columns in {number} labels, got {list(self._format) or None}"
            )
        if self.label_index is not None and not 0 <= self.label_index < number:
            raise ValueError(f"expected label_index within 0..{number - 1}, got {self.label_index}")

    def count_unusable(self, scores: Tensor, labels: Tensor) -> int:
        """Count labels that are not a class, except NaN and negative ones."""
        pairs = zip(labels.unbind(1), self._format, strict=True)
        return sum(int(((label > 0) & ~is_class(label, k)).count_nonzero()) for label, k in pairs)

    def auc(self, scores: Tensor, labels: Tensor) -> float:
        """Return the mean over the chosen labels that have an AUC."""
        chosen = range(len(self._format)) if self.label_index is None else [self.label_index]
        each = [averaged_auc(self._columns(scores, labels, i), self.auc_average) for i in chosen]
        valid = [value for value in each if not math.isnan(value)]
        return sum(valid) / len(valid) if valid else math.nan

    def _columns(self, scores: Tensor, labels: Tensor, label: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the scores of each class of a label, and where it is that class."""
        first, classes = sum(self._format[:label]), self._format[label]
        for i in range(classes):
            yield scores[:, first + i], against_rest(labels[:, label], i, classes)
