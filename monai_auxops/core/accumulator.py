"""The sums of one op over an epoch, and the phase of that epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from monai_auxops.core.running import RunningMean


class Phase(Enum):
    """The phase of an op's epoch."""

    CLOSED = "closed"  # nothing measured yet, or the epoch's values were read
    OPEN = "open"  # some batches were added
    RESUMED = "resumed"  # a saved epoch continues, so its next start must not reset it


class Accumulator:
    """The running means of one op's tags, and its sums of integers: all that a checkpoint and other ranks need.

    Args:
        tags: outputs of shape ``()``, ``[1]`` or ``[B]`` whose mean over samples is wanted.
        skip_nan: whether NaN means "nothing to measure here".
        sum_tags: names of the rows that ``add_sums`` takes.

    Examples:
        >>> accumulator = Accumulator(["dice"])
        >>> accumulator.add({"dice": torch.tensor([0.5, float("nan")])}, size=2)
        >>> accumulator.add({"dice": torch.tensor(0.75)}, size=1)
        >>> accumulator.mean.means(), accumulator.phase.name
        ({'dice': 0.625}, 'OPEN')
    """

    def __init__(self, tags: Sequence[str], skip_nan: bool = True, sum_tags: Sequence[str] = ()) -> None:
        self.tags = tuple(tags)
        self.phase = Phase.CLOSED
        self.mean = RunningMean(self.tags, skip_nan)
        self.states = [self.mean]
        if sum_tags:
            self.states.append(RunningMean(sum_tags))

    def add(self, outputs: Mapping[str, Tensor], size: int) -> None:
        """Add the outputs of a batch of ``size`` samples; ``ValueError`` for a tag that is missing or misshapen."""
        self.phase = Phase.OPEN
        if self.tags:
            self.mean.update(stack_rows([_row(tag, outputs, size) for tag in self.tags]))

    def add_sums(self, rows: Tensor) -> None:
        """Add integers by sum tag and sample, ``[n, B]``."""
        self.states[1].update(rows)

    def follow(self, source: Callable[[], None]) -> None:
        """Call ``source`` before anything is read, so that it can pass on its buffered batches to ``add_totals``."""
        for state in self.states:
            state.follow(source)

    def add_totals(self, sums: Tensor, counts: Tensor, updates: int) -> None:
        """Add sums and counts over samples of several batches: of each tag, then of each sum tag if they are there."""
        start = 0
        for state in self.states:
            size = len(state.tags)
            if start < len(sums):
                state.add(sums[start : start + size], counts[start : start + size], updates)
            start += size

    def open(self) -> None:
        """Note that the epoch has begun."""
        self.phase = Phase.OPEN

    def reset(self) -> None:
        """Forget all samples."""
        self.phase = Phase.CLOSED
        for state in self.states:
            state.reset()

    def state_dict(self) -> dict[str, Any]:
        """Copy the state of this process to the CPU: small, without a collective."""
        return {"open": self.phase is not Phase.CLOSED, "states": [state.state_dict() for state in self.states]}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Continue from ``state_dict``; ``ValueError`` if it holds other tags or sums."""
        self.reset()
        for state, values in zip(self.states, saved["states"], strict=False):
            if list(state.tags) != list(values["tags"]):
                raise ValueError(
                    f"the saved state holds the tags {list(values['tags'])}, expected {list(state.tags)}; "
                    "construct the op with the options it had when it was saved"
                )
        for state, values in zip(self.states, saved["states"], strict=False):
            state.load_state_dict(values)
        if saved["open"]:
            self.phase = Phase.RESUMED


def is_per_sample(value: Tensor, batch_size: int) -> bool:
    """Tell whether ``value`` accumulates: shape ``()``, ``[1]`` or ``[B]``."""
    return value.dim() == 0 or value.shape in ((1,), (batch_size,))


def _row(tag: str, outputs: Mapping[str, Tensor], size: int) -> Tensor:
    if tag not in outputs or not is_per_sample(outputs[tag], size):
        came = list(outputs[tag].shape) if tag in outputs else "nothing"
        raise ValueError(f"expected {tag!r} to be of shape (), [1] or [{size}] in every batch, got {came}")
    value = outputs[tag]
    return value if value.shape == (size,) else value.reshape(-1).expand(size)


def stack_rows(rows: list[Tensor]) -> Tensor:
    """Stack all rows; as float64 unless their types agree, because float32 would round the integers among them."""
    if len({row.dtype for row in rows}) > 1 and rows[0].device.type != "mps":  # Apple's GPUs have no float64
        rows = [row.double() for row in rows]
    return torch.stack(rows)
