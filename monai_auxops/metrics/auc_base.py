"""The base of the AUC metrics: the scores and labels of an epoch, gathered over ranks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from monai_auxops.cases.names import case_names_in_context
from monai_auxops.metrics.base import ValidationMetric
from monai_auxops.metrics.roc import AVERAGES, is_binary
from monai_auxops.metrics.samples import PIECE, Rows, Samples, pieces_of
from monai_auxops.ops.label_format import LOG_ODDS, class_mask, widen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.ranks import Gather
    from monai_auxops.core.running import Totals


class RankSamples(NamedTuple):
    """The samples of one rank: what to rank by and the labels, and for a report the scores and the cases."""

    ranking: Tensor
    labels: Tensor
    scores: Tensor | None = None
    cases: Sequence[str] = ()


class AUCMetric(ValidationMetric):
    """Base class of the AUC metrics. A mean over batches is not an AUC, so scores and labels are kept for the epoch.

    Memory grows with the number of samples, and in a distributed run they are gathered once per epoch, on every rank.
    There is no running value within an epoch. See ``ComputeAUC`` for the bytes per score.
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
        self._discard_samples()

    @property
    def epoch_tags(self) -> tuple[str, ...]:
        """The metric's name: the AUC has an epoch value, although it is not a mean."""
        return (self.name,)

    def _discard_samples(self) -> None:
        self._samples = Samples(raw=self._report is not None)
        self._cases: list[str] = []

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """Keep the batch's scores ``[B, n]`` and labels; return nothing for other aux-ops."""
        pair = [self.read(field, build_ctx) for field in (self.field, self.label_field)]
        scores, labels = (x[:, None] if x.dim() == 1 else x for x in pair)
        self._check_batch(scores, labels)
        self._samples.add(Rows(scores, labels, build_ctx.get(f"{self.field}/{LOG_ODDS}")))
        if self._report is not None:
            self._cases += case_names_in_context(build_ctx, self.case_key, len(scores))
        return {}

    def _check_batch(self, scores: Tensor, labels: Tensor) -> None:
        if scores.dim() != 2 or labels.dim() != 2 or len(scores) != len(labels):
            raise ValueError(
                f"expected scores [B, n] under {self.field!r} and labels [B, n] or [B, 1] under {self.label_field!r}, "
                f"got {list(scores.shape)} and {list(labels.shape)}"
            )
        self.check_shapes(scores, labels)
        if len(self._samples) and (scores.shape[1], labels.shape[1]) != self._samples.widths:
            columns, targets = self._samples.widths
            raise ValueError(
                f"expected {columns} scores and {targets} labels as in the first batch, got {scores.shape[1]} and "
                f"{labels.shape[1]}"
            )

    def check_shapes(self, scores: Tensor, labels: Tensor) -> None:
        """Raise a ``ValueError`` unless ``scores [B, n]`` and ``labels [B, m]`` fit each other and the arguments."""
        raise NotImplementedError

    def auc(self, scores: Tensor, labels: Tensor) -> float:
        """Compute the AUC of all samples: ``scores [N, n]``, ``labels [N, n]`` or ``[N, 1]``."""
        raise NotImplementedError

    def epoch_values(self, totals: Totals, gather: Gather) -> dict[str, float]:
        """Return the AUC over all ranks; one gather."""
        parts = [part for part in gather(self._own_samples()) if part is not None]
        if not parts:
            return {self.name: math.nan}
        ranking = _concatenate([part.ranking for part in parts])
        labels = _concatenate([part.labels for part in parts])
        value = self.auc(ranking, labels)
        if math.isnan(value):
            self.warn_once("the AUC of a whole epoch is NaN: no column has labels of both kinds, or a score is NaN")
        if unusable := self.count_unusable(ranking, labels):
            self.warn_once(
                f"{unusable} labels in {self.label_field!r} are not class indices (0 or 1 if they are binary) and were "
                "ignored; check the labels",
                about="labels",
            )
        if self._report is not None:
            scores = _concatenate([part.scores for part in parts])
            cases = [case for part in parts for case in part.cases]
            self._report.write_scores(cases, _rows_as_lists(scores), _rows_as_lists(labels), value)
        return {self.name: value}

    def _own_samples(self) -> RankSamples | None:
        """Return the samples of this rank; None if it has none."""
        if not len(self._samples):
            return None
        rows = self._samples.rows()
        if self._report is None:
            return RankSamples(rows.ranking, rows.labels)
        unnamed = [""] * (len(rows.scores) - len(self._cases))
        return RankSamples(rows.ranking, rows.labels, rows.scores, unnamed + self._cases)

    def count_unusable(self, scores: Tensor, labels: Tensor) -> int:
        """Count labels that are not a class, except NaN and negative ones."""
        top = scores.shape[1] - 1
        if labels.shape[1] < scores.shape[1]:
            return sum(int((part > top).count_nonzero()) for part in pieces_of(labels))
        return sum(int(((part > 0) & ~is_binary(part)).count_nonzero()) for part in pieces_of(labels))

    def reset(self) -> None:
        """Start a new epoch."""
        super().reset()
        self._discard_samples()

    def state_dict(self) -> dict[str, Any]:
        """Return the samples so far, on the CPU."""
        blocks = self._samples.blocks()
        kept = {"scores": [rows.scores.cpu() for rows in blocks], "labels": [rows.labels.cpu() for rows in blocks]}
        odds = [None if rows.log_odds is None else rows.log_odds.cpu() for rows in blocks]
        return super().state_dict() | kept | {"log_odds": odds, "cases": list(self._cases)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue with the samples of ``state_dict``."""
        super().load_state_dict(state)
        odds = state.get("log_odds", [None] * len(state["scores"]))
        self._samples.load([Rows(*rows) for rows in zip(state["scores"], state["labels"], odds, strict=True)])
        self._cases = list(state["cases"])


def against_rest(label: Tensor, index: int, classes: int) -> Tensor:
    """Return 1 where ``label`` ``[N]`` is class ``index`` out of ``classes``, 0 where it is another one, else -1.

    Of one class, a binary label, 1 is the class and 0 the rest.

    Examples:
        >>> against_rest(torch.tensor([0, 2, 1, 3, -1]), 2, 3)
        tensor([ 0,  1,  0, -1, -1], dtype=torch.int8)
    """
    wanted = index if classes > 1 else 1
    return (widen(label) == wanted).to(torch.int8) - (~is_class(label, classes)).to(torch.int8)


def is_class(label: Tensor, classes: int) -> Tensor:
    """Return where a label is an index out of ``classes``, or of one class 0 or 1."""
    return class_mask(label, classes) if classes > 1 else is_binary(label)


def _concatenate(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _rows_as_lists(values: Tensor) -> Iterator[list[float]]:
    """Yield the rows of ``values`` as lists, without holding them all."""
    for rows in values.split(PIECE):
        yield from rows.double().tolist()
