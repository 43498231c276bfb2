"""Read protocol buffer messages of an untrusted file without generated classes.

Nothing is copied: a field is a view into the file. Nothing recurses: a nested message is read on demand.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from monai_auxops.weights.errors import WeightsError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN: Final = 1 << 63
Field = int | memoryview


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return a variable-length integer and the position after it.

    Examples:
        >>> read_varint(memoryview(bytes([0xAC, 0x02])), 0)
        (300, 2)
    """
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise WeightsError("the file is damaged: it ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2 * _SIGN - 1), at
        shift += 7
    raise WeightsError("the file is damaged: a number has more than ten bytes")


def read_fields(data: memoryview) -> Iterator[tuple[int, Field]]:
    """Yield number and content of every field: an integer, or a view of bytes."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = read_varint(data, at)
            yield number, value
            continue
        length, at = _length(data, at, wire)
        if at + length > len(data):
            raise WeightsError("the file is damaged: a field is longer than the file")
        yield number, data[at : at + length]
        at += length


def _length(data: memoryview, at: int, wire: int) -> tuple[int, int]:
    if wire == _BYTES:
        return read_varint(data, at)
    sizes = {_FIXED64: 8, _FIXED32: 4}
    if wire not in sizes:
        raise WeightsError(f"the file is damaged or is not a protocol buffer: wire type {wire}")
    return sizes[wire], at


class Message:
    """The fields of one message by number, each in order of appearance."""

    def __init__(self, data: memoryview) -> None:
        self._fields: dict[int, list[Field]] = {}
        for number, value in read_fields(data):
            self._fields.setdefault(number, []).append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def views(self, number: int) -> list[memoryview]:
        """Return the contents of a field of bytes, strings or messages."""
        found = self._fields.get(number, [])
        if not all(isinstance(value, memoryview) for value in found):
            raise WeightsError(f"the file is damaged: field {number} is a number where bytes are expected")
        return [value for value in found if isinstance(value, memoryview)]

    def messages(self, number: int) -> list[Message]:
        """Return nested messages."""
        return [Message(view) for view in self.views(number)]

    def texts(self, number: int) -> list[str]:
        """Return strings; bytes that are not UTF-8 are replaced."""
        return [str(view, "utf-8", "replace") for view in self.views(number)]

    def text(self, number: int) -> str:
        """Return the last string, as protocol buffers specify for a repeated single field."""
        return next(reversed(self.texts(number)), "")

    def integers(self, number: int) -> list[int]:
        """Return signed integers, packed or not."""
        found: list[int] = []
        for value in self._fields.get(number, []):
            found += [value] if isinstance(value, int) else _unpacked(value)
        return [value - 2 * _SIGN if value >= _SIGN else value for value in found]

    def integer(self, number: int, default: int = 0) -> int:
        """Return the last integer."""
        return next(reversed(self.integers(number)), default)

    def floats(self, number: int, letter: str = "f") -> list[float]:
        """Return 32-bit (``f``) or 64-bit (``d``) floating-point numbers, packed or not."""
        width = struct.calcsize(letter)
        found: list[float] = []
        for view in self.views(number):
            found += struct.unpack(f"<{len(view) // width}{letter}", view[: len(view) // width * width])
        return found


def _unpacked(view: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(view):
        value, at = read_varint(view, at)
        found.append(value)
    return found
