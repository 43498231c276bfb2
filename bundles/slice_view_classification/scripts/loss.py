"""The loss of a network that answers several labels at once."""

from collections.abc import Sequence

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy


class LabelFormatLoss(torch.nn.Module):
    """The sum over labels of their cross entropies, binary where ``label_format`` says 1.

    Args:
        label_format: one integer per label: 1 binary with one logit, k a label of k classes with k logits.
    """

    def __init__(self, label_format: Sequence[int]) -> None:
        super().__init__()
        self.label_format = list(label_format)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean over the batch: ``logits [B, sum(label_format)]``, ``labels [B, len(label_format)]``."""
        groups = logits.split(self.label_format, dim=1)
        return sum(one_label(group, label) for group, label in zip(groups, labels.unbind(1), strict=True))


def one_label(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of one label."""
    if logits.shape[1] == 1:
        return binary_cross_entropy_with_logits(logits[:, 0], label.to(logits.dtype))
    return cross_entropy(logits, label)
