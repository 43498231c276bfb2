"""The options of the Dice aux-ops, with their checks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monai_auxops.counting.overlap import POOLED, STATISTICS, pooled_names, pooled_tags
from monai_auxops.counting.reading import Reading
from monai_auxops.ops.naming import tracker_names
from monai_auxops.ops.options import OP_OPTIONS, OpOptions


class DiceKeywords(OpOptions, total=False):
    """The keyword arguments that the Dice aux-ops add to Clara's: see ``DiceOptions``."""

    final_activation: str | None
    class_names: Sequence[str] | None
    statistics: Sequence[str]
    empty_value: float
    ignore_index: int | Sequence[int] | None
    mask_key: str | None
    num_classes: int | None


@dataclass(frozen=True)
class DiceOptions(Reading):
    """The options that say how a batch is read, and what is reported from its counts.

    Args:
        jaccard: ``TP / (P + T - TP)`` instead of ``2 TP / (P + T)``.
        class_names: names of the classes (after ``skip_background``); each gets a value ``<tag>/<class>``.
        statistics: further values from the same counts. Means over samples are ``"precision"``, ``"recall"``,
            ``"specificity"`` and ``"balanced_accuracy"``, with ``class_names`` also per class. Values of the whole
            epoch, which need ``class_names``, are ``"global"``, the overlap of all voxels together as nnU-Net reports
            it (``<tag>_global``), and ``"support"``, the number of samples in which a class occurred.
        empty_value: the value where a class is in neither label nor prediction: NaN (as in Clara, an absent class is
            not counted), or a number; then a class predicted but absent from the label scores 0.
        mask_key: a tensor ``[B, 1, *S]`` of the batch, or of an earlier aux-op: only voxels where it is positive count.

    Raises:
        ValueError: an option has an invalid value.
    """

    jaccard: bool = False
    class_names: Sequence[str] | None = None
    statistics: Sequence[str] = ()
    empty_value: float = math.nan
    mask_key: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.class_names
        if names is not None and (isinstance(names, str) or not names or len(set(names)) < len(names)):
            raise ValueError(f"expected class_names to be a list of different names, got {names!r}")
        if names is not None:
            object.__setattr__(self, "class_names", tracker_names(names))
        if isinstance(self.empty_value, bool) or not isinstance(self.empty_value, int | float):
            raise ValueError(f"expected empty_value to be a number or NaN, got {self.empty_value!r}")
        if self.num_classes is not None and self.data_format == "channels_last" and self.is_onehot_targets:
            raise ValueError("expected data_format='channels_first' for class indices against one-hot labels")
        if isinstance(self.statistics, str) or not set(self.statistics) <= set(STATISTICS):
            raise ValueError(f"expected statistics to be a list out of {STATISTICS}, got {self.statistics!r}")
        if names is None and set(self.statistics) & set(POOLED):
            raise ValueError(
                f"expected class_names for the statistics {self.statistics!r}, which are per class, got none"
            )

    @property
    def per_sample(self) -> list[str]:
        """The statistics that have a value per sample."""
        return [name for name in self.statistics if name not in POOLED]

    def tags(self, own: Sequence[str], prefix: str = "") -> tuple[str, ...]:
        """Return the op's ``own`` tags, and those of class names and statistics; ``prefix`` precedes a statistic."""
        names, wanted = self.class_names or (), [prefix + name for name in self.per_sample]
        more = [f"{tag}/{name}" for tag in (own[0], *wanted) for name in names]
        return (*own, *wanted, *more)

    def pooled_names(self, tag: str, prefix: str = "") -> list[str]:
        """Return the names of the values that are not means over samples."""
        return pooled_names(tag, self.class_names or (), self.statistics, prefix)

    def pooled_tags(self) -> list[str]:
        """Return the names of the sums that pooled values need."""
        return pooled_tags(self.class_names or ()) if set(self.statistics) & set(POOLED) else []


FIELDS = {field.name: field.default for field in dataclasses.fields(DiceOptions)}
DICE_KEYWORDS: Mapping[str, Any] = {
    **{name: FIELDS[name] for name in DiceKeywords.__annotations__ if name in FIELDS},
    **OP_OPTIONS,
}
