"""The packages that running a bundle needs: which are missing, and how to install them from a checkout."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

INSTALL: Final = "pip install '.[bundle,tensorboard,report]'"
"""Installs what running and viewing a bundle needs; run it in a checkout of this project."""
_NEEDED: Final = ("monai", "ignite", "fire", "nibabel", "tensorboard")


def missing() -> list[str]:
    """Return the modules that running a bundle needs and that are not installed.

    Examples:
        >>> missing()
        []
    """
    return [name for name in _NEEDED if find_spec(name) is None]


def advice(names: list[str]) -> str:
    """Return the command that installs packages."""
    return f"not installed: {', '.join(names)}. In a checkout of monai-auxops: {INSTALL}"
