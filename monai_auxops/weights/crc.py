"""CRC-32C of large arrays with NumPy.

A checksum is a chain: every byte needs the result of the previous byte. A loop of Python over the 80 MB of a network
takes minutes. However, the checksum is linear over bits. The data is therefore cut into equal columns whose chains run
side by side, and two neighbors are joined by advancing the left one over as many zero bytes as the right one is long.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL: Final = 0x82F63B78
_SMALL: Final = 4096
_COLUMN: Final = 1024
Words = NDArray[np.uint32]


def _table() -> Words:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> 1) ^ np.uint32(_POLYNOMIAL), values >> 1).astype(np.uint32)
    return values


_TABLE: Final = _table()
_LIST: Final = _TABLE.tolist()


def crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C (Castagnoli) of bytes.

    Examples:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    register = 0xFFFFFFFF
    view = memoryview(data)
    while len(view) > _SMALL:
        rows = 1 << ((len(view) // _COLUMN).bit_length() - 1)
        size = rows * _COLUMN
        register = _advance_one(register, size) ^ _columns(np.frombuffer(view[:size], np.uint8).reshape(rows, _COLUMN))
        view = view[size:]
    for byte in view:
        register = _LIST[(register ^ byte) & 255] ^ (register >> 8)
    return register ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | memoryview) -> int:
    """Return the checksum as TensorFlow stores it: rotated by 15 bits, plus a constant."""
    value = crc32c(data)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _columns(rows: NDArray[np.uint8]) -> int:
    """Return the register after all rows, one after the other, from a register of zero."""
    registers = np.zeros(len(rows), np.uint32)
    for column in np.ascontiguousarray(rows.T):
        registers = _TABLE[(registers ^ column) & 255] ^ (registers >> 8)
    length = rows.shape[1]
    while len(registers) > 1:
        registers = _advance(registers[0::2], length) ^ registers[1::2]
        length *= 2
    return int(registers[0])


def _advance_one(register: int, length: int) -> int:
    return int(_advance(np.array([register], np.uint32), length)[0])


def _advance(registers: Words, length: int) -> Words:
    """Return registers after ``length`` zero bytes; the length is a power of two."""
    return _apply(_zeros(length), registers)


@lru_cache(maxsize=64)
def _zeros(length: int) -> tuple[int, ...]:
    """Return what each of the 32 bits of a register becomes after zero bytes."""
    if length == 1:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        return tuple(int(value) for value in _TABLE[bits & 255] ^ (bits >> 8))
    half = _zeros(length // 2)
    return tuple(int(value) for value in _apply(half, np.array(half, np.uint32)))


def _apply(matrix: tuple[int, ...], registers: Words) -> Words:
    result = np.zeros_like(registers)
    for bit, value in enumerate(matrix):
        result ^= np.where((registers >> np.uint32(bit)) & 1, np.uint32(value), np.uint32(0))
    return result
