"""Keys with which an untrusted configuration could run code through the migrated bundle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monai_auxops.migrate.encode import UnsafeKeyError, check_key

if TYPE_CHECKING:
    from monai_auxops.migrate.diagnostics import Log
    from monai_auxops.migrate.reading.node import Node


def refuse_unsafe_keys(root: Node, log: Log) -> None:
    """Report every key inside ``args`` that MONAI's parser would interpret."""
    for args in _args(root):
        for key, child in _keys(args):
            try:
                check_key(key)
            except UnsafeKeyError:
                log.add("CT602", child.where, f"MONAI would interpret the key {key!r}")


def _args(node: Node) -> Iterator[Node]:
    for key, child in node.items():
        if key == "args":
            yield child
        else:
            yield from _args(child)
    if isinstance(node.value, list):
        for child in node.value:
            yield from _args(child)


def _keys(node: Node) -> Iterator[tuple[str, Node]]:
    for key, child in node.items():
        yield key, child
        yield from _keys(child)
    if isinstance(node.value, list):
        for child in node.value:
            yield from _keys(child)
