"""Check the data of a MetaImage file (``.mha``, ``.mhd``), because ITK reads damaged ones without an error."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

BYTES_PER_ELEMENT: Final = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}


def check_meta_image(path: Path) -> None:
    """Compare the size and the checksum of a MetaImage's data with what its header says.

    Raises:
        ValueError: data that is cut off or damaged.
    """
    if path.suffix.lower() not in (".mha", ".mhd"):
        return
    header, data = _read_parts(path)
    name = header.get("ElementDataFile", "")
    if name != "LOCAL":
        other = path.with_name(name)
        if not other.is_file():  # several files, which ITK looks for
            return
        data = other.read_bytes()
    size = _expected_size(header)
    actual = len(data)
    if header.get("CompressedData", "").lower() == "true":
        actual = len(_decompress(data, path))
    if size is not None and actual < size:
        raise ValueError(f"{path}: {actual} bytes of voxels, expected {size}; the file is cut off or damaged")


def _read_parts(path: Path) -> tuple[dict[str, str], bytes]:
    """Return the header's fields, and what follows them."""
    header: dict[str, str] = {}
    with path.open("rb") as file:
        for line in iter(file.readline, b""):
            key, _, value = line.decode("latin-1").partition("=")
            header[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                break
        return header, file.read()


def _expected_size(header: Mapping[str, str]) -> int | None:
    """Return the bytes of all voxels; None if the header does not tell."""
    kind = header.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY")
    each = BYTES_PER_ELEMENT.get(kind.removeprefix("U"))
    try:
        shape = [int(n) for n in header["DimSize"].split()]
        channels = int(header.get("ElementNumberOfChannels", "1"))
    except (KeyError, ValueError):
        return None
    return None if each is None else math.prod(shape) * channels * each


def _decompress(data: bytes, path: Path) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        raise ValueError(f"{path}: the compressed voxels are damaged ({error})") from error
