"""What the other components must know about a network without a row: read, answered, or asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.rules.kinds import ArgumentType, channels, label_format, one_of

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts

_CLASSES: Final = ("num_classes", "out_channels", "n_classes", "output_channels")
_activation: Final = one_of("softmax", "sigmoid", "linear")

ANSWERS: Final[Mapping[str, ArgumentType]] = {
    "classes": channels,
    "activation": _activation,
    "label_format": label_format,
}
"""The variables of ``--set`` that tell what no file tells."""


def own_network(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the arguments of a user's own network tell; Clara's own networks use the same names.

    Examples:
        >>> own_network({"num_classes": 3, "final_activation": "softmax", "depth": 7})
        {'out_channels': 3, 'final_activation': 'softmax'}
    """
    found = {"out_channels": _first(args, _CLASSES, channels)}
    found["final_activation"] = _first(args, ("final_activation",), _activation)
    return {name: value for name, value in found.items() if value is not None}


def _first(args: Mapping[str, Any], names: tuple[str, ...], kind: Any) -> Any:
    for name in names:
        try:
            return kind(args[name])
        except (KeyError, ValueError):
            continue
    return None


@dataclass(frozen=True, slots=True)
class Answers:
    """What ``--set`` tells about the network."""

    classes: int | None = None
    activation: str | None = None
    label_format: tuple[int, ...] = ()


def answers_of(given: Mapping[str, Any], log: Log) -> Answers:
    """Read the answers among the variables of ``--set``."""
    found: dict[str, Any] = {}
    for name, kind in ANSWERS.items():
        try:
            if name in given:
                found[name] = kind(given[name])
        except ValueError as error:
            log.add("CT206", Where("--set"), f"{name}: {error}")
    return Answers(**{**found, "label_format": tuple(found.get("label_format", ()))})


def settle(facts: Facts, answers: Answers, known_label_format: tuple[int, ...]) -> Facts:
    """Return the facts with what the data list knows, what was answered, and what the other components tell.

    A fact that the network itself tells stays. If the others disagree, it stays unknown.
    """
    facts = facts.update(known_label_format=facts.known_label_format or known_label_format or answers.label_format)
    activation = facts.final_activation or answers.activation
    classes = facts.out_channels or answers.classes
    told = set(dict(class_counts_told(facts)).values())
    if classes is None and not facts.known_label_format and len(told) == 1:
        classes = told.pop()
    return facts.update(final_activation=activation, out_channels=classes)


def class_counts_told(facts: Facts) -> Iterator[tuple[str, int]]:
    """Yield what other components tell of the number of classes, each with its source."""
    if facts.measured_classes is not None:
        yield "the tags of DiceMaskedOutput", facts.measured_classes
    if facts.label_channels > 1:
        yield "output_label_channels", facts.label_channels
    if facts.channel_names:
        yield "the classes of the labels", len(facts.channel_names)
