"""Reads a TensorFlow checkpoint: an index of tensors (``.index``) and their bytes (``.data-00000-of-00001``).

The index is a table of sorted keys in the format of LevelDB. A footer of 48 bytes leads to a block of block handles; a
key shares its beginning with the key before. Every block and every tensor has a checksum. The data files are mapped
into memory, so that the moments of an optimizer, two thirds of a checkpoint, are never read.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monai_auxops.weights.crc import masked_crc32c
from monai_auxops.weights.dtypes import DTYPES
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.protobuf import Message, read_varint

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC: Final = struct.pack("<Q", 0xDB4775248B80FB57)
_FOOTER: Final = 48
_TRAILER: Final = 5
_MAX_INDEX: Final = 256 * 2**20
_MAX_KEY: Final = 4096
_MAX_SHARDS: Final = 10_000
_SNAPPY: Final = 1
_SAVE_AGAIN: Final = "save it again with TensorFlow 1.15 (tf.train.Saver)"


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """The location of a tensor."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int | None
    sliced: bool


@dataclass(slots=True)
class Checkpoint:
    """The tensors of a checkpoint by name; each is read on demand.

    Args:
        prefix: the path without ``.index``, for example ``models/model.ckpt``.

    Raises:
        WeightsError: the index is not a checkpoint, is damaged, or uses a feature that is not supported.
    """

    prefix: Path
    entries: Mapping[str, TensorEntry] = field(init=False)
    shards: int = field(init=False)
    _maps: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = f"{self.prefix.name}.index"
        path = self.prefix.with_name(name)
        if path.stat().st_size > _MAX_INDEX:
            raise WeightsError(f"{name} is larger than {_MAX_INDEX // 2**20} MB, too large for the index of a network")
        try:
            self.shards, self.entries = _read_index(memoryview(path.read_bytes()))
        except WeightsError as error:
            raise WeightsError(f"{name}: {error}") from error

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape without reading it."""
        return self._entry(name).shape

    def read(self, name: str) -> NDArray[Any]:
        """Return a tensor as a read-only view into the mapped file, after verifying its checksum."""
        entry = self._entry(name)
        if entry.sliced:
            raise WeightsError(f"{name} is saved in slices (a partitioned variable): {_SAVE_AGAIN} without partitions")
        dtype = DTYPES.get(entry.dtype)
        if dtype is None:
            raise WeightsError(f"{name} has TensorFlow's data type {entry.dtype}, which a network's weights never have")
        if entry.size != math.prod(entry.shape) * dtype.itemsize:
            raise WeightsError(f"{name} has {entry.size} bytes in the index, and its shape {list(entry.shape)} differs")
        raw = self._map(entry.shard)[entry.offset : entry.offset + entry.size]
        if len(raw) != entry.size:
            raise WeightsError(f"{name} extends past the end of {self._shard_name(entry.shard)}: copy the file again")
        if entry.checksum is not None and masked_crc32c(raw.data) != entry.checksum:
            raise WeightsError(f"{name} is damaged in {self._shard_name(entry.shard)} (checksum): copy the file again")
        values: NDArray[Any] = np.asarray(raw).view(dtype)
        return values.reshape(entry.shape)

    def _entry(self, name: str) -> TensorEntry:
        if name not in self.entries:
            similar = next((f" (it has {other!r})" for other in self.entries if name in other), "")
            raise WeightsError(
                f"the checkpoint has no tensor {name!r}, which the graph reads{similar}: "
                "are both from the same training?"
            )
        return self.entries[name]

    def _shard_name(self, shard: int) -> str:
        return f"{self.prefix.name}.data-{shard:05d}-of-{self.shards:05d}"

    def _map(self, shard: int) -> NDArray[np.uint8]:
        if shard not in self._maps:
            path = self.prefix.with_name(self._shard_name(shard))
            if not path.is_file() or path.stat().st_size == 0:
                raise WeightsError(f"{path.name} is missing or empty: copy it beside {self.prefix.name}.index")
            self._maps[shard] = np.memmap(path, np.uint8, "r")
        return self._maps[shard]


def _read_index(data: memoryview) -> tuple[int, dict[str, TensorEntry]]:
    shards, entries = 1, {}
    for key, value in _table(data):
        if not key:
            shards = _shards(Message(value))
        elif not key.startswith(b"\0"):  # the pieces of a sliced tensor have keys that start with zero
            entries[key.decode("utf-8", "replace")] = _entry(Message(value))
    for name, entry in entries.items():
        if not 0 <= entry.shard < shards or min(entry.offset, entry.size, *entry.shape, 0) < 0:
            raise WeightsError(f"the index is damaged: {name} has an impossible shape or place")
    return shards, entries


def _shards(header: Message) -> int:
    if header.integer(2):
        raise WeightsError(f"the checkpoint is big-endian: {_SAVE_AGAIN} on a little-endian machine")
    shards = header.integer(1, 1)
    if not 0 < shards <= _MAX_SHARDS:
        raise WeightsError(f"the index is damaged: {shards} data files")
    return shards


def _entry(message: Message) -> TensorEntry:
    dims = [dim.integer(1) for shape in message.messages(2) for dim in shape.messages(2)]
    checksums = [int.from_bytes(view, "little") for view in message.views(6)]
    return TensorEntry(
        dtype=message.integer(1),
        shape=tuple(dims),
        shard=message.integer(3),
        offset=message.integer(4),
        size=message.integer(5),
        checksum=next(iter(checksums), None),
        sliced=7 in message,
    )


def _table(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the keys and values of a table."""
    if len(data) < _FOOTER or bytes(data[-8:]) != _MAGIC:
        raise WeightsError("this is not the index of a TensorFlow checkpoint, or it is truncated: copy the file again")
    footer = data[-_FOOTER:]
    at = 0
    for _ in range(2):  # the handle of the unused meta index
        _, at = read_varint(footer, at)
    for _, handle in _block(data, footer[at:]):
        yield from _block(data, handle)


def _block(data: memoryview, handle: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    content = _checked_block(data, handle)
    restarts = int.from_bytes(content[-4:], "little")
    end = len(content) - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = read_varint(content, at)
        own, at = read_varint(content, at)
        length, at = read_varint(content, at)
        if shared > len(key) or shared + own > _MAX_KEY or at + own + length > end:
            raise WeightsError("the index is damaged: a key does not fit its block")
        key = key[:shared] + bytes(content[at : at + own])
        yield key, content[at + own : at + own + length]
        at += own + length


def _checked_block(data: memoryview, handle: memoryview) -> memoryview:
    """Return the bytes of a block after verifying its checksum."""
    offset, at = read_varint(handle, 0)
    size, _ = read_varint(handle, at)
    if size < 4 or offset + size + _TRAILER > len(data):
        raise WeightsError("the index is damaged: a block lies outside the file")
    trailer = data[offset + size : offset + size + _TRAILER]
    if masked_crc32c(data[offset : offset + size + 1]) != int.from_bytes(trailer[1:], "little"):
        raise WeightsError("the index is damaged (checksum of a block): copy the file again")
    if trailer[0] == _SNAPPY:
        raise WeightsError(f"the index is compressed with Snappy, which is not supported: {_SAVE_AGAIN}")
    if trailer[0]:
        raise WeightsError(f"the index uses an unknown compression ({trailer[0]}): {_SAVE_AGAIN}")
    return data[offset : offset + size]
