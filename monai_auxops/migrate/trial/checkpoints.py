"""Read a checkpoint of PyTorch without running code, and tell why one cannot be read."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

SCRIPT: Final = ".ts"
_UNSAFE: Final = re.compile(r"GLOBAL ([\w.]+)")
_NOT_WEIGHTS: Final = ("weights_only", "WeightsUnpickler", "Unsupported")


def read_checkpoint(path: Path) -> Mapping[Any, Any]:
    """Return what a file holds.

    Raises:
        ValueError: it is damaged, TorchScript, or no dictionary.
        Exception: any error of PyTorch; ``reason`` makes it a sentence.
    """
    import torch

    check_archive(path)
    found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, Mapping):
        raise ValueError(f"a checkpoint must be a dictionary, got a {type(found).__name__}")
    return found


def check_archive(path: Path) -> None:
    """Compare the parts of a file with their checksums, which PyTorch does not do.

    Raises:
        ValueError: a part is damaged, or the file is TorchScript and its name does not say so.
    """
    if not zipfile.is_zipfile(path):  # the format before PyTorch 1.6 has no checksums
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            is_script = any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile as error:
        raise ValueError(f"it is damaged ({error}): copy the file again") from error
    if damaged is not None:
        raise ValueError(f"it is damaged (checksum of {damaged}): copy the file again")
    if is_script and path.suffix != SCRIPT:
        raise ValueError(f"it is TorchScript: rename it to {path.stem}{SCRIPT}")


def state_of(found: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Return the tensors of a network by name: those under "model", or all."""
    state = found.get("model", found)
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise ValueError(f'expected tensors by name under "model" or at the top, got a {type(state).__name__}')
    return state


def tensors(found: Mapping[Any, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all tensors with their places, also those in dictionaries of dictionaries."""
    import torch

    for key, value in found.items():
        if isinstance(value, torch.Tensor):
            yield f"{place}{key}", value
        elif isinstance(value, Mapping):
            yield from tensors(value, f"{place}{key}/")


def place_of(found: Mapping[Any, Any], wanted: set[str], place: str = "") -> str:
    """Return where a checkpoint has the right tensors under other names, as the end of a sentence, or nothing."""
    names = [str(name) for name in found]
    for first in names:
        prefix = next((first.removesuffix(name) for name in wanted if first.endswith(f".{name}")), "")
        if prefix and {f"{prefix}{name}" for name in wanted} <= set(names):
            under = f'its tensors are under "{place}", and ' if place else ""
            return f'{under}its names begin with "{prefix}", which the names of the network do not'
    if place and wanted <= set(names):
        return f'its tensors are under "{place}", and a bundle reads them under "model" or at the top'
    inner = ((key, value) for key, value in found.items() if isinstance(value, Mapping))
    return next((text for key, value in inner if (text := place_of(value, wanted, f"{place}/{key}".lstrip("/")))), "")


def reason(error: Exception) -> str:
    """Return a short reason; torch's own message explains at length how to load unsafe files."""
    text = " ".join(str(error).split())
    if any(word in text for word in _NOT_WEIGHTS):
        named = _UNSAFE.search(text)
        return f"it holds more than weights{f' ({named[1]})' if named else ''}, and reading it would run code"
    if isinstance(error, (KeyError, EOFError)) or "PytorchStreamReader" in text:
        return "it is cut off, or no file of PyTorch: copy the file again"
    return f"{type(error).__name__}: {text[:300]}"
