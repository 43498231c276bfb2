"""Values on their way from a device to the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


class PendingCopies:
    """Values being copied to the host. On a CUDA device nothing waits: a copy is read once it has finished."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Any, Tensor, torch.cuda.Event | None]] = deque()

    def send(self, what: Any, values: Tensor) -> None:
        """Start the copy of ``values``."""
        event = torch.cuda.Event() if values.device.type == "cuda" else None
        self._queue.append((what, values.to("cpu", non_blocking=event is not None), event))
        if event is not None:
            event.record(torch.cuda.current_stream(values.device))

    def arrived(self, wait: bool = False) -> Iterator[tuple[Any, list[Any]]]:
        """Yield the values that have arrived, in order; with ``wait`` all of them."""
        while self._queue:
            what, values, event = self._queue[0]
            if event is not None and not wait and not event.query():
                return
            if event is not None:
                event.synchronize()
            self._queue.popleft()
            yield what, values.tolist()

    def clear(self) -> None:
        """Discard the pending copies."""
        self._queue.clear()
