"""A JSON value that knows its position in a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monai_auxops.migrate.diagnostics import Where


@dataclass(slots=True)
class Node:
    """A JSON value with its position; the children of objects and lists are also nodes."""

    value: Any
    where: Where

    def plain(self) -> Any:
        """Return the value without positions."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def get(self, key: str) -> Node | None:
        """Return the child of an object, or None."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def items(self) -> Iterator[tuple[str, Node]]:
        """Iterate over the keys and values of an object; nothing for other values."""
        return iter(self.value.items() if isinstance(self.value, dict) else ())

    def members(self) -> Iterator[Node]:
        """Iterate over the values of an object; nothing for other values."""
        return iter(self.value.values() if isinstance(self.value, dict) else ())

    def elements(self) -> list[Node]:
        """Return the elements of a list, or the value itself as the only element."""
        return self.value if isinstance(self.value, list) else [self]
