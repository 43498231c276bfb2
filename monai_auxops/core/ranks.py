"""What crosses processes: one handshake per run, one sum per epoch. Without ``torch.distributed`` nothing happens."""

from __future__ import annotations

import datetime
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
import torch.distributed as dist
from ignite.engine import Engine
from torch import Tensor

Gather = Callable[[Any], list[Any]]
_latest: Any = None  # the work of the last all-reduce


class HasTags(Protocol):
    """An op whose tags may be known only after its first batch."""

    accumulated: tuple[str, ...] | None
    unsettled: bool


def world_size() -> int:
    """The number of processes; 1 where ``torch.distributed`` is not initialised."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def patience() -> datetime.timedelta:
    """How long the handshake waits for a rank that does not come: MONAI_AUXOPS_TIMEOUT seconds, default 30."""
    return datetime.timedelta(seconds=float(os.environ.get("MONAI_AUXOPS_TIMEOUT", "30")))


def device() -> torch.device:
    """Where collectives want their tensors."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")


def refuse_empty_loader(engine: Engine) -> None:
    """``ValueError`` on a rank whose loader is empty: MONAI's ``run`` returns there and the other ranks would hang."""
    if world_size() > 1 and getattr(engine.state, "epoch_length", None) == 0:
        raise ValueError(
            f"the data loader of rank {dist.get_rank()} is empty, so this rank would never join the others at the "
            "epoch's end; give every rank at least one batch (partition_dataset(..., even_divisible=True))"
        )


def agree(layout: Sequence[Any]) -> None:
    """Once per run: ``ValueError`` on every rank unless all ranks have the same aux-ops; no rank waits for ever."""
    if world_size() == 1:
        return
    mark = zlib.crc32(repr(layout).encode())
    both = torch.tensor([mark, -mark], dtype=torch.int64, device=device())
    try:
        reduce(both, dist.ReduceOp.MAX, patience())
    except RuntimeError as error:
        raise RuntimeError(
            f"rank {dist.get_rank()} has the aux-ops {list(layout)} and waited {patience().seconds} s for ranks that "
            "never came: attach the same aux-ops on every rank (metric slots, not handlers that are cut on some "
            "ranks), or raise MONAI_AUXOPS_TIMEOUT if a rank is only slow"
        ) from error
    highest, lowest = both.tolist()
    if highest != -lowest:
        every = gather(list(layout))
        raise ValueError(
            "the ranks have different aux-ops: " + "; ".join(f"rank {i}: {x}" for i, x in enumerate(every))
        )


def reduce(vector: Tensor, operation: Any, *timeout: datetime.timedelta) -> None:
    """All-reduce ``vector`` in place, and keep the finished work until the next one.

    Else gloo's thread may be the last to let go of the tensor, for which it needs the interpreter; in a process that
    ends just then it aborts ("terminate called without an active exception").
    """
    global _latest
    _latest = dist.all_reduce(vector, op=operation, async_op=True)
    _latest.wait(*timeout)


def settle(ops: Sequence[HasTags]) -> None:
    """Tell a rank that saw no batch the tags which its undeclared ops got elsewhere: once, and only where needed."""
    if world_size() == 1 or not any(op.unsettled for op in ops):
        return
    every = gather([op.accumulated for op in ops])
    for op, candidates in zip(ops, zip(*every, strict=True), strict=True):
        known = {tags for tags in candidates if tags is not None}
        if len(known) > 1:
            raise ValueError(f"{op!r}: the ranks accumulate different tags: {sorted(known)}")
        if known:
            op.accumulated, op.unsettled = known.pop(), False


def total(states: Sequence[Tensor]) -> list[float]:
    """All states as one vector, summed over the ranks by one all-reduce, on the host by one copy."""
    if not states:
        return []
    where = states[0].device if world_size() == 1 else device()
    vector = torch.cat([state.to(where) for state in states])
    if world_size() > 1:
        reduce(vector, dist.ReduceOp.SUM)
    values: list[float] = vector.tolist()
    return values


def gather(value: Any) -> list[Any]:
    """``value`` of every rank, in their order: for what no sum can carry (an AUC, a case report)."""
    if world_size() == 1:
        return [value]
    every: list[Any] = [None] * world_size()
    dist.all_gather_object(every, value)
    return every


def local(value: Any) -> list[Any]:
    """``value`` of this process alone: :func:`gather` for a plain loop."""
    return [value]


def is_first() -> bool:
    """Whether this process writes what is written once."""
    return world_size() == 1 or dist.get_rank() == 0
