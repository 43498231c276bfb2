"""Read a batch as its engine's aux-ops do: where the tensors are, what a label means, which threshold applies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from monai_auxops.core.inputs import plain_tensor
from monai_auxops.engine.hub import Hub
from monai_auxops.engine.outputs import split_output
from monai_auxops.ops import (
    ComputeAccuracy,
    ComputeBinaryPreds,
    ComputeMulticlassAccuracy,
    ComputeMulticlassPreds,
)
from monai_auxops.ops.dice_base import DiceOperation

if TYPE_CHECKING:
    from ignite.engine import Engine

Seen = dict[str, Any]


@dataclass(frozen=True)
class ClassRule:
    """How predictions and label become classes.

    Args:
        cut: the threshold on the scale of the predictions; None: no aux-op says.
        independent: each channel is a class of its own, which may overlap others.
        exclusive: classes are exclusive, even if the label has a channel per class.
        onehot: the label has a channel per class; None: no aux-op says.
        softmax: the cut is on probabilities over the channels.
        channels_last: the channels are the last axis.
        ignored: label values to leave out.
        mask_key: a mask of the batch; voxels outside it are not counted.
        class_names: names of the classes that the aux-op measures.
    """

    cut: float | None = None
    independent: bool = False
    exclusive: bool = False
    onehot: bool | None = None
    softmax: bool = False
    channels_last: bool = False
    ignored: tuple[int, ...] = ()
    mask_key: str | None = None
    class_names: tuple[str, ...] | None = None


def class_rule_of(engine: Engine, threshold: float | None = None) -> ClassRule:
    """Return how the first aux-op of ``engine`` that decides on classes reads; ``threshold`` overrides its cut."""
    hub = Hub.of(engine)
    readings = [class_rule_of_op(each.op) for each in hub.attachments] if hub is not None else []
    known = next((reading for reading in readings if reading is not None), ClassRule())
    return known if threshold is None else replace(known, cut=threshold)


def class_rule_of_op(op: object) -> ClassRule | None:
    """Return how an aux-op reads; None if it does not decide on classes.

    Examples:
        >>> from monai_auxops import ComputeAccuracy, NegLoss
        >>> class_rule_of_op(ComputeAccuracy("a", use_sigmoid=True)).cut, class_rule_of_op(NegLoss("negloss"))
        (0.0, None)
    """
    if isinstance(op, DiceOperation):
        return _read_by_dice(op)
    if isinstance(op, ComputeAccuracy):
        logits = op.use_sigmoid or op.final_activation == "sigmoid"
        return ClassRule(cut=0.0 if logits else 0.5, exclusive=op.exclusive)
    if isinstance(op, ComputeMulticlassAccuracy | ComputeMulticlassPreds):
        return ClassRule(cut=0.0 if op.use_sigmoid_for_binary else 0.5)
    return ClassRule(cut=0.0) if isinstance(op, ComputeBinaryPreds) else None


def _read_by_dice(op: DiceOperation) -> ClassRule:
    cut = float(op.threshold)
    if op.final_activation == "sigmoid":
        cut = math.log(cut / (1 - cut))
    ignored = op.ignore_index
    if ignored is None:
        ignored = ()
    return ClassRule(
        cut=cut,
        independent=op.is_independent_predictions,
        exclusive=not op.is_independent_predictions,
        onehot=op.is_onehot_targets,
        softmax=op.final_activation == "softmax",
        channels_last=op.data_format == "channels_last",
        ignored=tuple(ignored) if isinstance(ignored, Iterable) else (ignored,),
        mask_key=op.mask_key,
        class_names=None if op.class_names is None else tuple(op.class_names),
    )


def tensors_of(engine: Engine) -> Seen:
    """Return image, label and predictions of the batch as plain tensors, as far as they exist.

    The output may be a dict, or ``(y_pred, y)``; the image is the output's or the batch's. Raises a ``ValueError``
    without predictions.
    """
    hub, output, batch = Hub.of(engine), engine.state.output, engine.state.batch
    transforms = [] if hub is None else [each.output_transform for each in hub.attachments]
    found = split_output(output, next((each for each in transforms if each is not None), None), "the batch")
    image = found.get("image")
    if image is None:
        image = first_input(batch)
    return {
        "image": image,
        "label": plain_tensor(found.get("label")),
        "pred": plain_tensor(found["pred"]),
        "batch": batch,
    }


def first_input(batch: Any) -> Any:
    """Return the image in a loader's batch: the value of ``image``, or the first one.

    Examples:
        >>> first_input({"image": 1, "label": 2}), first_input((3, 4)), first_input(None)
        (1, 3, None)
    """
    if isinstance(batch, dict):
        return batch.get("image")
    return batch[0] if isinstance(batch, Sequence) and len(batch) > 1 else None


def arrange_tensors(seen: Seen, reading: ClassRule) -> tuple[Tensor, Tensor]:
    """Return predictions ``[B, C, *S]`` and label ``[B, 1, *S]`` or one-hot ``[B, C, *S]``; otherwise ``ValueError``.

    Voxels that ``reading`` leaves out have label -1.
    """
    predictions, label = seen["pred"], seen["label"]
    if not isinstance(predictions, Tensor) or not isinstance(label, Tensor):
        raise ValueError(f"expected predictions and label to be tensors, got {shapes_text(predictions, label)}")
    if predictions.dim() == 1:
        predictions, label = predictions[:, None], label.reshape(len(label), -1)
    dims = predictions.dim()
    if reading.channels_last and dims > 2:
        predictions = predictions.movedim(-1, 1)
        label = label.movedim(-1, 1) if label.dim() == dims else label
    if label.dim() == dims - 1:
        label = label.unsqueeze(1)
    fits = label.dim() == dims and label.shape[2:] == predictions.shape[2:] and len(label) == len(predictions)
    if not fits or label.shape[1] not in (1, predictions.shape[1]):
        raise ValueError(f"expected a label for each voxel of the predictions, got {shapes_text(predictions, label)}")
    return predictions, label_without_ignored(label, seen["batch"], reading)


def label_without_ignored(label: Tensor, batch: Any, reading: ClassRule) -> Tensor:
    """Return the label with -1 where ``reading`` leaves a voxel out."""
    out = torch.zeros_like(label[:, :1], dtype=torch.bool)
    if not reading.onehot:
        for index in reading.ignored:
            out = out | (label[:, :1].float() == index)
    mask = plain_tensor(batch.get(reading.mask_key)) if isinstance(batch, dict) and reading.mask_key else None
    if isinstance(mask, Tensor):
        mask = mask.to(label.device, non_blocking=True)
        mask = mask.movedim(-1, 1) if reading.channels_last and mask.dim() == label.dim() else mask
        out = out | ~(mask.reshape(out.shape) > 0)
    if not reading.ignored and mask is None:
        return label
    signed = label if label.is_floating_point() else label.long()
    return signed.masked_fill(out, -1)


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


def shapes_text(*tensors: Any) -> str:
    """Return the shapes of tensors, and the types of other values."""
    return " and ".join(str(list(t.shape)) if isinstance(t, Tensor) else type(t).__name__ for t in tensors)


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
