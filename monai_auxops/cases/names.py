"""The name of a case: a key of the batch, the files of its image, or a running number."""

from __future__ import annotations

import warnings
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from monai_auxops.core.context import BuildContext

_warned: set[str] = set()


def case_names(output: Any, batch: Any, key: str | None, size: int, first: int = 0) -> list[str]:
    """Name each of the ``size`` cases of a batch.

    Args:
        output: the engine's output, a dict or decollated; the files of its image come first.
        batch: the loader's batch, a dict or decollated, or a tuple.
        key: the key of the batch that holds the names.
        size: the number of cases.
        first: the running number of the first case.

    Examples:
        >>> case_names(None, {"case": ["p12", "p13"]}, "case", 2)
        ['p12', 'p13']
        >>> case_names(None, {"image": 0}, None, 2, first=4)
        ['4', '5']
    """
    names = None if key is None else values_of(batch, key, size)
    if key is not None and names is None:
        warn_once(
            f"case_key={key!r}: expected the batch to hold a name for each of {size} cases; using file names instead"
        )
    names = names or files_of(output, "image", size) or files_of(batch, "image", size) or [""] * size
    return [name or str(first + i) for i, name in enumerate(names)]


def values_of(batch: Any, key: str, size: int) -> list[str] | None:
    """Return the value of ``key`` for each case, as text; None if it is missing or has another length."""
    if isinstance(batch, list) and batch and all(isinstance(item, dict) for item in batch):
        found = [one_value(item[key]) for item in batch if key in item]
        return found if len(found) == size else None
    if not isinstance(batch, dict) or key not in batch:
        return None
    value = batch[key]
    if isinstance(value, Tensor):
        value = value.reshape(len(value), -1)[:, 0].tolist() if value.dim() else [value.item()]
    if isinstance(value, str | PurePath | int | float):
        value = [value]
    names = [one_value(each) for each in value]
    return names if len(names) == size else None


def one_value(value: Any) -> str:
    """Return a case's value as text; several parts are joined by commas."""
    if isinstance(value, Tensor):
        value = value.reshape(-1).tolist()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def files_of(data: Any, key: str, size: int) -> list[str] | None:
    """Return the files of ``data[key]``, a name per case; None if they are unknown.

    A single name is shared by all cases. Several files of a case are joined by commas.
    """
    if isinstance(data, list):
        parts = [files_of(item, key, 1) for item in data]
        if not parts or any(part is None for part in parts) or len(parts) != size:
            return None
        return [name for part in parts if part is not None for name in part]
    if not isinstance(data, dict):
        return None
    return names_per_case(getattr(data.get(key), "meta", {}).get("filename_or_obj"), size)


def names_per_case(names: Any, size: int) -> list[str] | None:
    """Return a name for each of ``size`` cases, from names in metadata.

    Examples:
        >>> names_per_case("a.nii", 2), names_per_case(["a", "b"], 2), names_per_case(["t1.nii", "t2.nii"], 1)
        (['a.nii', 'a.nii'], ['a', 'b'], ['t1.nii,t2.nii'])
        >>> names_per_case([("a1", "b1", "c1"), ("a2", "b2", "c2")], 3)  # as PyTorch collates two files of three cases
        ['a1,a2', 'b1,b2', 'c1,c2']
    """
    if names is None:
        return None
    if isinstance(names, str | PurePath):
        return [str(names)] * size
    names = list(names)
    if len(names) == size:
        return [one_value(name) for name in names]
    if size == 1:
        return [one_value(names)]
    if names and all(isinstance(name, list | tuple) and len(name) == size for name in names):
        return [one_value(each) for each in zip(*names, strict=True)]
    return [one_value(names)] * size if len(names) == 1 else None


def warn_once(message: str) -> None:
    """Warn once in this process."""
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, stacklevel=3)


def case_names_in_context(build_ctx: BuildContext, key: str | None, size: int) -> list[str]:
    """Return the names of a batch's cases from its context; empty strings if they are unknown."""
    if key is not None and (names := values_of(build_ctx.batch, key, size)) is not None:
        return names
    return names_per_case(build_ctx.filenames, size) or [""] * size
