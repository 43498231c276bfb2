"""Area under the ROC curve, over all samples of the epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_auxops.drawing.plots import draw_roc
from monai_auxops.metrics.auc_base import AUCMetric, against_rest
from monai_auxops.metrics.roc import averaged_auc, roc_curve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor


class ComputeAUC(AUCMetric):
    """Area under the ROC curve of scores against labels.

    Scores are ranked as they come; those of ``ComputeBinaryPreds`` and ``ComputeMulticlassPreds`` by logits. Labels are
    ``[B, n]`` binary, or one index ``[B, 1]`` for n > 1 score columns (one against the rest). Labels that are
    neither 0 nor 1 are left out of their column, with a warning unless they are NaN or negative. A column with only one
    kind of label has no AUC and is skipped; a NaN score makes its column NaN.

    The value is exact, so all scores of the epoch are kept on their device. A float32 score with its binary label
    takes 5 bytes; 9 with the logits of ``ComputeBinaryPreds``, and 12 with those of ``ComputeMulticlassPreds``, whose
    samples have one label each. At the epoch's end they are copied once, and sorting takes 10 bytes for each score of
    a column (with ``"micro"``, of all columns). Each rank gathers the scores of all ranks. With ``report_path`` labels
    are kept as they are.

    Args:
        name: the metric's name.
        field: tag of the scores ``[B, n]``, e.g. ``"binary_preds"``.
        label_field: tag of the labels, e.g. ``"binary_labels"``.
        auc_average: ``"macro"`` (mean over columns), ``"weighted"`` (by positives) or ``"micro"`` (all entries as one).
        class_index: measure only this column.
        include_list: measure only these columns.
        report_path: folder for ``<name>_raw_results.txt``, the scores and labels of each case, and
            ``<name>_summary_results.txt``, the value.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        is_key_metric: make it the key metric, unless a slot says which one is.
        case_key: the key of the batch that names a case; default the image's file, or a running number.

    Raises:
        ValueError: shapes that do not fit, a column that does not exist, an unknown average.

    Examples:
        >>> import torch
        >>> metric = ComputeAUC("auc", field="model", label_field="label")
        >>> _ = metric(torch.tensor([[0.1], [0.4], [0.35], [0.8]]), torch.tensor([[0], [0], [1], [1]]))
        >>> metric.aggregate()
        {'auc': 0.75}

    Source: Clara Train 3.1, ``ai4med.components.metrics.ComputeAUC``.
    """

    def __init__(
        self,
        name: str,
        field: str,
        label_field: str,
        auc_average: str = "macro",
        class_index: int | None = None,
        include_list: Sequence[int] | None = None,
        report_path: str | Path | None = None,
        do_summary: bool = True,
        do_print: bool = True,
        is_key_metric: bool = False,
        *,
        case_key: str | None = None,
    ) -> None:
        self.class_index, self.include_list = class_index, include_list
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
        if class_index is not None and include_list is not None:
            self.fail("class_index or include_list, got both")

        self._chosen = include_list if class_index is None else [class_index]
        if include_list is not None and not include_list:
            self.fail("include_list to name a column, got none")

    def check_shapes(self, scores: Tensor, labels: Tensor) -> None:
        """Check that labels have the scores' columns or one of indices, and that the chosen columns exist."""
        columns = scores.shape[1]
        if labels.shape[1] not in (1, columns):
            raise ValueError(f"expected labels [B, {columns}] or [B, 1], got {list(labels.shape)}")
        if not all(0 <= i < columns for i in self._chosen or ()):
            raise ValueError(f"expected columns within 0..{columns - 1}, got {list(self._chosen or ())}")

    def auc(self, scores: Tensor, labels: Tensor) -> float:
        """Compute the AUC of the chosen columns."""
        return averaged_auc(self._columns(scores, labels), self.auc_average)

    def _columns(self, scores: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield scores and labels of each chosen column."""
        number = scores.shape[1]
        for i in range(number) if self._chosen is None else self._chosen:
            if labels.shape[1] == number:
                yield scores[:, i], labels[:, i]
            else:
                yield scores[:, i], against_rest(labels[:, 0], i, number)

    def plot(self, ax: Any = None) -> Any:
        """Draw the receiver operating characteristic of each column, over the samples of this process."""
        if not len(self._samples):
            self.fail("samples to plot, got none yet")
        rows = self._samples.rows()
        pairs = self._columns(rows.ranking, rows.labels)
        names = map(str, self._chosen or range(rows.scores.shape[1]))
        return draw_roc({name: roc_curve(*pair) for name, pair in zip(names, pairs, strict=True)}, ax)
