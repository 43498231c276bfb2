"""The computations of the aux-ops as plain functions: tensors in, tensors out, no state.

>>> import torch
>>> from monai_auxops import functional
>>> scores = torch.tensor([[[0.9, 0.2, 0.4, 0.1], [0.1, 0.8, 0.6, 0.9]]])
>>> label = torch.tensor([[[0, 1, 0, 1]]])
>>> functional.dice(scores, label)
tensor([[0.6667, 0.8000]])
>>> functional.accuracy(scores, label)
tensor([0.7500])
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monai_auxops.core.context import undisturbed
from monai_auxops.counting.counts import Counts, confusion, count
from monai_auxops.counting.elements import shares_of_classes, shares_of_elements
from monai_auxops.counting.overlap import overlap
from monai_auxops.counting.reading import Reading, ReadingOptions, count_for

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Unpack

__all__ = ["Counts", "accuracy", "confusion", "counts", "dice", "jaccard"]


def counts(
    predictions: Tensor, label: Tensor, *, mask: Tensor | None = None, **options: Unpack[ReadingOptions]
) -> Counts:
    """Count true and false positives and negatives per sample and class.

    Args:
        predictions: ``[B, C, *S]`` with 0 to 3 spatial dimensions: scores, of which the highest decides, or values to
            compare with ``threshold`` (one channel, or ``is_independent_predictions``).
        label: class indices ``[B, 1, *S]`` or ``[B, *S]``; with ``is_onehot_targets`` ``[B, C, *S]``.
        mask: ``[B, 1, *S]``: only voxels where it is positive count.
        **options: ``data_format``, ``skip_background``, ``is_onehot_targets``, ``is_independent_predictions``,
            ``threshold``, ``final_activation``, ``ignore_index``: see ``Reading``.

    Returns:
        A named tuple ``tp, fp, fn, tn`` of int64 ``[B, C]``, without class 0 if ``skip_background`` is set.

    Raises:
        ValueError: shapes or options that do not fit.

    Examples:
        >>> import torch
        >>> counts(torch.tensor([[[0.9, 0.8, 0.1]]]), torch.tensor([[[1, 0, 1]]]))
        Counts(tp=tensor([[1]]), fp=tensor([[1]]), fn=tensor([[1]]), tn=tensor([[0]]))
    """
    reading = Reading(**options)
    with undisturbed(predictions.device):
        dims = reading.with_channel(predictions, label).dim()
        all_classes = count_for(reading, predictions, label, reading.left_out(label, dims, mask))
        return Counts(*map(reading.select_measured, all_classes))


def dice(
    predictions: Tensor,
    label: Tensor,
    *,
    mask: Tensor | None = None,
    empty_value: float = math.nan,
    **options: Unpack[ReadingOptions],
) -> Tensor:
    """Compute ``2 TP / (P + T)`` per sample and class.

    Args:
        predictions: as in ``counts``.
        label: as in ``counts``.
        mask: as in ``counts``.
        empty_value: the value where a class is in neither label nor prediction. NaN leaves out every class that is
            absent from the label, as Clara does; with a number, a class predicted but absent from the label scores 0.
        **options: as in ``counts``.

    Returns:
        ``[B, C]``; its ``nanmean(1)`` is what ``ComputeDice`` reports.

    Raises:
        ValueError: shapes or options that do not fit.

    Examples:
        >>> import torch
        >>> dice(torch.tensor([[[0.9, 0.8, 0.1]]]), torch.tensor([[[1, 0, 1]]]))
        tensor([[0.5000]])
        >>> dice(torch.tensor([[[0.1, 0.1]]]), torch.tensor([[[0, 0]]])), dice(
        ...     torch.tensor([[[0.1, 0.1]]]), torch.tensor([[[0, 0]]]), empty_value=1.0
        ... )
        (tensor([[nan]]), tensor([[1.]]))

    Source: L. R. Dice, Measures of the amount of ecologic association between species, Ecology 26 (1945).
    """
    return overlap(counts(predictions, label, mask=mask, **options), empty_value=empty_value)


def jaccard(
    predictions: Tensor,
    label: Tensor,
    *,
    mask: Tensor | None = None,
    empty_value: float = math.nan,
    **options: Unpack[ReadingOptions],
) -> Tensor:
    """Compute ``TP / (P + T - TP)`` per sample and class, also known as intersection over union.

    Args:
        predictions: as in ``counts``.
        label: as in ``counts``.
        mask: as in ``counts``.
        empty_value: as in ``dice``.
        **options: as in ``counts``.

    Returns:
        ``[B, C]``.

    Raises:
        ValueError: shapes or options that do not fit.

    Examples:
        >>> import torch
        >>> jaccard(torch.tensor([[[0.9, 0.8, 0.1]]]), torch.tensor([[[1, 0, 1]]]))
        tensor([[0.3333]])

    Source: P. Jaccard, Bulletin de la Société vaudoise des sciences naturelles 37 (1901).
    """
    return overlap(counts(predictions, label, mask=mask, **options), jaccard=True, empty_value=empty_value)


def accuracy(predictions: Tensor, label: Tensor, *, exclusive: bool = False, threshold: float = 0.5) -> Tensor:
    """Compute the share of correct predictions per sample.

    If predictions and label have one shape, elements are compared, ``(p > threshold) == (y > 0.5)``; for class scores
    ``[B, C, *S]`` and class indices ``[B, 1, *S]``, the argmax is compared. NaN, negative and out-of-range labels are
    left out; a NaN prediction is never correct.

    Args:
        predictions: scores ``[B, C, *S]`` or ``[B]``.
        label: class indices, or a label of the predictions' shape.
        exclusive: labels of the predictions' shape are one-hot: compare the argmax over channels.
        threshold: on the scale of the predictions; 0 for the logits of a sigmoid.

    Returns:
        ``[B]``; NaN where a sample has no valid label.

    Raises:
        ValueError: shapes that do not fit.

    Examples:
        >>> import torch
        >>> accuracy(torch.tensor([[2.0, -1.0, 3.0]]), torch.tensor([[1, 0, 0]]), threshold=0.0)
        tensor([0.6667])
    """
    with undisturbed(predictions.device):
        predictions = predictions[:, None] if predictions.dim() == 1 else predictions
        if label.shape == predictions.shape[:1] + predictions.shape[2:]:
            label = label.unsqueeze(1)
        onehot = predictions.shape == label.shape
        if onehot and not exclusive:
            return shares_of_elements(predictions, label, threshold).accuracy()
        if predictions.shape[1] == 1:
            raise ValueError(f"expected a label of the shape {list(predictions.shape)}, got {list(label.shape)}")
        return shares_of_classes(count(predictions, label, onehot=onehot)).accuracy()
