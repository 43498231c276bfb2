"""TensorFlow's numbers of data types."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

DTYPES: Final[dict[int, np.dtype[Any]]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("u1"),
    5: np.dtype("<i2"),
    6: np.dtype("i1"),
    9: np.dtype("<i8"),
    10: np.dtype("?"),
    17: np.dtype("<u2"),
    19: np.dtype("<f2"),
    22: np.dtype("<u4"),
    23: np.dtype("<u8"),
}
STRING: Final = 7
BOOL: Final = 10
_REFERENCE: Final = 100


def base(number: int) -> int:
    """Return a type without the reference flag, which outputs of variables have."""
    return number - _REFERENCE if number > _REFERENCE else number


def is_float(number: int) -> bool:
    """Tell whether a type holds floating-point numbers; the 16-bit ``bfloat16`` (14) counts."""
    return base(number) in (1, 2, 14, 19)
