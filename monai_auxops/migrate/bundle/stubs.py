"""The classes that somebody has to complete: stubs in the bundle's scripts/manual.py."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from monai_auxops.migrate.conversion.convert import Converted
from monai_auxops.migrate.rules import Section

_NO_NAME: Final = re.compile(r"\W|^(?=\d)")
_HEAD: Final = '''"""Classes to complete: Clara Train components without a counterpart in MONAI. See docs/README.md."""

import torch


def _to_complete(name: str) -> NotImplementedError:
    return NotImplementedError(f"complete {name} in scripts/manual.py: Clara's class was TensorFlow code or is unknown")
'''
_BODIES: Final = {
    Section.LOSS: (
        "torch.nn.Module",
        "forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor",
        "The loss of a batch; pred holds logits.",
    ),
    Section.MODEL: (
        "torch.nn.Module",
        "forward(self, image: torch.Tensor) -> torch.Tensor",
        "The logits of a batch.",
    ),
    Section.TRANSFORM: ("", "__call__(self, data: dict) -> dict", "The item with its fields changed."),
}
_OTHER: Final = ("", "__call__(self, *args: object) -> object", "See the class that it replaces.")


def stub_name(entry: Converted) -> str:
    """Return the name of the stub's class.

    The name comes from a stranger's file, so that only letters, digits and underscores remain.
    """
    last = (entry.component.path or entry.component.name).rpartition(".")[2]
    return "Clara" + _NO_NAME.sub("_", last)[:80] if not last.isidentifier() or not last.isascii() else f"Clara{last}"


def stubs(entries: Iterable[Converted]) -> str:
    """Return the Python file with one class per component that needs hands, or nothing."""
    manual = {stub_name(entry): entry for entry in entries if entry.active and entry.manual}
    return "\n\n".join([_HEAD, *(_class(name, entry) for name, entry in sorted(manual.items()))]) if manual else ""


def _class(name: str, entry: Converted) -> str:
    base, signature, meaning = _BODIES.get(entry.component.place.section, _OTHER)
    lines = [
        f"class {name}({base}):" if base else f"class {name}:",
        f'    """{_safe(entry.component.path or entry.component.name)}, {entry.component.place.section.value}."""',
        "",
        "    def __init__(self, **args: object) -> None:",
        *(["        super().__init__()"] if base else []),
        f"        raise _to_complete({name!r})",
        "",
        f"    def {signature}:",
        f'        """{meaning}"""',
        f"        raise _to_complete({name!r})",
        "",
    ]
    return "\n".join(lines)


def _safe(text: str) -> str:
    return re.sub(r"[^\w. -]", "_", text, flags=re.ASCII)[:120]
