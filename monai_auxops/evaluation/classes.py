"""The targets of an evaluation: classes by value and name, and regions made of several."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Target(NamedTuple):
    """A class or a region: its name, and the label values that belong to it."""

    name: str
    values: tuple[int, ...]


class Naming(NamedTuple):
    """Label values with their names, regions, and values to ignore."""

    names: dict[int, str]
    regions: tuple[Target, ...] = ()
    ignored: tuple[int, ...] = ()

    def unannotated(self, label: npt.NDArray[Any]) -> tuple[int, ...]:
        """Return the values of voxels without annotation: those to ignore, and negative ones without a name.

        Examples:
            >>> Naming({-2: "air"}, ignored=(255,)).unannotated(np.array([0, -1, -2, 255]))
            (255, -1)
        """
        if not label.size or label.min() >= 0:
            return self.ignored
        named = {*self.names, *(value for region in self.regions for value in region.values)}
        return (*self.ignored, *(value for value in np.unique(label[label < 0]).tolist() if value not in named))


def read_naming(classes: Sequence[str], regions: Sequence[str] = (), ignored: Iterable[int] = ()) -> Naming:
    """Read the options ``--classes``, ``--regions`` and ``--ignore``.

    Args:
        classes: names of the values 0, 1, 2 …, or ``NAME=VALUE``, or one path of a bundle's ``metadata.json`` or of a
            ``dataset.json`` of nnU-Net or the Medical Segmentation Decathlon.
        regions: ``NAME=VALUE,VALUE``.
        ignored: label values without annotation, whose voxels are not counted; nor are those of negative values
            without a name.

    Raises:
        ValueError: an option that cannot be parsed, with its text.

    Examples:
        >>> read_naming(["background", "liver"], ["any=1,2"]).names
        {0: 'background', 1: 'liver'}
        >>> read_naming(["liver=1", "tumor=4"], ["any=1,4"]).regions
        (Target(name='any', values=(1, 4)),)
    """
    known = Naming({})
    if len(classes) == 1 and classes[0].endswith(".json"):
        known = read_file(Path(classes[0]))
    elif classes:
        known = Naming(_names(classes))
    given = tuple(_region(text) for text in regions)
    _refuse_equal([*known.names.values(), *(region.name for region in (*known.regions, *given))])
    return Naming(known.names, (*known.regions, *given), (*known.ignored, *ignored))


def read_file(path: Path) -> Naming:
    """Read the names of a ``metadata.json`` or ``dataset.json``."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"--classes: cannot read {path} ({error})") from error
    if isinstance(content, dict) and isinstance(content.get("labels"), dict):
        return _of_dataset(content["labels"], path)
    for output in _channel_names(content):
        if isinstance(output.get("channel_def"), dict):
            pairs = [(str(name), _whole_number(value, path)) for value, name in output["channel_def"].items()]
            return Naming(_by_value(pairs, path))
    raise ValueError(f"--classes {path}: expected labels (dataset.json) or a channel_def (metadata.json)")


def targets(naming: Naming, found: Iterable[int], background: bool = False) -> list[Target]:
    """Return all targets: every value that is named or was found, then the regions.

    Examples:
        >>> targets(Naming({0: "background", 1: "liver"}, ignored=(255,)), [0, 1, 2, 255])
        [Target(name='liver', values=(1,)), Target(name='label 2', values=(2,))]
    """
    left_out = {*naming.ignored, *([] if background else [0])}
    values = sorted({*naming.names, *found} - left_out)
    taken = {*naming.names.values(), *(region.name for region in naming.regions)}
    singles = [Target(naming.names.get(value) or _unused_name(value, taken), (value,)) for value in values]
    return [*singles, *naming.regions]


def _unused_name(value: int, taken: Container[str]) -> str:
    """Name a value without a name, unless another value has that name."""
    return f"value {value}" if f"label {value}" in taken else f"label {value}"


def _names(classes: Sequence[str]) -> dict[int, str]:
    texts = [text.strip() for given in classes for text in given.split(",") if text.strip()]
    if not any("=" in text for text in texts):
        return dict(enumerate(texts))
    pairs = [text.rpartition("=") for text in texts]
    return _by_value([(name.strip(), _whole_number(value, "--classes")) for name, _, value in pairs], "--classes")


def _by_value(pairs: Sequence[tuple[str, int]], where: Path | str) -> dict[int, str]:
    """Return names by value, each value with one name."""
    names: dict[int, str] = {}
    for name, value in pairs:
        if names.setdefault(value, name) != name:
            raise ValueError(f"{where}: expected one name for the value {value}, got {names[value]} and {name}")
    return names


def _region(text: str) -> Target:
    name, _, values = text.partition("=")
    if not name.strip() or not values:
        raise ValueError(f"--regions: expected NAME=VALUE,VALUE, got {text!r}")
    return Target(name.strip(), tuple(_whole_number(value, "--regions") for value in values.split(",")))


def _of_dataset(labels: Mapping[str, Any], path: Path) -> Naming:
    """Read both notations: ``{"1": "liver"}`` of the Decathlon, ``{"liver": 1, "any": [1, 2]}`` of nnU-Net."""
    if all(str(key).isdigit() for key in labels):
        return Naming({int(value): str(name) for value, name in labels.items()})
    regions = {n: v for n, v in labels.items() if isinstance(v, list)}
    single = {n: _whole_number(v, path) for n, v in labels.items() if n not in regions}
    ignored = tuple(value for name, value in single.items() if name == "ignore")
    named = _by_value([(name, value) for name, value in single.items() if name != "ignore"], path)
    made = tuple(Target(name, tuple(_whole_number(v, path) for v in values)) for name, values in regions.items())
    return Naming(named, made, ignored)


def _channel_names(content: Any) -> list[dict[str, Any]]:
    formats = content.get("network_data_format") if isinstance(content, dict) else None
    outputs = formats.get("outputs") if isinstance(formats, dict) else None
    return [out for out in outputs.values() if isinstance(out, dict)] if isinstance(outputs, dict) else []


def _whole_number(value: Any, where: Path | str) -> int:
    try:
        if not isinstance(value, bool) and int(value) == float(value):
            return int(value)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{where}: expected a whole number as a label value, got {value!r}")


def _refuse_equal(names: Sequence[str]) -> None:
    equal = sorted({name for name in names if names.count(name) > 1})
    if equal:
        raise ValueError(f"expected different names for classes and regions, got {', '.join(equal)} more than once")
