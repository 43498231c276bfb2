"""Which Clara Train 4 wrote a file, told by its content, because the file's name tells nothing."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.clara4 import signatures

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.signatures import Version
    from monai_auxops.migrate.reading.node import Node

PARTS: Final = ("train", "validate")
_NEW: Final = ("key_metric", "additional_metrics")
_WIRED: Final = ("trainer", "evaluator", "dataset", "dataloader", "optimizer", "lr_scheduler", "inferer", "handlers")
_EARLY_NAMES: Final = frozenset({"LoadNiftid", "LoadNumpyd", "LoadPNGd", "LoadNifti", "LoadNumpy", "LoadPNG"})
_CLARA3_NAMES: Final = frozenset({"Dice", "Focal", "NovoGrad", "ReducePoly", "DiceMaskedOutput"})


class Dialect(Enum):
    """A grammar of Clara Train 4; the value is its name in the reports."""

    EARLY = "early access"
    V40 = "4.0"
    V41 = "4.1"

    @property
    def version(self) -> Version:
        """The MONAI whose classes the names mean."""
        return (0, 8, 1) if self is Dialect.V41 else (0, 5, 3)

    @property
    def title(self) -> str:
        """The dialect in a sentence."""
        major, minor, _ = self.version
        return f"Clara Train {self.value}, MONAI {major}.{minor}"


def dialect_of(root: Node) -> Dialect:
    """Tell the dialect of a training, evaluation or inference configuration."""
    if _is_new(root):
        return Dialect.V41
    names = set(component_names(root))
    train = root.get("train")
    old = train is not None and train.get("aux_ops") is not None
    return Dialect.EARLY if old or names & (_EARLY_NAMES | _CLARA3_NAMES) else Dialect.V40


def _is_new(root: Node) -> bool:
    declared = root.get("CLARA_TRAIN_VERSION")
    version = signatures.version_of(str(declared.value).lstrip("vV")) if declared is not None else ()
    if version:
        return version >= (4, 1)
    sections = [root, *(part for part in map(root.get, PARTS) if part is not None)]
    if any(section.get(key) is not None for section in sections for key in _NEW):
        return True
    return any(_is_wired(section.get(key)) for section in sections for key in _WIRED)


def _is_wired(section: Node | None) -> bool:
    """Tell whether an argument of a component refers to another, as only 4.1 wrote it."""
    for component in section.elements() if section is not None else ():
        args = component.get("args")
        for value in args.members() if args is not None else ():
            if isinstance(value.value, str) and value.value.startswith(("@", "#@", "#monai")):
                return True
    return False


def component_names(node: Node) -> Iterator[str]:
    """Yield the class names anywhere in a configuration."""
    name = node.get("name")
    if name is not None and isinstance(name.value, str):
        yield name.value
    for child in node.members():
        yield from component_names(child)
    if isinstance(node.value, list):
        for child in node.value:
            yield from component_names(child)
