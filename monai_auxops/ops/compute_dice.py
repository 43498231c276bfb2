"""Dice per sample, averaged over its valid classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai_auxops.ops.dice_base import DiceOperation
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Unpack

    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.group import Formula
    from monai_auxops.ops.dice_options import DiceKeywords


class ComputeDice(DiceOperation):
    """Dice of hard predictions: per sample the mean over its valid classes, and which classes were valid.

    Per sample b and class c the value is ``2 TP / (P + T)`` from voxel counts; it is NaN, and left out, where the class
    is absent from the label. P is the argmax over channels, or ``prediction > threshold`` with
    ``is_independent_predictions`` and always with one channel; T is the label's index, or ``label > 0.5`` with
    ``is_onehot_targets``.

    Voxels whose index is NaN, negative, fractional or too large are left out, such as 255 in a mask of 0 and 255. After
    the first such epoch a warning says how many there were, without those that ``ignore_index`` or ``mask_key`` leaves
    out on purpose.

    Args:
        tag: name of the value ``[B]``.
        mask_tag: name of the mask ``[B, C']``, 1.0 where class c of sample b was valid. Not written if None.
        data_format: ``"channels_first"`` or ``"channels_last"``.
        skip_background: leave out class 0.
        is_onehot_targets: the label is ``[B, C, *S]`` instead of indices ``[B, 1, *S]``.
        is_independent_predictions: channels do not exclude each other (sigmoid).
        jaccard: ``TP / (P + T - TP)`` instead.
        threshold: on probabilities, where predictions are thresholded.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        **options: ``final_activation``, ``class_names``, ``statistics``, ``empty_value``, ``ignore_index``,
            ``mask_key``: see ``DiceOptions`` and ``Reading``; those of every aux-op: see ``OpOptions``.

    Raises:
        ValueError: shapes or channels that do not fit, one channel with ``skip_background``.

    Examples:
        >>> import torch
        >>> dice = ComputeDice("dice", is_independent_predictions=True)
        >>> _ = dice(torch.tensor([[[0.9, 0.8, 0.1]], [[0.9, 0.1, 0.1]]]), torch.tensor([[[1, 0, 0]], [[0, 0, 0]]]))
        >>> dice.aggregate()  # the second sample has no foreground and does not count
        {'dice': 0.6666666865348816}

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.ComputeDice``.
    """

    def __init__(
        self,
        tag: str,
        mask_tag: str | None = None,
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
        self.tag, self.mask_tag = check_tag(tag, self), mask_tag
        super().__init__(
            [tag],
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
        if mask_tag is not None and check_tag(mask_tag, self) == tag:
            self.fail(f"mask_tag to differ from tag, got {tag!r} twice")

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """Return ``{tag: [B]}``, and ``{mask_tag: [B, C']}`` if it has a name."""
        dice, mean = self.overlaps(build_ctx)
        outputs = {self.tag: mean} | self.named_outputs(self.tag, dice, build_ctx)
        if self.mask_tag is not None:
            outputs[self.mask_tag] = (~dice.isnan()).float()
        return outputs

    def formula(self, build_ctx: BuildContext) -> Formula | None:
        """Return how the values follow from counts; None with ``mask_tag``, which is not a fraction."""
        return super().formula(build_ctx) if self.mask_tag is None else None
