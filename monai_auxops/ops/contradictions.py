"""What cannot be as the options say: noted per sample on the device, said once at the epoch's end.

Nothing here waits for a device. Of large samples a regular grid is looked at: a missing activation shows everywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from monai_auxops.core.context import BuildContext

NO_CLASS, RANGE, OVERLAP = "note/no_class", "note/range", "note/overlap"  # names of the sums
ONE_HOT = "note/one_hot"
GRID = 65_536  # values of a sample that are looked at, about
TOLERANCE = 0.01  # resampling and sums of windows leave the unit interval by less, logits by more


def grid(values: Tensor) -> Tensor:
    """View a regular grid of ``values`` ``[B, C, *S]`` with at most some ``GRID`` values a sample: nothing is copied.

    Examples:
        >>> grid(torch.zeros(1, 2, 512, 512)).shape
        torch.Size([1, 2, 171, 171])
    """
    dims, size = values.dim() - 2, math.prod(values.shape[1:])
    if dims < 1 or size <= GRID:
        return values
    step = math.ceil((size / GRID) ** (1 / dims))
    return values[(slice(None), slice(None)) + (slice(None, None, step),) * dims]


def beyond_probabilities(predictions: Tensor) -> Tensor:
    """Tell whether a sample has values outside 0..1: bool ``[B]``."""
    lowest, highest = _limits(predictions)
    return (lowest < -TOLERANCE) | (highest > 1 + TOLERANCE)


def within_probabilities(predictions: Tensor) -> Tensor:
    """Tell whether all values of a sample are within 0..1: bool ``[B]``, false where one is NaN."""
    lowest, highest = _limits(predictions)
    return (lowest >= -TOLERANCE) & (highest <= 1 + TOLERANCE)


def _limits(predictions: Tensor) -> tuple[Tensor, Tensor]:
    values = grid(predictions).flatten(1)
    if values.shape[1] == 0:
        values = values.new_full((len(values), 1), 0)
    if values.dtype == torch.bool:
        values = values.to(torch.uint8)
    lowest, highest = values.aminmax(dim=1)
    return lowest, highest


def overlapping(label: Tensor) -> Tensor:
    """Tell whether classes of a one-hot label ``[B, C, *S]`` share a voxel: bool ``[B]``."""
    return (_classes(label) > 1).any(1)


def one_hot(label: Tensor) -> Tensor:
    """Tell whether each voxel of ``[B, C, *S]`` has exactly one class: bool ``[B]``."""
    return (_classes(label) == 1).all(1)


def _classes(label: Tensor) -> Tensor:
    """The number of classes that each voxel has, ``[B, n]``."""
    return (grid(label) > 0.5).sum(1).reshape(len(label), -1)


def spoken_by(op: object, build_ctx: BuildContext, key: object) -> bool:
    """Tell if ``op`` is the first that reads this batch so: of several ops that see the same fault, one says it."""
    return build_ctx.once(("says", key), lambda: op) is op


def no_class(number: int, channels: int) -> str:
    """Say that labels are no class and what may be meant; ``channels`` of the predictions."""
    if channels == 1:
        return (
            f"{number} labels name no class of one channel (they are neither 0 nor 1) and were left out; give a score "
            "for each class, or class indices with num_classes=, or pass ignore_index= if this is intended"
        )
    return (
        f"{number} labels name no class from 0 to {channels - 1} (255, negative, a fraction or NaN) and were left out; "
        "check the labels, or pass ignore_index= if this is intended"
    )


def not_probabilities(number: int, samples: int, threshold: float, channels: int) -> str:
    """Say that values which are no probabilities were compared with one."""
    indices = " if they are class indices, pass num_classes=;" if channels == 1 else ""
    return (
        f"in {number} of {samples} samples predictions outside 0 to 1 were compared with the threshold {threshold}; if "
        f"they are logits, pass final_activation='sigmoid';{indices} if another scale is intended, choose its threshold"
    )


def already_probabilities(option: str) -> str:
    """Say that ``option`` applies an activation to what is a probability already."""
    return (
        f"all predictions lie within 0 to 1, although {option} says that they are not yet probabilities; leave it out "
        "if the network ends in its activation"
    )


def overlap(number: int, samples: int, mend: str) -> str:
    """Say that one-hot labels overlap where an argmax predicts."""
    return (
        f"in {number} of {samples} samples the one-hot labels overlap, although an argmax predicts one class a voxel; "
        f"{mend} if classes do not exclude each other"
    )
