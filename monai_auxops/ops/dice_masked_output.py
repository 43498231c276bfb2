"""Dice per class, and its mean over the classes present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from monai_auxops.ops.dice_base import DiceOperation
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Unpack

    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.group import Formula
    from monai_auxops.ops.dice_options import DiceKeywords


class DiceMaskedOutput(DiceOperation):
    """Dice with a tag per class: a class that is absent from a label is not counted for that sample.

    Voxels whose index is NaN, negative, fractional or too large are left out, such as 255 in a mask of 0 and 255. After
    the first such epoch a warning says how many there were, without those that ``ignore_index`` or ``mask_key`` leaves
    out on purpose.

    Args:
        tags: the first is the tag of the mean over the present classes ``[B]``, the others of one class each ``[B]``,
            in order (after ``skip_background``). A string, or a list of 1 or of 1 + the number of classes; with one
            class exactly 1.
        data_format: ``"channels_first"`` or ``"channels_last"``.
        skip_background: leave out class 0.
        is_onehot_targets: the label is ``[B, C, *S]`` instead of indices ``[B, 1, *S]``.
        is_independent_predictions: channels do not exclude each other (sigmoid).
        jaccard: ``TP / (P + T - TP)`` instead of ``2 TP / (P + T)``.
        threshold: on probabilities, where predictions are thresholded.
        do_summary: whether TensorBoard shows the values.
        do_print: whether the console shows the values.
        **options: ``final_activation``, ``class_names``, ``statistics``, ``empty_value``, ``ignore_index``,
            ``mask_key``: see ``DiceOptions`` and ``Reading``; those of every aux-op: see ``OpOptions``.

    Raises:
        ValueError: a number of tags that does not fit the classes; shapes that do not fit.

    Examples:
        >>> import torch
        >>> dice = DiceMaskedOutput(["dice", "dice_gray", "dice_white"], skip_background=True)
        >>> scores = torch.nn.functional.one_hot(torch.tensor([[0, 1, 1, 0]]), 3).movedim(-1, 1)
        >>> _ = dice(scores.float(), torch.tensor([[[0, 1, 0, 0]]]))
        >>> dice.aggregate()
        {'dice': 0.6666666865348816, 'dice_gray': 0.6666666865348816, 'dice_white': nan}

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.DiceMaskedOutput``.
    """

    def __init__(
        self,
        tags: str | Sequence[str],
        data_format: str = "channels_first",
        skip_background: bool = False,
        is_onehot_targets: bool = False,
        is_independent_predictions: bool = False,
        jaccard: bool = False,
        threshold: float = 0.5,
        do_summary: bool = True,
        do_print: bool = True,
        **options: Unpack[DiceKeywords],
    ) -> None:
        self.tags = tuple(tags) if isinstance(tags, list | tuple) else (tags,)
        if not self.tags or len(set(self.tags)) < len(self.tags):
            self.fail(f"tags to be one name or a list of different names, got {tags!r}")
        super().__init__(
            [check_tag(tag, self) for tag in self.tags],
            data_format,
            skip_background,
            is_onehot_targets,
            is_independent_predictions,
            jaccard,
            threshold,
            do_summary,
            do_print,
            **options,
        )

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """Return ``[B]`` for each tag."""
        dice, mean = self.overlaps(build_ctx)
        classes = dice.shape[1]
        if len(self.tags) not in (1, 1 + classes if classes > 1 else 1):
            expected = f"1 or {1 + classes}" if classes > 1 else "1"
            raise ValueError(f"expected {expected} tags for {classes} classes, got {len(self.tags)}: {self.tags}")
        outputs = dict(zip(self.tags, (mean, *dice.unbind(1)), strict=False))
        return outputs | self.named_outputs(self.tags[0], dice, build_ctx)

    def formula(self, build_ctx: BuildContext) -> Formula | None:
        """Return how the values follow from counts; the tags are those of ``get_output_tensors``."""
        return super().formula(build_ctx)
