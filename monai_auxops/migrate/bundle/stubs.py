"""The classes that the user must complete: stubs in the bundle's scripts/manual.py."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from monai_auxops.migrate.rules import Section

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.project import Project
    from monai_auxops.migrate.rules.facts import Facts


class Stubbed(Protocol):
    """The occurrence of a component, of Clara Train 3.1 or 4, that gets a stub."""

    @property
    def component(self) -> Any:
        """The occurrence, with its name, path and place."""

    @property
    def active(self) -> bool:
        """Tell whether it is part of the bundle."""

    @property
    def manual(self) -> bool:
        """Tell whether the user must write a class for it."""


_NO_NAME: Final = re.compile(r"\W|^(?=\d)")
_HEAD: Final = '''"""Classes to complete: Clara Train components without a counterpart in MONAI. See docs/README.md."""

import torch


def _to_complete(name: str) -> NotImplementedError:
    return NotImplementedError(f"complete {name} in scripts/manual.py: Clara's class was TensorFlow code or is unknown")
'''
_SIGNATURES: Final = {
    Section.LOSS: ("torch.nn.Module", "forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor"),
    Section.MODEL: ("torch.nn.Module", "forward(self, image: torch.Tensor) -> torch.Tensor"),
    Section.TRANSFORM: ("", "__call__(self, data: dict) -> dict"),
}
_OTHER: Final = ("", "__call__(self, *args: object) -> object")


def stub_name(entry: Stubbed) -> str:
    """Return the name of the stub's class.

    The name comes from an untrusted file, so only letters, digits and underscores remain.
    """
    last = (entry.component.path or entry.component.name).rpartition(".")[2]
    return "Clara" + _NO_NAME.sub("_", last)[:80] if not last.isidentifier() or not last.isascii() else f"Clara{last}"


def stubs(project: Project) -> str:
    """Return the Python file with one class per component that must be written by hand, or nothing."""
    configs = [config for config in (project.train, project.evaluate, project.infer) if config is not None]
    entries = [entry for config in configs for entry in config.entries]
    return stub_file(entries, project.train.facts["train"]) if project.train is not None else ""


def stub_file(entries: Iterable[Stubbed], facts: Facts) -> str:
    """Return the Python file for occurrences of components, or nothing if all are migrated."""
    manual = {stub_name(entry): entry for entry in entries if entry.active and entry.manual}
    if not manual:
        return ""
    return "\n\n".join([_HEAD, *(_class(name, entry, facts) for name, entry in sorted(manual.items()))])


def _class(name: str, entry: Stubbed, facts: Facts) -> str:
    base, signature = _SIGNATURES.get(entry.component.place.section, _OTHER)
    lines = [
        f"class {name}({base}):" if base else f"class {name}:",
        f'    """{_safe(entry.component.path or entry.component.name)}, {entry.component.place.section.value}."""',
        "",
        "    def __init__(self, **args: object) -> None:",
        *(["        super().__init__()"] if base else []),
        f"        raise _to_complete({name!r})",
        "",
        f"    def {signature}:",
        f'        """{_meaning(entry.component.place.section, facts)}"""',
        f"        raise _to_complete({name!r})",
        "",
    ]
    return "\n".join(lines)


def _meaning(section: Section, facts: Facts) -> str:
    """Describe what a class receives and returns, with shapes and the bundle's keys."""
    size = ", ".join(map(str, facts.patch_size)) or ", ".join("HWD"[: facts.spatial_dims])
    outputs = f"[B, {facts.channels}]" if facts.task == "classification" else f"[B, {facts.channels}, {size}]"
    if section is Section.MODEL:
        return f"Return the logits {outputs} of images [B, {facts.in_channels}, {size}], without an activation."
    if section is Section.LOSS:
        return f"Return the loss of logits {outputs} and the label, a scalar."
    if section is Section.TRANSFORM:
        return "Return the item with its fields changed. Its keys are image, label and pred (Clara's model)."
    return "See the class that it replaces."


def _safe(text: str) -> str:
    return re.sub(r"[^\w. -]", "_", text, flags=re.ASCII)[:120]
