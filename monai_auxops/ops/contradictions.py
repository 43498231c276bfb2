"""Contradictions between data and options: counted per sample on the device, reported once at the epoch's end.

Nothing here waits for a device. Large samples are checked on a regular grid, because a missing activation shows
everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.core.shared_counts import reporter_key

if TYPE_CHECKING:
    from monai_auxops.core.context import BuildContext

NO_CLASS, RANGE, OVERLAP = "note/no_class", "note/range", "note/overlap"  # names of the sums
ONE_HOT = "note/one_hot"
GRID = 65_536  # approximate number of values of a sample to check
TOLERANCE = 0.01  # resampling and sliding windows exceed the unit interval by less, logits by more


def grid(values: Tensor) -> Tensor:
    """View a regular grid of ``values`` ``[B, C, *S]`` with about ``GRID`` values per sample, without copying.

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


def has_overlap(label: Tensor) -> Tensor:
    """Tell whether classes of a one-hot label ``[B, C, *S]`` share a voxel: bool ``[B]``."""
    return (_classes(label) > 1).any(1)


def is_one_hot(label: Tensor) -> Tensor:
    """Tell whether each voxel of ``[B, C, *S]`` has exactly one class: bool ``[B]``."""
    return (_classes(label) == 1).all(1)


def _classes(label: Tensor) -> Tensor:
    """Return the number of classes of each voxel, ``[B, n]``."""
    return (grid(label) > 0.5).sum(1).reshape(len(label), -1)


def is_first_reader(op: object, build_ctx: BuildContext, key: Hashable) -> bool:
    """Tell whether ``op`` is the first that reads this batch so: of several ops that see one fault, one reports it."""
    return build_ctx.once(reporter_key(key), lambda: op) is op


def no_class(number: int, channels: int) -> str:
    """Return the message that labels are not a class, with remedies.

    Args:
        number: how many labels.
        channels: of the predictions; 0 if this process has seen no batch, as after loading a state.
    """
    if channels == 1:
        return (
            f"{number} labels are neither 0 nor 1, although predictions have one channel, and were ignored; predict a "
            "score per class, or class indices with num_classes=, or pass ignore_index= if this is intended"
        )
    found = unknown_labels(number, "labels", channels)
    return f"{found}; check the labels, or pass ignore_index= if this is intended"


def unknown_labels(number: int, where: str, channels: int) -> str:
    """Return the part of a message that says which labels are not a class."""
    scale = f" from 0 to {channels - 1}" if channels else ""
    return f"{number} {where} are not class indices{scale} (255, negative, fractional or NaN) and were ignored"


def not_probabilities(number: int, samples: int, threshold: float, channels: int) -> str:
    """Return the message that values which are not probabilities were compared with a probability."""
    indices = " if they are class indices, pass num_classes=;" if channels == 1 else ""
    return (
        f"in {number} of {samples} samples predictions outside 0 to 1 were compared with the threshold {threshold}; if "
        f"they are logits, pass final_activation='sigmoid';{indices} if they have another scale, pass threshold= on it"
    )


def already_probabilities(option: str) -> str:
    """Return the message that ``option`` applies an activation to probabilities."""
    return (
        f"all predictions lie within 0 to 1, although {option} expects logits; omit it if the network ends with its "
        "activation"
    )


def overlap(number: int, samples: int, mend: str) -> str:
    """Return the message that one-hot labels overlap although an argmax predicts."""
    return (
        f"in {number} of {samples} samples the one-hot labels overlap, but an argmax predicts one class per voxel; "
        f"{mend} if classes are not exclusive"
    )
