"""DenseNet121's checkpoint, made again from its seed, so that 32 MB of random numbers need not be stored."""

import json
import struct

import numpy as np

from monai_auxops.weights.crc import masked_crc32c
from tests.golden_tf.seeded import seeded
from tests.weights.conftest import arrays


def varint(value):
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed(number, value):
    return varint(number << 3 | 5) + struct.pack("<I", value)


def table(rows):
    """Return an index file: one block of data, one of handles."""
    block, first = _block(rows), {}
    first["handle"] = varint(0) + varint(len(block) - 5)
    index = _block([(rows[-1][0] + b"~", first["handle"])])
    meta = _block([])
    at = len(block)
    footer = varint(at) + varint(len(meta) - 5) + varint(at + len(meta)) + varint(len(index) - 5)
    return block + meta + index + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def _block(rows):
    content = b"".join(varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in rows)
    content += struct.pack("<II", 0, 1) + b"\0"
    return content + struct.pack("<I", masked_crc32c(content))


def entry(dtype, shape, offset, data, shard=0):
    dims = b"".join(field(2, field(1, size)) for size in shape)
    place = field(3, shard) + field(4, offset) + field(5, len(data))
    return field(1, dtype) + field(2, dims) + place + fixed(6, masked_crc32c(data))


def write_checkpoint(prefix, tensors, header=b"\x08\x01\x1a\x02\x08\x01"):
    """Write float32 tensors as TensorFlow does."""
    rows, data = [(b"", header)], b""
    for name in sorted(tensors):
        raw = np.ascontiguousarray(tensors[name], "<f4").tobytes()
        rows.append((name.encode(), entry(1, tensors[name].shape, len(data), raw)))
        data += raw
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(rows))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)


def write_densenet121(folder):
    """Write the checkpoint beside its graph and return input and output."""
    stored = arrays(folder)
    write_checkpoint(folder / "model.ckpt", seeded(json.loads(str(stored["shapes"])), int(stored["seed"])))
    return stored
