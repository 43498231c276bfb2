"""The tensors of a batch where its engine's aux-ops find them, arranged channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from monai_auxops.core.inputs import plain_tensor
from monai_auxops.engine.hub import Hub
from monai_auxops.engine.outputs import split_output

if TYPE_CHECKING:
    from ignite.engine import Engine

    from monai_auxops.handlers.class_rule import ClassRule

Seen = dict[str, Any]


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


def shapes_text(*tensors: Any) -> str:
    """Return the shapes of tensors, and the types of other values."""
    return " and ".join(str(list(t.shape)) if isinstance(t, Tensor) else type(t).__name__ for t in tensors)
