"""The scores and labels of an epoch, packed, for values that need them all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from monai_auxops.metrics.roc import is_binary

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_WAITING_BATCHES = 128  # batches that are concatenated at once, because each tensor has its overhead
PIECE = 65_536  # values whose comparison takes little memory


class Rows(NamedTuple):
    """Scores ``[N, n]``, labels ``[N, m]`` and the log odds of the scores ``[N, n]`` if they are known."""

    scores: Tensor
    labels: Tensor
    log_odds: Tensor | None = None

    @property
    def ranking(self) -> Tensor:
        """The values to rank by: the log odds if the scores are theirs, because a float32 sigmoid is 1.0 from 17 on."""
        if self.log_odds is None or self.log_odds.shape != self.scores.shape:
            return self.scores
        pairs = zip(pieces_of(self.log_odds), pieces_of(self.scores), strict=True)
        return self.log_odds if all(_belong_together(*pair) for pair in pairs) else self.scores


class Samples:
    """The samples of an epoch on the device of their scores.

    Batches are concatenated 128 at a time. A binary label takes one byte, unless ``raw`` keeps labels as they are:
    0 and 1, -1 for NaN and negative labels, 2 for all others.

    Examples:
        >>> samples = Samples()
        >>> samples.add(Rows(torch.tensor([[0.5]]), torch.tensor([[1]])))
        >>> samples.add(Rows(torch.tensor([[0.25]]), torch.tensor([[255]])))
        >>> samples.rows().labels.flatten()
        tensor([1, 2], dtype=torch.int8)
    """

    def __init__(self, raw: bool = False) -> None:
        self.raw = raw
        self._waiting: list[Rows] = []
        self._blocks: list[Rows] = []

    def __len__(self) -> int:
        """Return the number of batches and blocks."""
        return len(self._waiting) + len(self._blocks)

    @property
    def widths(self) -> tuple[int, int]:
        """The columns of scores and labels."""
        first = (self._blocks or self._waiting)[0]
        return first.scores.shape[1], first.labels.shape[1]

    def add(self, rows: Rows) -> None:
        """Add a batch. It is buffered, so do not modify it."""
        self._waiting.append(rows)
        if len(self._waiting) == MAX_WAITING_BATCHES:
            self._settle()

    def blocks(self) -> list[Rows]:
        """Return all samples, in order."""
        self._settle()
        return list(self._blocks)

    def load(self, blocks: Sequence[Rows]) -> None:
        """Continue with these samples."""
        self._waiting, self._blocks = [], list(blocks)

    def rows(self) -> Rows:
        """Return all samples on the CPU as one block, which replaces the others."""
        self._settle()
        if len(self._blocks) > 1 or self._blocks[0].scores.device.type != "cpu":
            self._blocks = [_concatenate([_copy_to_host(rows) for rows in self._blocks])]
        return self._blocks[0]

    def _settle(self) -> None:
        if self._waiting:
            rows = _concatenate(self._waiting)
            self._waiting = []
            self._blocks.append(rows if self.raw else _pack_labels(rows))


def pieces_of(values: Tensor) -> Sequence[Tensor]:
    """Return views of ``values`` to compare one after another, because masks of all of them would double the memory."""
    pieces: Sequence[Tensor] = values.flatten().split(PIECE)
    return pieces


def _concatenate(every: Sequence[Rows]) -> Rows:
    scores, labels, log_odds = zip(*every, strict=True)
    known = all(odds is not None for odds in log_odds)
    return Rows(torch.cat(scores), torch.cat(labels), torch.cat(log_odds) if known else None)


def _pack_labels(rows: Rows) -> Rows:
    """Encode binary labels in a byte; one index for several scores stays as it is."""
    labels = rows.labels
    if labels.shape[1] != rows.scores.shape[1] or labels.dtype in (torch.int8, torch.uint8, torch.bool):
        return rows
    if not labels.is_floating_point():
        labels = labels if labels.dtype.is_signed else labels.long()
        return rows._replace(labels=labels.clamp(-1, 2).to(torch.int8))
    odd = (labels > 0) & ~is_binary(labels)
    code = (labels == 1).to(torch.int8) + 2 * odd.to(torch.int8) - (~(labels >= 0)).to(torch.int8)
    return rows._replace(labels=code)


def _copy_to_host(rows: Rows) -> Rows:
    return Rows(*(None if each is None else each.cpu() for each in rows))  # type: ignore[arg-type]  # scores and labels are tensors


def _belong_together(log_odds: Tensor, scores: Tensor) -> bool:
    return torch.allclose(log_odds.double().sigmoid(), scores.double(), rtol=0, atol=0.01, equal_nan=True)
