"""Clara's component grammar: ``name``, ``Name#alias``, ``path``, ``ref``, ``disabled``, alternatives, AutoML keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from monai_auxops.migrate.diagnostics import Log, Where, did_you_mean
from monai_auxops.migrate.rules import Section

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.node import Node

KEYS: Final = frozenset({"name", "path", "ref", "args", "disabled"})
AUTOML: Final = frozenset({"search", "apply", "search_space"})
DISABLED: Final = "Disabled: it had no effect."
REFERS_TO_DISABLED: Final = "It refers to a disabled component; whether Clara built that is not documented."
ALTERNATIVE: Final = "An alternative that AutoML may have chosen; the bundle has the first one."
"""Why a component is not part of the bundle."""


class Place(NamedTuple):
    """Where the components of a section are."""

    part: str
    key: str
    section: Section
    many: bool


PLACES: Final = (
    Place("train", "image_pipeline", Section.PIPELINE, False),
    Place("train", "pre_transforms", Section.TRANSFORM, True),
    Place("train", "batch_transforms", Section.TRANSFORM, True),
    Place("train", "model", Section.MODEL, False),
    Place("train", "loss", Section.LOSS, False),
    Place("train", "optimizer", Section.OPTIMIZER, False),
    Place("train", "lr_policy", Section.LR_POLICY, False),
    Place("train", "aux_ops", Section.AUX_OP, True),
    Place("train", "metrics", Section.AUX_OP, True),
    Place("train", "handlers", Section.HANDLER, True),
    Place("validate", "image_pipeline", Section.PIPELINE, False),
    Place("validate", "pre_transforms", Section.TRANSFORM, True),
    Place("validate", "metrics", Section.METRIC, True),
    Place("validate", "inferer", Section.INFERER, False),
    Place("validate", "handlers", Section.HANDLER, True),
    Place("", "pre_transforms", Section.TRANSFORM, True),
    Place("", "label_transforms", Section.TRANSFORM, True),
    Place("", "inferer", Section.INFERER, False),
    Place("", "model_loader", Section.LOADER, False),
    Place("", "post_transforms", Section.TRANSFORM, True),
    Place("", "val_metrics", Section.METRIC, True),
    Place("", "writers", Section.WRITER, True),
)
"""Every place of a training configuration (`train`, `validate`) and of an evaluation (top level), in reading order."""


@dataclass(frozen=True, slots=True)
class Component:
    """One occurrence of a component, refs followed.

    ``disabled`` is a sentence that says why it is not part of the bundle; ``refers`` is false for a ref to nothing.
    """

    place: Place
    name: str
    node: Node
    where: Where
    path: str = ""
    disabled: str = ""
    refers: bool = True

    @property
    def args(self) -> Node | None:
        """The arguments of the component (of the one referred to, if it is a ref)."""
        return self.node.get("args")


class ComponentReader:
    """Reads the components of one configuration."""

    def __init__(self, root: Node, log: Log) -> None:
        self.root, self.log = root, log
        self.known: dict[str, Node] = {}
        self.ambiguous: set[str] = set()

    def read(self) -> list[Component]:
        """Return all occurrences, disabled ones and unused alternatives marked."""
        spots = [(place, node) for place in PLACES for node in self.nodes(place)]
        for _, node in spots:
            self.register(node)
        return self.choose([self.component(place, node) for place, node in spots])

    def nodes(self, place: Place) -> Iterator[Node]:
        """Yield the component objects of a place; alternatives of a single place are several."""
        part = self.root.get(place.part) if place.part else self.root
        found = part.get(place.key) if part is not None else None
        if found is None or found.value is None:
            return
        if place.many and not isinstance(found.value, list):
            self.log.add("CT316", found.where, f'"{place.key}" is not a list')
        for node in found.elements():
            if isinstance(node.value, dict):
                yield node
            else:
                self.log.add("CT302", node.where, "a component is an object with a name")

    def register(self, node: Node) -> None:
        """Remember the names that a ref may use: class, every alias, path and its last part."""
        for name in _names(node):
            other = self.known.setdefault(name, node)
            if other is not node:
                self.ambiguous.add(name)

    def component(self, place: Place, node: Node) -> Component:
        """Return one occurrence."""
        self.check_keys(node)
        ref = _text(node, "ref")
        if ref:
            return self.follow(place, node, ref)
        return self.occurrence_by_name(place, node)

    def occurrence_by_name(self, place: Place, node: Node) -> Component:
        """Return the occurrence of a component by its name or path."""
        names = [_text(node, "name").partition("#")[0], _text(node, "path")]
        if not any(names):
            self.log.add("CT302", node.where, "a component without name, path or ref")
        return Component(place, names[0] or names[1], node, node.where, names[1], self.disabled(node))

    def follow(self, place: Place, node: Node, ref: str) -> Component:
        """Return the occurrence that a ref refers to."""
        where = (node.get("ref") or node).where
        target = self.known.get(ref)
        if len(set(node.value) & KEYS) > 1:
            self.log.add("CT307", where, f'the ref to "{ref}" also has other keys')
        if target is None:
            self.log.add("CT303", where, f'there is no component "{ref}"', did_you_mean(ref, self.known))
            return Component(place, ref, node, where, refers=False)
        if ref in self.ambiguous:
            self.log.add(
                "CT305", where, f'"{ref}" is the name of several components; the one of line {target.where.line}'
            )
        if target.where[1:3] > where[1:3]:
            self.log.add("CT304", where, f'"{ref}" is defined further down, in line {target.where.line}')
        found = self.occurrence_by_name(place, target)  # a ref of its own is not followed: refs may go round in circles
        if found.disabled:
            self.log.add("CT306", where, f'"{ref}" is disabled in line {target.where.line}')
        why = REFERS_TO_DISABLED if found.disabled else ""
        return Component(place, found.name, target, where, found.path, why)

    def disabled(self, node: Node) -> str:
        """Return why a component is disabled, or nothing."""
        flag = node.get("disabled")
        if flag is None or flag.value is False:
            return ""
        if flag.value is True:
            return DISABLED
        self.log.add("CT308", flag.where, f"disabled is {flag.plain()!r}; the component stays")
        return ""

    def check_keys(self, node: Node) -> None:
        """Report keys that have no effect."""
        for key, child in node.items():
            if key in AUTOML:
                self.log.add("CT310", child.where, f'"{key}" of AutoML: the static values are kept')
            elif key.startswith("_"):
                self.log.add("CT311", child.where, f'"{key}" is a comment')
            elif key not in KEYS:
                self.log.add("CT317", child.where, f'"{key}" is not a key of a component', did_you_mean(key, KEYS))

    def choose(self, found: list[Component]) -> list[Component]:
        """Keep the first alternative of each single place; mark the others."""
        taken: dict[Place, Component] = {}
        chosen: list[Component] = []
        for item in found:
            first = item if item.place.many or item.disabled else taken.setdefault(item.place, item)
            if first is not item:
                self.log.add("CT309", item.where, f"{item.name} is an alternative to {first.name}, which is used")
                chosen.append(replace(item, disabled=ALTERNATIVE))
            else:
                chosen.append(item)
        return chosen


def _names(node: Node) -> Iterator[str]:
    name = _text(node, "name")
    for part in name.split("#"):
        if part:
            yield part
    if "." in name.partition("#")[0]:
        yield name.partition("#")[0].rpartition(".")[2]
    path = _text(node, "path")
    if path:
        yield path
        if path.rpartition(".")[2] not in _text(node, "name").split("#"):
            yield path.rpartition(".")[2]


def _text(node: Node, key: str) -> str:
    child = node.get(key)
    return child.value if child is not None and isinstance(child.value, str) else ""
