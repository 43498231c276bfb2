"""Voxel counts by labeled and predicted class of two label maps; every overlap follows from this table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from monai_auxops.counting.counts import Counts

CHUNK = 1 << 18  # voxels at a time, so that the keys stay in the processor's cache
MAX_DENSE = 256  # values below this are used directly as indices of the table
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class JointTable:
    """The number of voxels with label ``values[i]`` and prediction ``values[j]``, without ignored ones."""

    values: npt.NDArray[np.int64]  # [n], sorted
    voxels: npt.NDArray[np.int64]  # [n, n]: label by prediction

    def counts(self, targets: Sequence[Iterable[int]]) -> Counts:
        """Return the counts ``[1, C]`` of classes or regions, each defined by its label values."""
        inside = np.array([np.isin(self.values, list(values)) for values in targets]).reshape(-1, len(self.values))
        chosen = inside.astype(np.int64)
        tp = np.einsum("ci,ij,cj->c", chosen, self.voxels, chosen)
        labeled, predicted = chosen @ self.voxels.sum(1), chosen @ self.voxels.sum(0)
        tn = self.voxels.sum() - labeled - predicted + tp
        tensors = [torch.from_numpy(part)[None] for part in (tp, predicted - tp, labeled - tp, tn)]
        return Counts(*tensors)


def count_joint(label: Array, prediction: Array, ignored: Sequence[int] = ()) -> JointTable:
    """Count two integer label maps of the same shape, in chunks.

    Examples:
        >>> count_joint(np.array([0, 1, 1, 9]), np.array([0, 1, 0, 1]), ignored=[9]).voxels
        array([[1, 0, 0],
               [1, 1, 0],
               [0, 0, 0]])
    """
    if label.flags.f_contiguous and prediction.flags.f_contiguous:
        label, prediction = label.T, prediction.T  # so that nothing is copied
    y, x = label.ravel(), prediction.ravel()
    values, size = _values_and_size(y, x)
    table = np.zeros(size * size, np.int64)
    for start in range(0, y.size, CHUNK):
        rows, columns = y[start : start + CHUNK], x[start : start + CHUNK]
        if values is not None:
            rows, columns = np.searchsorted(values, rows), np.searchsorted(values, columns)
        key = np.multiply(rows, size, dtype=np.int64)
        key += columns.astype(np.int64, copy=False)
        table += np.bincount(key, minlength=size * size)
    whole = np.arange(size) if values is None else values
    voxels = table.reshape(size, size)
    voxels[np.isin(whole, list(ignored))] = 0
    return _without_empty(whole, voxels, ignored)


def _values_and_size(y: Array, x: Array) -> tuple[Array | None, int]:
    """Return the values of a table's rows and its size; None if they are 0, 1, 2 and so on."""
    lowest, highest = (min(y.min(), x.min()), max(y.max(), x.max())) if y.size else (0, 0)
    if lowest >= 0 and int(highest) < MAX_DENSE:
        return None, int(highest) + 1
    values = np.union1d(np.unique(y), np.unique(x)).astype(np.int64)
    return values, len(values)


def _without_empty(values: Array, voxels: Array, ignored: Sequence[int]) -> JointTable:
    """Drop the values that occur in no file."""
    there = (voxels.sum(0) + voxels.sum(1) > 0) | np.isin(values, list(ignored))
    return JointTable(values[there].astype(np.int64), voxels[np.ix_(there, there)])
