"""The transforms of a chain in a configuration, and which of them an item of the data passes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from monai_auxops.attach.config import BundleConfig

_READ: Final = ("Activations", "AsDiscrete", "CopyItems", "SplitDim")
_SUFFIX: Final = re.compile(r"(Dict|D|d)$")  # MONAI gives each dictionary transform three names


@dataclass(frozen=True)
class Step:
    """One transform of a chain.

    Args:
        name: of its class.
        made: the transform, or None if it is not needed or cannot be built here.
        keys: of the items that it changes; None if it does not tell.
    """

    name: str
    made: Any = None
    keys: tuple[str, ...] | None = None

    @property
    def stem(self) -> str:
        """The name without the suffix of dictionary transforms."""
        return _SUFFIX.sub("", self.name)

    def position(self, key: str) -> int | None:
        """Return the position of an item among its keys, or None if it leaves the item alone."""
        if self.keys is None:
            return 0
        return self.keys.index(key) if key in self.keys else None

    def source(self, key: str) -> str | None:
        """Return the item of which ``key`` is a copy or a part, or None if this step does not make it."""
        if self.made is None or not self.keys:
            return None
        if self.stem == "CopyItems" and key in self.made.names:
            return self.keys[list(self.made.names).index(key) % len(self.keys)]
        if self.stem == "SplitDim":
            return next((name for name in self.keys if key.startswith(f"{name}_")), None)
        return None


def read_steps(config: BundleConfig, item_id: str) -> Iterator[Step]:
    """Yield each transform of a chain, through references, lists, expressions and chains in chains."""
    item_id, value = config.follow(item_id)
    if isinstance(value, list):
        for index in range(len(value)):
            yield from read_steps(config, f"{item_id}::{index}")
    elif isinstance(value, dict) and "transforms" in value:
        yield from read_steps(config, f"{item_id}::transforms")
    elif isinstance(value, dict) and "_target_" in value:
        yield from _component(config, item_id)
    elif value is not None:
        yield from _built(config.try_value(item_id))


def _component(config: BundleConfig, item_id: str) -> Iterator[Step]:
    if config.try_value(f"{item_id}::_disabled_", False) in (True, "true", "True"):
        return
    step = Step(config.target(item_id).rpartition(".")[2], None, _names(config.try_value(f"{item_id}::keys")))
    made = config.try_value(item_id) if step.stem in _READ else None
    yield Step(step.name, made, step.keys)


def _built(made: Any) -> Iterator[Step]:
    """Yield the same for objects that an expression made."""
    if isinstance(made, list | tuple):
        for one in made:
            yield from _built(one)
    elif hasattr(made, "transforms"):
        yield from _built(made.transforms)
    elif made is not None:
        yield Step(type(made).__name__, made, _names(getattr(made, "keys", None)))


def _names(keys: Any) -> tuple[str, ...] | None:
    """Return keys as text: a list, one, or MONAI's enumeration of them."""
    if keys is None:
        return None
    listed = keys if isinstance(keys, list | tuple) else [keys]
    return tuple(str(getattr(key, "value", key)) for key in listed)


def steps_of(steps: Sequence[Step], key: str) -> list[tuple[Step, int]]:
    """Return the steps that an item passes, also before it was copied, with its position among their keys."""
    made = _made_by(steps, key)
    if made is None:
        return _own_steps(steps, key)
    index, source = made
    return steps_of(steps[:index], source) + _own_steps(steps[index + 1 :], key)


def _made_by(steps: Sequence[Step], key: str) -> tuple[int, str] | None:
    """Return the position of the last step that makes an item of another one, and that one; None if no step does."""
    sources = ((index, steps[index].source(key)) for index in reversed(range(len(steps))))
    return next(((index, source) for index, source in sources if source is not None), None)


def _own_steps(steps: Sequence[Step], key: str) -> list[tuple[Step, int]]:
    return [(step, at) for step in steps if (at := step.position(key)) is not None]


def origin_of(steps: Sequence[Step], key: str) -> str:
    """Return the item that a copy or part goes back to; of any other item its own key.

    Examples:
        >>> from monai.transforms import CopyItemsd
        >>> step = Step("CopyItemsd", CopyItemsd("pred", names="pred_copy"), ("pred",))
        >>> origin_of([step], "pred_copy")
        'pred'
    """
    made = _made_by(steps, key)
    return key if made is None else origin_of(steps[: made[0]], made[1])
