"""Several handlers in one place of a handler list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ignite.engine import Engine


class WithOthers:
    """A mixin that attaches other handlers along with this one; it precedes the handler class in the bases.

    Bundles slice their handler lists by position on all ranks but the first (``@train#handlers[: -2 if rank > 0 else
    None]``). An appended handler would move others out of that slice; one that shares a place does not.

    Examples:
        >>> from ignite.engine import Engine
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
