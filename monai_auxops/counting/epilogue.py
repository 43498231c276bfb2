"""Turn the counts of a batch into values of many aux-ops at once: in one kernel on a GPU, otherwise in six operations.

A value is a mean over valid fractions of counts: the Dice of a class is one fraction, a mean Dice has a fraction per
class, an accuracy is one fraction of sums. Two matrices therefore describe all values:

    counts [B, 4C], voxels        fractions                                values
    tp fp fn tn … n 1 ── @ rows ─▶ over  │ valid
                                   ──────┼──────  ── @ columns ─▶  A / B   [B, columns]
                                   under │ valid

``valid / valid`` is 1, or 0 where a fraction has nothing to measure. There ``over`` is 0 as well, and a value without
any valid fraction is 0 / 0: NaN. To avoid 0 / 0 in the first division, 1e-300 is added to its denominators, which does
not change a count. Everything is float64, in which counts below 2**53 are exact; the values are rounded to float32
once, so their float64 sums are exact in any order.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from monai_auxops.counting.counts import backend

if TYPE_CHECKING:
    from monai_auxops.counting.counts import Counts


class Fraction(NamedTuple):
    """Weights of tp, fp, fn, tn for ``over / under`` where ``valid`` is positive; elsewhere ``over`` is 0."""

    over: tuple[int, int, int, int]
    under: tuple[int, int, int, int]
    valid: tuple[int, int, int, int]


FRACTIONS = {
    "dice": Fraction((2, 0, 0, 0), (2, 1, 1, 0), (1, 0, 1, 0)),
    "jaccard": Fraction((1, 0, 0, 0), (1, 1, 1, 0), (1, 0, 1, 0)),
    "precision": Fraction((1, 0, 0, 0), (1, 1, 0, 0), (1, 1, 0, 0)),
    "recall": Fraction((1, 0, 0, 0), (1, 0, 1, 0), (1, 0, 1, 0)),
    "specificity": Fraction((0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 0, 1)),
}


class Column(NamedTuple):
    """One value per sample: the mean of a fraction over ``classes``, or with ``pooled`` the fraction of their sums.

    If ``empty_value`` is a number, it replaces 0 / 0, and every class is valid.
    """

    fraction: str
    classes: tuple[int, ...] = ()
    empty_value: float = math.nan
    pooled: bool = False


WITHOUT_CLASS = Column("without class")
"""The voxels of a sample whose label is not a class."""
NOTHING = Column("nothing")
"""A column of zeros."""


class Evaluated(NamedTuple):
    """The values of a batch ``[B, n]`` as float32, and their numerators and denominators ``[B, 2 n]`` as float64."""

    values: Tensor
    fractions: Tensor


def evaluate(counts: Counts, voxels: int, columns: tuple[Column, ...]) -> Evaluated:
    """Compute ``columns`` of a batch.

    Args:
        counts: counts of all classes, ``[B, C]`` each.
        voxels: the number of voxels per sample, at least 1.
        columns: the values to compute.

    Examples:
        >>> from monai_auxops.counting.counts import Counts
        >>> counts = Counts(*torch.tensor([[[2, 0, 0]], [[1, 3, 0]], [[1, 0, 0]], [[6, 7, 10]]]))
        >>> columns = Column("dice", (0, 1, 2)), Column("dice", (1,)), Column("dice", (1, 2), empty_value=1.0)
        >>> evaluate(counts, 10, columns).values
        tensor([[0.6667,    nan, 0.5000]])
    """
    device = counts.tp.device
    recipe = _recipe(columns, counts.tp.shape[1], device)
    if backend(device) == "triton":
        from monai_auxops.counting import epilogue_triton  # triton is only there with CUDA

        found = epilogue_triton.evaluate(counts, voxels, recipe.rows, recipe.columns)
        if found is not None:
            return Evaluated(*found)
    constants = _constants(voxels, device).expand(len(counts.tp), 2)
    table = torch.cat([*counts, constants], 1)  # float64, because the constants are
    above, below = (table @ recipe.rows).chunk(2, 1)
    fractions = above.div_(below) @ recipe.columns
    return Evaluated(quotients(fractions), fractions)


def quotients(fractions: Tensor) -> Tensor:
    """Divide numerators by denominators ``[..., 2 n]``: values ``[..., n]`` as float32, NaN if nothing is measured."""
    over, under = fractions.chunk(2, -1)
    return (over / under).float()


class Recipe(NamedTuple):
    """The two matrices shown at the top of this module."""

    rows: Tensor
    columns: Tensor


@functools.lru_cache(maxsize=64)
def _constants(voxels: int, device: torch.device) -> Tensor:
    """Return ``[[voxels, 1]]``, filled on the device: a copy from the host would wait for a GPU."""
    both = [torch.full((1, 1), number, dtype=torch.float64, device=device) for number in (voxels, 1)]
    return torch.cat(both, 1)


@functools.lru_cache(maxsize=16)
def _recipe(columns: tuple[Column, ...], classes: int, device: torch.device) -> Recipe:
    """Fill the matrices for ``columns``; columns that use the same fraction share it."""
    parts = [*_parts(NOTHING), *(part for column in columns for part in _parts(column))]
    index_of = {part: index for index, part in enumerate(dict.fromkeys(parts))}
    rows = torch.zeros(4, len(index_of), 4 * classes + 2, dtype=torch.float64)
    for part, index in index_of.items():
        rows[:, index] = _weights(part, classes)
    entries = torch.zeros(2, len(index_of), 2, len(columns), dtype=torch.float64)
    for number, column in enumerate(columns):
        for part in _parts(column):
            _add_part(entries[..., number], index_of[part], column.empty_value)
    first, second = rows.flatten(0, 1).T.contiguous(), entries.flatten(0, 1).flatten(1)
    return Recipe(first.to(device), second.to(device))


class Part(NamedTuple):
    """A fraction of the voxels of ``classes`` together; with ``has_empty_value`` it is invalid only as 0 / 0."""

    fraction: str
    classes: tuple[int, ...]
    has_empty_value: bool


def _parts(column: Column) -> list[Part]:
    """Return the fractions that a column averages: one per class, or one of all classes together."""
    has_empty_value = not math.isnan(column.empty_value)
    if column.pooled or not column.classes:
        return [Part(column.fraction, column.classes, has_empty_value)]
    return [Part(column.fraction, (c,), has_empty_value) for c in column.classes]


def _weights(part: Part, classes: int) -> Tensor:
    """Return ``over``, ``valid``, ``under`` and ``valid`` as weights of the table's columns, ``[4, 4 C + 2]``."""
    weights = torch.zeros(4, 4 * classes + 2, dtype=torch.float64)
    weights[2:, -1] = 1e-300
    if part.fraction in FRACTIONS:
        over, under, valid = FRACTIONS[part.fraction]
        valid = under if part.has_empty_value else valid
        for c in part.classes:
            weights[:, c : 4 * classes : classes] = torch.tensor([over, valid, under, valid], dtype=torch.float64)
        return weights
    weights[1:, -1] = 1  # valid in every sample
    if part.fraction == WITHOUT_CLASS.fraction:  # a voxel that has a label is counted once in every class
        weights[0, -2] = 1
        weights[0, 0 : 4 * classes : classes] = -1
    return weights


def _add_part(entry: Tensor, index: int, empty_value: float) -> None:
    """Add a part to a column: ``entry[over or valid, index, A or B]``."""
    over, valid = entry
    over[index, 0] += 1
    if math.isnan(empty_value):
        valid[index, 1] += 1
        return
    valid[index, 0] -= empty_value  # takes back what the next line adds, unless the part is 0 / 0
    valid[0, 0] += empty_value  # part 0, NOTHING, is valid in every sample
    valid[0, 1] += 1
