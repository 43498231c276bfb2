"""Count the memory that a computation asks for: as PyTorch's allocator sees it, or by shapes alone on any device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak(run: Callable[[], object]) -> int:
    """Return the most bytes that torch's CPU allocator held at a time during ``run``, beyond what it held before.

    What operations allocate for themselves is included; what NumPy and numba allocate is not.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]  # type: ignore[union-attr]
    live = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    return most


class Storages(TorchDispatchMode):
    """Count bytes of fresh storages: ``total``, and the ``most`` that lived at a time between two operations.

    It touches no data, so that it works on the ``meta`` device as well, for what a GPU would allocate.

    Examples:
        >>> with Storages() as fresh:
        ...     _ = torch.zeros(100).add(1).sum()
        >>> fresh.total, fresh.most
        (804, 800)
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = self.most = 0
        self._live: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = func(*args, **kwargs)
        self._live = {ref: size for ref, size in self._live.items() if not ref.expired()}
        for tensor in tree_leaves(result):
            storage = tensor.untyped_storage() if isinstance(tensor, Tensor) else None
            if storage is not None and storage._cdata not in given:
                self._live[StorageWeakRef(storage)] = storage.nbytes()
                self.total += storage.nbytes()
        self.most = max(self.most, sum(self._live.values()))
        return result
