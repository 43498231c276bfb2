"""Components of Clara Train 4: ``name`` or ``path``, ``args``, attributes, ``ref``, ``disabled``, alternatives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from monai_auxops.migrate.diagnostics import Log, Where, did_you_mean
from monai_auxops.migrate.reading.components import ALTERNATIVE, DISABLED, REFERS_TO_DISABLED
from monai_auxops.migrate.rules import Section

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.node import Node
    from monai_auxops.migrate.reading.variables import Variables

METRICS: Final = ("key_metric", "metrics", "additional_metrics")
MANY: Final = ("pre_transforms", "handlers", "post_transforms", "metrics", "additional_metrics", "aux_ops")
_SECTION: Final = ("pre_transforms", "dataset", "dataloader", "inferer", "handlers", "post_transforms", "metrics")
_NEWER: Final = ("key_metric", "additional_metrics", "iteration")
TRAIN: Final = ("model", "loss", "optimizer", "lr_scheduler", *_SECTION, *_NEWER, "aux_ops", "trainer")
VALIDATE: Final = (*_SECTION, *_NEWER, "evaluator")
ATTRIBUTES: Final = frozenset(
    {"rank", "log_label", "is_key_metric", "data_list_file_path", "data_file_base_dir", "data_list_key"}
)
_KEYS: Final = ATTRIBUTES | {"name", "path", "args", "ref", "disabled", "apply", "search", "ts_path", "ckpt_path"}
_SECTIONS: Final = {
    "model": Section.MODEL,
    "loss": Section.LOSS,
    "pre_transforms": Section.TRANSFORM,
    "post_transforms": Section.TRANSFORM,
}
_SEVERAL: Final = "several components have the name that it refers to; the bundle takes the first"
_SWITCHABLE: Final = ("pre_transforms", "post_transforms", "handlers")
"""Sections whose components a setting may disable; a metric that is none would leave MONAI without a key metric."""
_FINE_TUNES: Final = "CheckpointLoader"


class Place(NamedTuple):
    """Where a component is: ``part`` is train, validate or nothing for an evaluation's own file."""

    part: str
    key: str

    @property
    def section(self) -> Section:
        """The kind of class that belongs here, for a stub."""
        return _SECTIONS.get(self.key, Section.HANDLER)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One occurrence of a component, with refs followed.

    ``off`` is a sentence that says why it is not part of the bundle; ``refers`` is false for a ref to nothing;
    ``guess`` says what is assumed of a ref.
    """

    place: Place
    name: str
    node: Node
    where: Where
    path: str = ""
    off: str = ""
    switch: str = ""
    refers: bool = True
    guess: str = ""

    @property
    def args(self) -> Node | None:
        """The arguments."""
        return self.node.get("args")

    def attribute(self, key: str) -> Node | None:
        """Return an attribute beside the arguments."""
        return self.node.get(key)


class OccurrenceReader:
    """Reads the components of one configuration."""

    def __init__(self, root: Node, variables: Variables, log: Log) -> None:
        self.root, self.variables, self.log = root, variables, log
        self.known: dict[str, list[Node]] = {}

    def read(self) -> list[Occurrence]:
        """Return all occurrences in reading order."""
        for node in self._train_nodes():
            name = _text(node, "name") or _text(node, "path")
            for part in {*name.split("#"), name.rpartition(".")[2]} - {""}:
                self.known.setdefault(part, []).append(node)
        found: list[Occurrence] = []
        for place in self._places():
            found += self._choose(place, [self._occurrence(place, node) for node in self._nodes(place)])
        return found

    def _places(self) -> list[Place]:
        if self.root.get("train") is None:
            return [Place("", key) for key in ("model", *VALIDATE)]
        return [*(Place("train", key) for key in TRAIN), *(Place("validate", key) for key in VALIDATE)]

    def _train_nodes(self) -> Iterator[Node]:
        train = self.root.get("train")
        for key in TRAIN if train is not None else ():
            section = train.get(key) if train is not None else None
            yield from (node for node in (section.elements() if section is not None else ()) if node.get("ref") is None)

    def _nodes(self, place: Place) -> Iterator[Node]:
        part = self.root.get(place.part) if place.part else self.root
        section = part.get(place.key) if part is not None else None
        if section is None or section.value is None:
            return
        if place.key in MANY and not isinstance(section.value, list):
            self.log.add("CT316", section.where, f'"{place.key}" is not a list')
        for node in section.elements():
            if isinstance(node.value, dict):
                yield node
            else:
                self.log.add("CT302", node.where, "a component is an object with a name")

    def _occurrence(self, place: Place, node: Node) -> Occurrence:
        self._check_keys(node)
        ref = _text(node, "ref")
        return self._follow(place, node, ref) if ref else self._occurrence_by_name(place, node)

    def _occurrence_by_name(self, place: Place, node: Node) -> Occurrence:
        name, path = _text(node, "name").partition("#")[0], _text(node, "path")
        if not name and not path and not (place.key == "model" and has_weights(node)):
            self.log.add("CT302", node.where, "a component without name, path or ref")
        found = Occurrence(place, name or path.rpartition(".")[2], node, node.where, path)
        return self._switched(found, node.get("disabled"))

    def _follow(self, place: Place, node: Node, ref: str) -> Occurrence:
        """Return the training component of a class name, arguments and all."""
        where = (node.get("ref") or node).where
        self._check_ref(node)
        flag = node.get("disabled")
        targets = self.known.get(ref, [])
        if not targets:
            self.log.add("CT303", where, f'there is no component "{ref}"', did_you_mean(ref, self.known))
            return self._switched(Occurrence(place, ref, node, where, refers=False), flag)
        if len(targets) > 1:
            first = targets[0].where.line
            self.log.add("CT305", where, f'"{ref}" is the name of several components; the one of line {first}')
        found = self._occurrence_by_name(place, targets[0])
        if found.off:
            self.log.add("CT306", where, f'"{ref}" is disabled in line {found.where.line}')
            found = replace(found, off=REFERS_TO_DISABLED)
        found = replace(found, where=where, guess=_SEVERAL if len(targets) > 1 else "")
        return self._switched(found, flag)

    def _check_ref(self, node: Node) -> None:
        others = [key for key, _ in node.items() if key not in ("ref", "disabled") and key in _KEYS]
        if others:
            self.log.add("CT307", node.where, f"{', '.join(others)} beside a ref have no effect")

    def _switched(self, found: Occurrence, flag: Node | None) -> Occurrence:
        """Return the value of ``disabled``: true, false, or a variable that stays a setting of the bundle."""
        if flag is None:
            return found
        value = self.variables.resolve(flag)
        variable = flag.value[1:-1] if isinstance(flag.value, str) and flag.value.startswith("{") else ""
        truth = truth_of(value)
        if truth is None:
            self.log.add("CT308", flag.where, f"disabled is {_disabled_text(flag, value)}; the component stays")
            return found
        if variable and (found.name == _FINE_TUNES or found.place.key in _SWITCHABLE):
            return replace(found, switch=variable)
        return replace(found, off=DISABLED) if truth else found

    def _check_keys(self, node: Node) -> None:
        for key, child in node.items():
            if key in ("search", "apply"):
                self.log.add("CT310", child.where, f'"{key}" of AutoML: the static values are kept')
            elif key.startswith("_"):
                self.log.add("CT311", child.where, f'"{key}" is a comment')
            elif key not in _KEYS:
                self.log.add("CT317", child.where, f'"{key}" is not a key of a component', did_you_mean(key, _KEYS))

    def _choose(self, place: Place, found: list[Occurrence]) -> list[Occurrence]:
        """Keep the first alternative of a single place and mark the others."""
        if place.key in MANY:
            return found
        usable = [item for item in found if not item.off]
        chosen = usable[:1]
        for item in usable[1:]:
            self.log.add("CT309", item.where, f"{_title(item)} is an alternative to {_title(chosen[0])}, which is used")
        return [item if item.off or item in chosen else replace(item, off=ALTERNATIVE) for item in found]


def _disabled_text(flag: Node, value: Any) -> str:
    """Return what is written, and what a variable in it stands for."""
    written = flag.plain()
    return repr(written) if written == value else f"{written!r}, which is {value!r}"


def has_weights(node: Node) -> bool:
    """Tell whether a component names a file of weights."""
    return node.get("ts_path") is not None or node.get("ckpt_path") is not None


def weights_named(found: Iterable[Occurrence], variables: Variables) -> dict[str, str]:
    """Return the files of weights that a model names, by attribute; one that is not disabled comes first."""
    models = [item for item in found if item.place.key == "model"]
    named: dict[str, str] = {}
    for item in sorted(models, key=lambda item: bool(item.off)):
        for key in ("ckpt_path", "ts_path"):
            node = item.attribute(key)
            if node is not None and node.value is not None:
                named.setdefault(key, str(variables.resolve(node)))
    return named


def _title(item: Occurrence) -> str:
    return item.name or "a file of weights"


def truth_of(value: Any) -> bool | None:
    """Read true and false, as a literal or as text; None for any other value."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower())


def _text(node: Node, key: str) -> str:
    child = node.get(key)
    return child.value if child is not None and isinstance(child.value, str) else ""
