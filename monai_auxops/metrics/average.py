"""The mean of an aux-op's output."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.metrics.base import CaseMetric

if TYPE_CHECKING:
    from monai_auxops.core.context import BuildContext


class ComputeAverage(CaseMetric):
    """The mean over samples of one aux-op's output.

    Args:
        name: the metric's name.
        field: the tag of an aux-op on the same engine.
        invalid_value: values equal to it are skipped, like NaN.
        report_path: folder for ``<name>_raw_results.txt``, ``<name>_summary_results.txt`` and ``<name>_cases.csv``.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        is_key_metric: make it the key metric, unless a slot says which one is.
        negate_value: return minus the mean, for a field of which less is better.
        case_key: the key of the batch that names a case; default the image's file, or a running number.

    Raises:
        ValueError: no value named ``field``, or more than one value per sample.

    Examples:
        >>> from monai_auxops import BuildContext, ComputeDice
        >>> pred, label = torch.tensor([[[0.9, 0.8]]]), torch.tensor([[[1, 0]]])
        >>> ctx = BuildContext(pred, label)
        >>> metric = ComputeAverage("mean_dice", field="dice")
        >>> for op in (ComputeDice("dice"), metric):
        ...     _ = op(pred, label, build_ctx=ctx)
        >>> round(metric.aggregate()["mean_dice"], 4)
        0.6667

    Source: Clara Train 3.1, ``ai4med.components.metrics.ComputeAverage``.
    """

    def __init__(
        self,
        name: str,
        field: str,
        invalid_value: float = math.nan,
        report_path: str | Path | None = None,
        do_summary: bool = True,
        do_print: bool = True,
        is_key_metric: bool = False,
        negate_value: bool = False,
        *,
        case_key: str | None = None,
    ) -> None:
        self.invalid_value, self.negate_value = invalid_value, negate_value
        super().__init__(name, field, report_path, do_summary, do_print, is_key_metric, case_key=case_key)

    @property
    def same_as(self) -> str | None:
        """The tag whose mean this metric is, if nothing is left out or negated."""
        is_plain = self.invalid_value != self.invalid_value and not self.negate_value
        return self.field if is_plain else None

    def values(self, build_ctx: BuildContext) -> Tensor:
        """Return the field ``[B]``, NaN where invalid."""
        values = self.read_values(self.field, build_ctx)
        values = values if values.is_floating_point() else values.float()
        values = values.masked_fill(values == self.invalid_value, torch.nan)
        return -values if self.negate_value else values
