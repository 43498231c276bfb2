"""Communication between processes: one sum per epoch, and a gather if a sum is not enough."""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from torch import Tensor

from monai_auxops.core.meeting import meet

Gather = Callable[[Any], list[Any]]
_turn = threading.RLock()  # engines in several threads of one process must reduce one after another


def world_size() -> int:
    """Return the number of processes; 1 if ``torch.distributed`` is not initialized."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first() -> bool:
    """Tell whether this process writes the files that are written once."""
    return world_size() == 1 or dist.get_rank() == 0


@dataclass(frozen=True)
class Ranks:
    """The processes whose values are summed: all of them, a subgroup, or this one alone.

    Examples:
        >>> from monai_auxops.core.running import RunningMean
        >>> mean, ranks = RunningMean(["dice"]), Ranks.of()
        >>> mean.update(torch.tensor([[0.5, 1.0]]))
        >>> with ranks.meeting("the end of an epoch"):
        ...     ranks.total([mean.packed()])
        [1.5, 2.0]
    """

    members: tuple[int, ...]
    group: Any = None
    _latest: ClassVar[Any] = None  # the work of the last all-reduce

    @classmethod
    def of(cls, group: Any = None) -> Ranks:
        """Return all ranks, or those of ``group``, a ``torch.distributed`` process group that includes this rank."""
        if world_size() == 1:
            return cls.alone()
        if group is dist.GroupMember.NON_GROUP_MEMBER:
            raise ValueError(f"expected group= to be a process group with rank {dist.get_rank()} in it")
        return cls(tuple(dist.get_process_group_ranks(group or dist.group.WORLD)), group)

    @classmethod
    def alone(cls) -> Ranks:
        """Return this process alone."""
        return cls((0,))

    @property
    def size(self) -> int:
        """The number of processes."""
        return len(self.members)

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files that these ranks write once."""
        return self.size == 1 or self.members[0] == dist.get_rank()

    @contextlib.contextmanager
    def meeting(self, purpose: str, note: str = "") -> Iterator[list[str]]:
        """Wait for all ranks, then run the block while none of them does anything else.

        Yields the notes of all ranks; see ``meet``.
        """
        if self.size == 1:
            yield [note]
            return
        with _turn:
            yield meet(self.members, purpose, note)

    def total(self, states: Sequence[Tensor], purpose: str = "") -> list[float]:
        """Return all ``states`` as one list of numbers, summed over the ranks by one all-reduce.

        Args:
            states: float64 vectors, of the same lengths on every rank.
            purpose: what they belong to. Its checksum is summed with them, so that values of two engines never mix.
        """
        if self.size == 1:
            return torch.cat(list(states)).tolist() if states else []
        where, mark = self._device(), zlib.crc32(purpose.encode())
        marked = [*states, torch.tensor([mark], dtype=torch.float64)]
        vector = torch.cat([state.to(where) for state in marked])
        self._reduce(vector)
        values: list[float] = vector.tolist()
        if values.pop() != mark * self.size:
            raise RuntimeError(f"the all-reduce mixed in values that do not belong to: {purpose}")
        return values

    def _reduce(self, vector: Tensor) -> None:
        """All-reduce ``vector`` in place, and keep the finished work until the next one.

        Otherwise gloo's thread may release the last reference while the interpreter shuts down, which aborts the
        process ("terminate called without an active exception").
        """
        Ranks._latest = dist.all_reduce(vector, op=dist.ReduceOp.SUM, group=self.group, async_op=True)
        Ranks._latest.wait()

    def gather(self, value: Any) -> list[Any]:
        """Return ``value`` of every rank, in order of rank, for results that are not a sum (an AUC, a case report)."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.group)
        return values

    def _device(self) -> torch.device:
        """Return the device on which the group's collectives expect their tensors."""
        if dist.get_backend(self.group) == "nccl":
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("cpu")
