"""Let ranks agree before they sum values: through the process group's store, not through a collective.

A collective that checks whether the ranks are at the same point may pair with another one, such as DDP's all-reduce of
gradients: it then hangs or ends the process. Keys of a store pair with nothing else, allow waiting with a message, and
let every rank read the purpose of the others.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch.distributed as dist

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

PATIENCE = 30.0  # seconds until a warning names the ranks that have not arrived
MAX_PAUSE = 0.25  # seconds between two requests to a store that many ranks ask
AGREED = "agreed"
_met: dict[tuple[int, ...], int] = {}  # meetings so far, by group; never reset, because a store may outlive its group


def meet(members: Sequence[int], purpose: str, note: str = "") -> list[str]:
    """Wait until all ranks of a group have arrived for the same purpose; return their notes.

    Args:
        members: the global ranks of the group, this one among them.
        purpose: what this rank is about to do. It must be the same text on every rank.
        note: text that may differ between ranks; it is not compared.

    Raises:
        ValueError: at once, on every rank that has arrived, if one has another purpose.
        RuntimeError: a rank has not arrived within the process group's timeout, or within MONAI_AUXOPS_TIMEOUT seconds
            if that is set. A warning names it after 30 seconds.
    """
    key, me = tuple(members), str(dist.get_rank())
    number = _met[key] = _met.get(key, 0) + 1
    store = _store(key, number)
    store.set(f"note {me}", note)
    store.set(me, purpose)
    first = store.compare_set("first", "", purpose).decode()
    if first != purpose:
        store.set("outcome", _difference(store, members))
    elif store.add("agreeing", 1) == len(members):
        store.set("outcome", AGREED)
    _wait(store, members, purpose)
    outcome = store.get("outcome").decode()
    if outcome != AGREED:
        raise ValueError(
            f"the ranks have different aux-ops or use them in a different order: {outcome}. Attach the same aux-ops in "
            "the same order on every rank (in metric slots, not in handlers that some ranks lack), and run engines and "
            "aggregate() in the same order; aggregate(sync=False) is the value of one process"
        )
    notes = [store.get(f"note {rank}").decode() for rank in members] if note else []
    _forget(_store(key, number - 1), me, is_first=members[0] == dist.get_rank())
    return notes


def _store(members: tuple[int, ...], number: int) -> Store:
    """Return the part of the process group's store that belongs to one meeting of these ranks."""
    group = hashlib.sha256(repr(members).encode()).hexdigest()[:12]
    return dist.distributed_c10d.PrefixStore(
        f"monai_auxops/{group}/{number}", dist.distributed_c10d._get_default_store()
    )


def _difference(store: Store, members: Sequence[int]) -> str:
    """List the purpose of each rank that has arrived."""
    came = [rank for rank in members if store.check([str(rank)])]
    return "; ".join(f"rank {rank}: {store.get(str(rank)).decode()}" for rank in came)


def _wait(store: Store, members: Sequence[int], purpose: str) -> None:
    """Wait for the outcome; name the ranks that have not arrived, first in a warning, then in an error.

    Poll instead of calling ``store.wait``, which writes to stderr whenever it times out and ignores interrupts.
    """
    began, limit, warned = time.monotonic(), _limit(), False
    while not store.check(["outcome"]):
        waited = time.monotonic() - began
        time.sleep(min(MAX_PAUSE, 0.0005 + waited / 20))
        if waited < limit and (warned or waited < PATIENCE):
            continue
        missing = [str(rank) for rank in members if not store.check([str(rank)])]
        message = (
            f"rank {dist.get_rank()} has waited {waited:.0f} s for rank {', '.join(missing) or 'unknown'} at: {purpose}"
        )
        if waited >= limit:
            raise RuntimeError(
                f"{message}. Attach the same aux-ops on every rank (in metric slots, not in handlers that some ranks "
                "lack); if a rank is only slow, raise the process group's timeout, or MONAI_AUXOPS_TIMEOUT if it is set"
            )
        warnings.warn(f"{message}; this becomes an error after {limit:.0f} s", stacklevel=2)
        warned = True


def _limit() -> float:
    """Return the seconds after which a rank that has not arrived is an error."""
    default = dist.distributed_c10d._get_default_store().timeout.total_seconds()  # type: ignore[attr-defined]
    return float(os.environ.get("MONAI_AUXOPS_TIMEOUT", default))


def _forget(store: Store, me: str, is_first: bool) -> None:
    """Delete the keys of the previous meeting: all ranks have left it, because they have arrived at this one."""
    keys = [me, f"note {me}"] + (["first", "agreeing", "outcome"] if is_first else [])
    with contextlib.suppress(RuntimeError, NotImplementedError):  # a store that cannot delete keeps some bytes
        for key in keys:
            store.delete_key(key)
