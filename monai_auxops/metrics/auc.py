"""Area under the ROC curve, over all samples of the epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from monai_auxops.cases.report import case_names_in_context
from monai_auxops.drawing.plots import draw_roc
from monai_auxops.metrics.base import ValidationMetric
from monai_auxops.metrics.roc import AVERAGES, averaged_auc, is_binary, roc_curve
from monai_auxops.ops.label_format import LOG_ODDS
from monai_auxops.ops.multiclass_preds import one_hot_columns

if TYPE_CHECKING:
    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.ranks import Gather
    from monai_auxops.core.running import Totals


class AUCMetric(ValidationMetric):
    """Base class of the AUC metrics. A mean over batches is not an AUC, so scores and labels are kept for the epoch.

    Memory grows with the number of samples, and in a distributed run they are gathered once per epoch. There is no
    running value within an epoch.
    """

    bounds = (0.0, 1.0)

    def __init__(self, name: str, field: str, label_field: str, auc_average: str, **options: Any) -> None:
        self.label_field, self.auc_average = label_field, auc_average
        if auc_average not in AVERAGES:
            raise ValueError(
                f"{type(self).__name__}({name!r}): expected auc_average in {AVERAGES}, got {auc_average!r}"
            )
        super().__init__(name, field, **options)
        self.accumulated = ()
        self._forget()

    @property
    def epoch_tags(self) -> tuple[str, ...]:
        """The metric's name: the AUC has an epoch value, although it is not a mean."""
        return (self.name,)

    def _forget(self) -> None:
        self._scores: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._log_odds: list[Tensor | None] = []
        self._cases: list[str] = []

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """Keep the batch's scores ``[B, n]`` and labels; return nothing for other aux-ops."""
        pair = [self.read(field, build_ctx) for field in (self.field, self.label_field)]
        scores, labels = (x[:, None] if x.dim() == 1 else x for x in pair)
        if scores.dim() != 2 or labels.dim() != 2 or len(scores) != len(labels):
            raise ValueError(
                f"expected scores [B, n] under {self.field!r} and labels [B, n] or [B, 1] under {self.label_field!r}, "
                f"got {list(scores.shape)} and {list(labels.shape)}"
            )
        self.check_shapes(scores, labels)
        if self._scores and (scores.shape[1], labels.shape[1]) != (self._scores[0].shape[1], self._labels[0].shape[1]):
            raise ValueError(
                f"expected {self._scores[0].shape[1]} scores and {self._labels[0].shape[1]} labels as in the first "
                f"batch, got {scores.shape[1]} and {labels.shape[1]}"
            )
        self._scores.append(scores)
        self._labels.append(labels)
        self._log_odds.append(build_ctx.get(f"{self.field}/{LOG_ODDS}"))
        self._cases += case_names_in_context(build_ctx, self.case_key, len(scores))
        return {}

    def check_shapes(self, scores: Tensor, labels: Tensor) -> None:
        """Raise a ``ValueError`` unless ``scores [B, n]`` and ``labels [B, m]`` fit each other and the arguments."""
        raise NotImplementedError

    def auc(self, scores: Tensor, labels: Tensor) -> float:
        """Compute the AUC of all samples: ``scores [N, n]``, ``labels [N, n]`` or ``[N, 1]``."""
        raise NotImplementedError

    def epoch_values(self, totals: Totals, gather: Gather) -> dict[str, float]:
        """Return the AUC over all ranks; one gather."""
        mine = (*self._kept(), self._cases) if self._scores else None
        parts = [part for part in gather(mine) if part is not None]
        if not parts:
            return {self.name: math.nan}
        scores, ranking, labels = (torch.cat([part[i] for part in parts]) for i in range(3))
        value = self.auc(ranking, labels)
        if n := self.unusable(scores, labels):
            self.warn_once(
                f"{n} labels in {self.label_field!r} are not class indices (0 or 1 if they are binary) and were "
                "ignored; check the labels",
                about="labels",
            )
        if self._report is not None:
            cases = [case for part in parts for case in part[3]]
            self._report.write_scores(cases, scores.tolist(), labels.tolist(), value)
        return {self.name: value}

    def _kept(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores, the values to rank by, and labels of this process, in float64.

        Logits are ranked instead of probabilities if available, because a sigmoid in float32 is 1.0 from 17 on.
        """
        scores, labels = (torch.cat([x.cpu().double() for x in kept]) for kept in (self._scores, self._labels))
        given = [x.cpu().double() for x in self._log_odds if x is not None]
        if len(given) < len(self._log_odds) or [x.shape for x in given] != [x.shape for x in self._scores]:
            return scores, scores, labels
        ranking = torch.cat(given)
        as_published = torch.allclose(ranking.sigmoid(), scores, rtol=0, atol=0.01, equal_nan=True)
        return scores, ranking if as_published else scores, labels

    def unusable(self, scores: Tensor, labels: Tensor) -> int:
        """Count labels that are not a class, except NaN and negative ones."""
        if labels.shape[1] < scores.shape[1]:
            return int((labels > scores.shape[1] - 1).sum())
        return int(((labels > 0) & ~is_binary(labels)).sum())

    def reset(self) -> None:
        """Start a new epoch."""
        super().reset()
        self._forget()

    def state_dict(self) -> dict[str, Any]:
        """Return the samples so far, on the CPU."""
        kept = {"scores": [x.cpu() for x in self._scores], "labels": [x.cpu() for x in self._labels]}
        odds = {"log_odds": [None if x is None else x.cpu() for x in self._log_odds]}
        return super().state_dict() | kept | odds | {"cases": list(self._cases)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue with the samples of ``state_dict``."""
        super().load_state_dict(state)
        self._scores, self._labels = list(state["scores"]), list(state["labels"])
        self._log_odds = list(state.get("log_odds", [None] * len(self._scores)))
        self._cases = list(state["cases"])


class ComputeAUC(AUCMetric):
    """Area under the ROC curve of scores against labels.

    Scores are ranked in float64; those of ``ComputeBinaryPreds`` and ``ComputeMulticlassPreds`` by their logits. Labels
    are ``[B, n]`` binary, or one index ``[B, 1]`` for n > 1 score columns (one against the rest). Labels that are
    neither 0 nor 1 are left out of their column, with a warning unless they are NaN or negative. A column with only one
    kind of label has no AUC and is skipped; a NaN score makes its column NaN.

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
        case_key: the key of the batch that names a case; default the image's file, else a running number.

    Raises:
        ValueError: shapes that do not fit, a column that does not exist, an unknown average.

    Examples:
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
        return averaged_auc(*self._columns(scores, labels), self.auc_average)

    def _columns(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        labels = one_hot_columns(labels[:, 0], scores.shape[1]) if labels.shape[1] == 1 < scores.shape[1] else labels
        if self._chosen is not None:
            scores, labels = scores[:, list(self._chosen)], labels[:, list(self._chosen)]
        return scores, labels

    def plot(self, ax: Any = None) -> Any:
        """Draw the receiver operating characteristic of each column, over the samples of this process."""
        if not self._scores:
            self.fail("samples to plot, got none yet")
        _, ranking, labels = self._kept()
        pairs = self._columns(ranking, labels)
        names = [str(i) for i in self._chosen or range(pairs[0].shape[1])]
        return draw_roc(
            {n: roc_curve(*p) for n, p in zip(names, zip(*(x.T for x in pairs), strict=True), strict=True)}, ax
        )
