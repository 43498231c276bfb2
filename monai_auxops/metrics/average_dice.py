"""Dice per case of the prediction after post-processing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from monai_auxops.counting.counts import Counts, count
from monai_auxops.counting.overlap import overlap
from monai_auxops.metrics.base import CaseMetric
from monai_auxops.ops import contradictions as noted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.running import Totals


class ComputeAverageDice(CaseMetric):
    """Dice of two volumes per case over the classes in its label, and the mean over the cases that have any.

    Reads the prediction after post-processing. With several channels and index labels the predicted class is the
    argmax; one channel, and each channel of one-hot targets, is thresholded. One channel is one class: split an
    argmaxed volume of several classes first (as Clara's SplitBasedOnLabel does), or measure before the argmax.

    Args:
        name: the metric's name.
        field: ``"model"``, the prediction, or a key of the engine's output that post-processing made.
        label_field: the same for the label.
        is_2d: check that the volumes have two spatial dimensions.
        remove_bg: leave out class 0 if there is more than one channel.
        logit_thresh: threshold of one channel and of independent channels.
        is_one_hot_targets: the label has a channel per class.
        report_path: folder for ``<name>_raw_results.txt``, ``<name>_summary_results.txt`` and ``<name>_cases.csv``.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        is_key_metric: make it the key metric, unless a slot says which one is.
        case_key: the key of the batch that names a case; default the image's file, or a running number.

    Raises:
        ValueError: no value for a field, shapes that do not fit.

    Examples:
        >>> import torch
        >>> metric = ComputeAverageDice("mean_dice", field="model")
        >>> _ = metric(torch.tensor([[[0.9, 0.8]]]), torch.tensor([[[1, 0]]]))
        >>> round(metric.aggregate()["mean_dice"], 4)
        0.6667

    Source: Clara Train 3.1, ``ai4med.components.metrics.ComputeAverageDice``.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)
    sum_tags = (noted.NO_CLASS,)
    _channels = 0  # of the last batch

    def __init__(
        self,
        name: str,
        field: str,
        label_field: str = "label",
        is_2d: bool = False,
        remove_bg: bool = True,
        logit_thresh: float = 0.5,
        is_one_hot_targets: bool = False,
        report_path: str | Path | None = None,
        do_summary: bool = True,
        do_print: bool = True,
        is_key_metric: bool = False,
        *,
        case_key: str | None = None,
    ) -> None:
        self.label_field, self.is_2d, self.remove_bg = label_field, is_2d, remove_bg
        self.logit_thresh, self.is_one_hot_targets = logit_thresh, is_one_hot_targets
        super().__init__(name, field, report_path, do_summary, do_print, is_key_metric, case_key=case_key)

    def values(self, build_ctx: BuildContext) -> Tensor:
        """Return Dice ``[B]``, NaN where no class is present."""
        counts = self._counts(build_ctx)
        first = int(self.remove_bg and counts.tp.shape[1] > 1)
        return overlap(Counts(*(x[:, first:] for x in counts))).nanmean(1)

    def _counts(self, build_ctx: BuildContext) -> Counts:
        prediction, label = self.read(self.field, build_ctx), self.read(self.label_field, build_ctx)
        if self.is_2d and prediction.dim() != 4:
            raise ValueError(f"expected [B, C, H, W] with is_2d, got {list(prediction.shape)}")

        def compute() -> Counts:
            return count(
                prediction if prediction.is_floating_point() else prediction.float(),
                label,
                independent=self.is_one_hot_targets,
                onehot=self.is_one_hot_targets,
                threshold=self.logit_thresh,
            )

        return build_ctx.once((ComputeAverageDice, id(self)), compute)

    def sums(self, build_ctx: BuildContext) -> Tensor:
        """Count the labels that are not a class, ``[1, B]``; every voxel of one-hot targets has a class."""
        counts, label = self._counts(build_ctx), self.read(self.label_field, build_ctx)
        self._channels = counts.tp.shape[1]
        counted = torch.stack(counts)[:, :, 0].sum(0)
        voxels = math.prod(label.shape) // max(1, len(label))
        return (voxels - counted)[None] * (not self.is_one_hot_targets)

    def contradictions(self, totals: Totals) -> Iterator[tuple[str, str]]:
        """Report labels that are not a class."""
        number, where = int(totals.sums[noted.NO_CLASS]), f"labels in {self.label_field!r}"
        if number and self._channels == 1:
            found = f"{number} {where} are neither 0 nor 1, although {self.field!r} has one channel, and were ignored"
            yield noted.NO_CLASS, f"{found}; if it holds several classes, give each a channel first"
        elif number:
            yield noted.NO_CLASS, noted.unknown_labels(number, where, self._channels) + "; check the labels"
