"""A mean over samples in constant memory: it skips NaN, sums over ranks, and can be saved and restored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

MAX_WAITING_BATCHES = 32  # batches that are added at once, because an addition is a dozen operations
_NEVER = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Totals:
    """Sums and counts by tag, on the host: of one process, or of all ranks."""

    sums: dict[str, float]
    counts: dict[str, int]

    @classmethod
    def of(cls, states: Iterable[RunningMean], flat: Iterable[float] | None = None) -> Totals:
        """Return the totals of ``states``, from their own values or from ``flat``, their concatenated packed states."""
        states = list(states)
        values = iter(chain.from_iterable(state.packed().tolist() for state in states) if flat is None else flat)
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        for state in states:
            sums |= zip(state.tags, islice(values, len(state.tags)), strict=True)
            counts |= zip(state.tags, map(int, islice(values, len(state.tags))), strict=True)
        return cls(sums, counts)

    def means(self) -> dict[str, float]:
        """Return the mean of each tag; NaN without a sample."""
        return {tag: self.sums[tag] / n if n else math.nan for tag, n in self.counts.items()}


class RunningMean:
    """The mean of each of ``n`` values over all samples seen, as ``n`` float64 sums and ``n`` int64 counts.

    NaN means "nothing to measure here": it is neither summed nor counted, so the mean is over valid samples, and NaN if
    there is none. With ``skip_nan=False`` NaN propagates, and ``first_nan`` returns the update in which it appeared.

    Nothing leaves the device before ``means`` or ``packed`` is called: an update does not synchronize with the host.
    Up to 32 batches are buffered and added together; reading a value flushes the buffer.

    Examples:
        >>> mean = RunningMean(["dice"])
        >>> mean.update(torch.tensor([[0.5, float("nan")]]))
        >>> mean.update(torch.tensor([[0.75]]))
        >>> mean.means()
        {'dice': 0.625}
    """

    _source: Callable[[], None] | None = None

    def __init__(self, tags: Sequence[str], skip_nan: bool = True) -> None:
        self.tags = tuple(tags)
        self.skip_nan = skip_nan
        self._home = torch.device("cpu")
        self._sums = self._counts = self._first_nan = torch.zeros(0)
        self.reset()

    def follow(self, source: Callable[[], None]) -> None:
        """Call ``source`` before anything is read or reset, so that it can pass on its buffered batches to ``add``."""
        self._settle()
        self._source = source

    def add(self, sums: Tensor, counts: Tensor, updates: int) -> None:
        """Add the sums and counts ``[n]`` of several batches."""
        self._updates += updates
        self._move(sums.device)
        self._sums = self._sums + sums.to(self._home)
        self._counts = self._counts + counts.to(self._home)

    def __getstate__(self) -> dict[str, Any]:
        """Copy without the source, which belongs to the original."""
        self._settle()
        return {name: value for name, value in vars(self).items() if name != "_source"}

    def reset(self) -> None:
        """Forget all samples."""
        if self._source is not None:
            self._source()
        self._updates, n = 0, len(self.tags)
        self._waiting: list[Tensor] = []
        self._sums = torch.zeros(n, dtype=torch.float64, device=self._home)
        self._counts = torch.zeros(n, dtype=torch.int64, device=self._home)
        self._first_nan = torch.full((n,), _NEVER, dtype=torch.int64, device=self._home)

    def update(self, values: Tensor) -> None:
        """Add the samples of one batch: ``values`` is ``[n, B]``. It is buffered, so do not modify it."""
        if self._waiting and not _are_alike(values, self._waiting[0]):
            self._settle()
        self._updates += 1
        self._waiting.append(values)
        if len(self._waiting) >= MAX_WAITING_BATCHES:
            self._settle()

    def _settle(self) -> None:
        """Add the buffered batches. Not in place: a sum may come from ``torch.inference_mode``."""
        if self._source is not None:
            self._source()
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        values = torch.stack(waiting, 1)  # [n, batches, B]
        self._move(values.device)
        values = values.to(self._home).to(torch.float64)
        missing = values.isnan()
        if self.skip_nan:
            self._sums = self._sums + values.nansum((1, 2))
            self._counts = self._counts + (~missing).sum((1, 2))
        else:
            self._sums = self._sums + values.sum((1, 2))
            self._counts = self._counts + values[0].numel()
            number = torch.arange(self._updates - len(waiting), self._updates, device=self._home) + 1
            self._first_nan = torch.minimum(self._first_nan, torch.where(missing.any(2), number, _NEVER).amin(1))

    def _move(self, device: torch.device) -> None:
        home = torch.device("cpu") if device.type == "mps" else device  # Apple's GPUs have no float64
        if self._home != home:
            self._home = home
            self._sums, self._counts, self._first_nan = (
                state.to(home) for state in (self._sums, self._counts, self._first_nan)
            )

    @property
    def updates(self) -> int:
        """The number of batches so far."""
        self._settle()
        return self._updates

    @property
    def sums(self) -> Tensor:
        """The sum of each value, float64 ``[n]``."""
        self._settle()
        return self._sums

    @property
    def counts(self) -> Tensor:
        """The samples in each sum, int64 ``[n]``."""
        self._settle()
        return self._counts

    @property
    def first_nan(self) -> dict[str, int]:
        """The update (from 1) in which each tag was NaN for the first time; only with ``skip_nan=False``."""
        self._settle()
        return {tag: at for tag, at in zip(self.tags, self._first_nan.tolist(), strict=True) if at != _NEVER}

    def packed(self) -> Tensor:
        """Return the state as one float64 vector ``[2 n]``, sums then counts (exact below 2**53), to sum over ranks."""
        return torch.cat([self.sums, self.counts.to(torch.float64)])

    def means(self) -> dict[str, float]:
        """Return the mean of each tag over the samples of this process; NaN without a sample."""
        return Totals.of([self]).means()

    def state_dict(self) -> dict[str, Any]:
        """Copy the local state to the CPU, loadable with ``weights_only=True``; no collective."""
        return {
            "tags": list(self.tags),
            "updates": self._updates,
            "sums": self.sums.cpu().clone(),
            "counts": self.counts.cpu().clone(),
            "first_nan": self._first_nan.cpu().clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict``; ``ValueError`` if its tags differ."""
        if tuple(state["tags"]) != self.tags:
            raise ValueError(f"the saved state holds the tags {list(state['tags'])}, expected {list(self.tags)}")
        self.reset()
        self._updates = int(state["updates"])
        self._sums, self._counts, self._first_nan = (
            state[key].to(self._home, copy=True) for key in ("sums", "counts", "first_nan")
        )


def _are_alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.device == b.device
