"""The predicted and the labeled class of each voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from monai_auxops.handlers.class_rule import ClassRule


def is_onehot(predictions: Tensor, label: Tensor, reading: ClassRule) -> bool:
    """Tell whether the label has a channel per class: as the aux-op says, or from its shape."""
    if reading.onehot is not None:
        return reading.onehot
    return label.shape[1] == predictions.shape[1] > 1


def class_maps(predictions: Tensor, label: Tensor, reading: ClassRule) -> tuple[Tensor, Tensor]:
    """Return predicted and labeled class of each voxel, both ``[B, *S]``; 0 is background, -1 is left out.

    Exclusive classes: the argmax, and the index. One channel: 1 where it is positive. For classes that may overlap it
    is the last positive one, counted from 1 if each channel is its own structure.
    """
    channels, onehot = predictions.shape[1], is_onehot(predictions, label, reading)
    if are_exclusive(predictions, label, reading):
        predicted = predictions.float().max(1).indices
        truth = label.max(1).indices if onehot else index_of(label, channels)
    else:
        first = int(onehot or channels == 1)
        predicted = last_positive(positive_mask(predictions, reading), first)
        truth = last_positive(label > 0.5, first) if onehot else index_of(label, max(2, channels))
    return predicted.masked_fill(truth < 0, -1), truth


def are_exclusive(predictions: Tensor, label: Tensor, reading: ClassRule) -> bool:
    """Tell whether each voxel has one class, that of the highest score."""
    if predictions.shape[1] == 1 or reading.independent:
        return False
    return reading.exclusive or not is_onehot(predictions, label, reading)


def index_of(label: Tensor, classes: int) -> Tensor:
    """Return the index in a label ``[B, 1, *S]`` as ``[B, *S]``; -1 where it is not one of the classes."""
    index = label[:, 0]
    valid = (index >= 0) & (index < classes)
    if label.is_floating_point():
        valid &= index == index.floor()
    return torch.where(valid, index, 0).long().masked_fill(~valid, -1)


def positive_mask(predictions: Tensor, reading: ClassRule) -> Tensor:
    """Return where each channel is positive; ``ValueError`` if no threshold is known."""
    if reading.cut is None:
        raise ValueError(
            "no aux-op of this engine says at which threshold scores become positive; pass threshold= to the handler"
        )
    if reading.softmax:
        predictions = torch.softmax(predictions.float(), 1)
    return predictions > reading.cut


def last_positive(positive: Tensor, first: int) -> Tensor:
    """Return the number of the last positive channel, counted from ``first``; 0 where none is.

    Examples:
        >>> last_positive(torch.tensor([[[True, True, False], [False, True, False]]]), 1)
        tensor([[1, 2, 0]])
    """
    shape = (1, -1, *(1,) * (positive.dim() - 2))
    numbers = torch.arange(first, first + positive.shape[1], device=positive.device).reshape(shape)
    return (positive * numbers).amax(1)


def class_maps_of_any(prediction: Tensor, label: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    """Return predicted and labeled classes without an aux-op, ``[B, *S]`` with ``dims`` axes in S.

    Several channels are scores, or a one-hot label, of exclusive classes; one channel, or none, holds indices.

    Examples:
        >>> class_maps_of_any(torch.tensor([[[0.2, 0.9], [0.8, 0.1]]]), torch.tensor([[1, 0]]), 1)
        (tensor([[1, 0]]), tensor([[1, 0]]))
    """
    with_channels = [x if x.dim() == dims + 2 else x.unsqueeze(1) for x in (prediction, label)]
    predicted, truth = (x.max(1).indices if x.shape[1] > 1 else x[:, 0].long() for x in with_channels)
    return predicted, truth
