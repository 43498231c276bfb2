"""Values and parameters that many rows share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import Param
from monai_auxops.migrate.rules.kinds import flag, number, one_of, text, texts
from monai_auxops.migrate.rules.values import OMIT, A, F

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts

CLARA_FIELDS: Final = {"model": "pred"}
"""Clara's field names that have another name in a MONAI engine."""

DATA_FORMAT: Final = Param(
    "data_format",
    "channels_first",
    one_of("channels_first", "channels_last"),
    note="MONAI is channels-first throughout",
)
FIELDS: Final = Param("fields", kind=texts, also=("applied_keys", "applied_key", "field"))
FIELD: Final = Param("field", kind=text, also=("applied_key", "applied_keys"))
IMAGE_FIELD: Final = Param("image_field", "image", text)
LABEL_FIELD: Final = Param("label_field", "label", text)
IS_LABEL: Final = Param("is_label", False, flag)
SHOWN: Final = (Param("do_summary", True, flag), Param("do_print", True, flag))

DTYPES: Final = frozenset({"uint8", "int8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64"})


def key_of(field: str) -> str:
    """Return a Clara field's key in the bundle.

    Examples:
        >>> key_of("model"), key_of("label")
        ('pred', 'label')
    """
    return CLARA_FIELDS.get(field, field)


def keys_of(fields: list[str]) -> list[str]:
    """Return the keys of several fields."""
    return [key_of(field) for field in fields]


KEYS: Final = A("fields", keys_of)
KEY: Final = A("field", lambda field: [key_of(field)])
PAIR: Final = F(lambda image_field, label_field: keys_of([image_field, label_field]))


def _size(size: list[int], facts: Facts) -> Any:
    return Expr("@patch_size") if tuple(size) == facts.patch_size else size


SIZE: Final = F(_size)
"""A size in voxels: the bundle's patch_size if it is the same."""


def linear(facts: Facts) -> str:
    """Return the name of linear interpolation for the number of spatial dimensions."""
    return "trilinear" if facts.spatial_dims == 3 else "bilinear"


NUMPY_DTYPE: Final = A("dtype", lambda dtype: Expr(f"$numpy.{dtype}") if dtype in DTYPES else OMIT)
"""A NumPy dtype, left out if none or an unknown one is given."""
MODES: Final = A("fields", lambda fields: ["nearest" if field.startswith("label") else "bilinear" for field in fields])
"""One interpolation mode per key: nearest for segmentation labels."""


def prob(default: float = 0.5) -> Param:
    """Return the probability argument of a random transform."""
    return Param("probability", default, number)


def radians(angle: float) -> float:
    """Return degrees as radians, short enough to read.

    Examples:
        >>> radians(20)
        0.349066
    """
    return round(math.radians(angle), 6)


def softmax(facts: Facts) -> bool:
    """Tell whether Clara's model ended in a softmax."""
    return facts.activation == "softmax"


def sigmoid(facts: Facts) -> bool:
    """Tell whether Clara's model ended in a sigmoid."""
    return facts.activation == "sigmoid"
