"""The counts of a batch, computed once for all aux-ops that read it the same way."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from monai_auxops.counting.ignored import ignored_labels
from monai_auxops.counting.reading import Reading, count_for

if TYPE_CHECKING:
    from monai_auxops.core.context import BuildContext
    from monai_auxops.counting.counts import Counts


class SharedCounts(NamedTuple):
    """Counts of all classes ``[B, C]``, the voxels left out on purpose ``[B]``, and the key of both."""

    counts: Counts
    left_out: Tensor | None
    key: tuple[object, ...]

    def without_class(self, voxels: int) -> Tensor:
        """Count the ``voxels`` of each sample whose index is not a class and that are not left out: int64 ``[B]``."""
        counted = torch.stack(self.counts)[:, :, 0].sum(0)
        return voxels - counted if self.left_out is None else voxels - counted - self.left_out


def reporter_key(count_key: Hashable) -> Hashable:
    """Return the key of a ``BuildContext`` for the op that reports what is wrong with a count's labels."""
    return "reporter", count_key


def shared_counts(build_ctx: BuildContext, reading: Reading, mask_key: str | None = None) -> SharedCounts:
    """Count the batch as ``reading`` says, inside the mask that the batch holds as ``mask_key``."""
    predictions, label = reading.with_channel(build_ctx.predictions, build_ctx.label), build_ctx.label
    key: tuple[object, ...] = (
        "counts",
        reading.data_format,
        reading.is_onehot_targets,
        reading.cut(predictions),
        reading.num_classes,
        ignored_labels(reading.ignore_index),
        mask_key,
    )

    def compute() -> SharedCounts:
        mask = None if mask_key is None else build_ctx.from_batch(mask_key)
        left_out = reading.left_out(label, predictions.dim(), mask)
        number = None if left_out is None else left_out.flatten(1).sum(1)
        return SharedCounts(count_for(reading, predictions, label, left_out), number, key)

    return build_ctx.once(key, compute)
