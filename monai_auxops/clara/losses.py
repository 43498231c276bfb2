"""Losses of Clara Train's classification pipelines."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


class MulticlassClassificationLoss(torch.nn.Module):
    """Clara's ``MulticlassClassificationLoss``: one cross-entropy per label, averaged over the labels.

    Args:
        label_format: one entry per label: ``1`` for a binary label with one logit, ``k`` for k classes with k logits.
            Empty: one label, whose classes are all of the logits.
        class_weights: a weight per class, for labels of as many classes (``WeightedMulticlassClassificationLoss``).

    Examples:
        >>> loss = MulticlassClassificationLoss([1, 3])
        >>> logits, label = torch.tensor([[9.0, 0.0, 9.0, 0.0]]), torch.tensor([[1, 1]])
        >>> round(loss(logits, label).item(), 4)
        0.0002
    """

    def __init__(self, label_format: Sequence[int] = (), class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if any(size < 1 for size in label_format):
            raise ValueError(f"MulticlassClassificationLoss expected entries of 1 or more, got {list(label_format)}")
        self.label_format = tuple(label_format)
        self.class_weights: Tensor | None
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights)

    def forward(self, pred: Tensor, label: Tensor) -> Tensor:
        """Return the loss of logits ``[B, sum(label_format)]`` and labels ``[B, len(label_format)]``."""
        sizes = self.label_format or (pred.shape[1],)
        labels = label.reshape(len(pred), -1)
        if sum(sizes) != pred.shape[1] or labels.shape[1] != len(sizes):
            raise ValueError(
                f"MulticlassClassificationLoss with label_format {list(sizes)} expected {sum(sizes)} logits and "
                f"{len(sizes)} labels, got {pred.shape[1]} and {labels.shape[1]}"
            )
        groups = zip(pred.split(list(sizes), dim=1), labels.unbind(1), strict=True)
        return torch.stack([self._one(logits, target) for logits, target in groups]).mean()

    def _one(self, logits: Tensor, target: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            return functional.binary_cross_entropy_with_logits(logits[:, 0], target.to(logits.dtype))
        fits = self.class_weights is not None and len(self.class_weights) == logits.shape[1]
        return functional.cross_entropy(logits, target.long(), weight=self.class_weights if fits else None)
