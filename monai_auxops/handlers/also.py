"""Several handlers in the place of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ignite.engine import Engine


class WithOthers:
    """A handler that attaches others with itself, before the handler class in the bases.

    Bundles cut their handler lists by position on ranks beside the first (``@train#handlers[: -2 if rank > 0 else
    None]``). A handler that is appended moves the others out of that cut; one that shares a place does not.

    >>> class Note:
    ...     def attach(self, engine):
    ...         print("attached")
    >>> class Pair(WithOthers, Note):
    ...     also = [Note()]
    >>> Pair().attach(Engine(lambda engine, batch: None))
    attached
    attached
    """

    also: Sequence[Any] = ()

    def attach(self, engine: Engine) -> None:
        """Attach this handler, then the others."""
        super().attach(engine)  # type: ignore[misc]  # the handler class comes after this one
        for handler in self.also:
            handler.attach(engine)
