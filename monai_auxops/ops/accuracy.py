"""The share of correct predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from monai_auxops.core.context import BuildContext
from monai_auxops.counting.counts import count
from monai_auxops.counting.elements import of_classes, of_elements
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.naming import check_tag
from monai_auxops.ops.options import OpOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ComputeAccuracy(AuxiliaryOperation):
    """The share of elements where the rounded prediction equals the label, per sample.

    Of predictions and label of the same shape each element is compared: ``(p > 0.5) == (y > 0.5)``. Of class scores
    ``[B, C, *S]`` and class indices ``[B, 1, *S]`` the argmax is. NaN, negative and out-of-range labels are left out; a
    NaN prediction is never right.

    On one-hot labels the element-wise share is inflated: guessing among C classes scores ``1 - 2 (C - 1) / C**2``, 0.98
    for 105 classes. ``exclusive=True`` compares the argmax instead.

    Args:
        tag: name of the value ``[B]``.
        use_sigmoid: apply a sigmoid to predictions of the label's shape first.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        exclusive: labels ``[B, C, *S]`` are one-hot: compare the argmax over channels.
        final_activation: ``"sigmoid"`` is ``use_sigmoid``; ``"softmax"`` fits only class indices or ``exclusive``.
        **options: for every aux-op, see :class:`~monai_auxops.AuxiliaryOperation`.

    Raises:
        ValueError: shapes that do not fit, ``use_sigmoid`` and ``final_activation`` both, a softmax of binary labels.

    >>> import torch
    >>> accuracy = ComputeAccuracy("accuracy", use_sigmoid=True)
    >>> _ = accuracy(torch.tensor([[2.0, -1.0, 3.0]]), torch.tensor([[1, 0, 0]]))
    >>> accuracy.aggregate()
    {'accuracy': 0.6666666865348816}

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.ComputeAccuracy``.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)

    def __init__(
        self,
        tag: str,
        use_sigmoid: bool = False,
        do_summary: bool = True,
        do_print: bool = True,
        *,
        exclusive: bool = False,
        final_activation: str | None = None,
        **options: Unpack[OpOptions],
    ) -> None:
        self.tag, self.use_sigmoid, self.exclusive = check_tag(tag, self), use_sigmoid, exclusive
        self.final_activation = final_activation
        super().__init__(do_summary, do_print, **options)
        if final_activation not in (None, "sigmoid", "softmax"):
            self.fail(f"final_activation to be None, 'sigmoid' or 'softmax', got {final_activation!r}")
        if use_sigmoid and final_activation is not None:
            self.fail("use_sigmoid or final_activation, got both")
        self.accumulated = (tag,)
        self._seen = False

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """``{tag: [B]}``."""
        if label is None:
            raise ValueError("expected a label, got None")
        if predictions.dim() == 1:
            predictions = predictions[:, None]
        if label.shape == predictions.shape[:1] + predictions.shape[2:]:
            label = label.unsqueeze(1)
        if predictions.shape != label.shape:
            return {self.tag: self._of_classes(predictions, label, build_ctx, onehot=False)}
        if self.exclusive:
            return {self.tag: self._of_classes(predictions, label, build_ctx, onehot=True)}
        return {self.tag: self._of_elements(predictions, label)}

    def _of_classes(self, predictions: Tensor, label: Tensor, build_ctx: BuildContext, onehot: bool) -> Tensor:
        if predictions.shape[1] == 1 and onehot:
            raise ValueError("exclusive compares the argmax over channels; expected at least 2 channels, got 1")
        if predictions.shape[1] == 1:
            raise ValueError(
                f"expected a label of the predictions' shape {list(predictions.shape)}, got {list(label.shape)}"
            )
        key = ("counts", "channels_first", onehot, None)
        return of_classes(build_ctx.once(key, lambda: count(predictions, label, onehot=onehot))).accuracy()

    def _of_elements(self, predictions: Tensor, label: Tensor) -> Tensor:
        if self.final_activation == "softmax":
            raise ValueError("expected class indices with final_activation='softmax', got a label of the same shape")
        self._warn_if_onehot(label)
        cut = 0.0 if self.use_sigmoid or self.final_activation == "sigmoid" else 0.5
        return of_elements(predictions, label, cut).accuracy()

    def _warn_if_onehot(self, label: Tensor) -> None:
        if not self._seen and label.shape[1] > 1 and label.numel() and bool((label.sum(1) == 1).all()):
            self.warn_once("the labels look one-hot, where this share is inflated; exclusive=True compares classes")
        self._seen = True
