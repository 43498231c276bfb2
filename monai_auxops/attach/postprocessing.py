"""What a bundle's post-processing does to predictions and labels, which tells how the bundle measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from monai_auxops.attach.config import BundleConfig
    from monai_auxops.attach.engines import EngineItem

_KEEPS: Final = ("EnsureTyped", "ToTensord", "ToNumpyd", "ToDeviced", "CastToTyped", "SaveImaged", "CopyItemsd")


@dataclass(frozen=True)
class PostProcessing:
    """What happens to ``pred`` and ``label`` before the bundle's metrics see them.

    Args:
        activation: ``"sigmoid"`` or ``"softmax"``.
        argmax: whether classes exclude each other.
        threshold: the value that separates 0 from 1.
        onehot: whether predictions are one-hot afterwards.
        label_onehot: whether the label is made one-hot, so it was an index.
        inverted: whether both go back to the original grid.
        others: names of further transforms of either.
        given: whether there is any post-processing.
    """

    activation: str | None = None
    argmax: bool = False
    threshold: float | None = None
    onehot: bool = False
    label_onehot: bool = False
    inverted: bool = False
    others: tuple[str, ...] = ()
    given: bool = False

    @property
    def decides(self) -> bool:
        """Whether it defines what a positive prediction is."""
        return self.argmax or self.threshold is not None


def read_postprocessing(config: BundleConfig, engine: EngineItem) -> PostProcessing:
    """Return what an engine's post-processing does."""
    found = PostProcessing()
    for name, transform, keys in _transforms(config, f"{engine.item_id}::postprocessing"):
        found = replace(_after(found, name, transform, keys), given=True)
    return found


def _after(found: PostProcessing, name: str, transform: Any, keys: tuple[str, ...]) -> PostProcessing:
    """Return what is known after one more transform."""
    if not {"pred", "label"} & set(keys) or name in _KEEPS:
        return found
    if name.startswith("Invert"):
        return replace(found, inverted=True) if "pred" in keys else found
    if name.startswith("Activations") and transform is not None:
        return _with_activation(found, transform, keys)
    if name.startswith("AsDiscrete") and transform is not None:
        return _with_discretization(found, transform, keys)
    return replace(found, others=(*found.others, name))


def _with_activation(found: PostProcessing, transform: Any, keys: tuple[str, ...]) -> PostProcessing:
    at = keys.index("pred") if "pred" in keys else None
    if at is None:
        return found
    if transform.other[at] is not None:
        return replace(found, others=(*found.others, "Activationsd(other=…)"))
    names = {"sigmoid": transform.sigmoid[at], "softmax": transform.softmax[at]}
    return replace(found, activation=next((name for name, on in names.items() if on), found.activation))


def _with_discretization(found: PostProcessing, transform: Any, keys: tuple[str, ...]) -> PostProcessing:
    if "label" in keys and transform.to_onehot[keys.index("label")]:
        found = replace(found, label_onehot=True)
    if "pred" not in keys:
        return found
    at = keys.index("pred")
    threshold = transform.threshold[at]
    if threshold is None and transform.rounding[at] is not None:
        threshold = 0.5
    return replace(
        found,
        argmax=found.argmax or bool(transform.argmax[at]),
        threshold=found.threshold if threshold is None else float(threshold),
        onehot=found.onehot or bool(transform.to_onehot[at]),
    )


def _transforms(config: BundleConfig, item_id: str) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Yield name, object and keys of each transform of a chain; the object is None if it cannot be built here."""
    item_id, value = config.follow(item_id)
    if isinstance(value, list):
        for index in range(len(value)):
            yield from _transforms(config, f"{item_id}::{index}")
    elif isinstance(value, dict) and "transforms" in value:
        yield from _transforms(config, f"{item_id}::transforms")
    elif isinstance(value, dict) and "_target_" in value:
        yield from _component(config, item_id)
    elif value is not None:
        yield from _built(config.try_value(item_id))


def _component(config: BundleConfig, item_id: str) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    name = config.target(item_id).rpartition(".")[2]
    if config.try_value(f"{item_id}::_disabled_", False) in (True, "true", "True"):
        return
    keys = _names(config.try_value(f"{item_id}::keys"))
    builds = name.startswith(("Activations", "AsDiscrete"))
    yield name, config.try_value(item_id) if builds else None, keys


def _built(made: Any) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Yield the same for objects that an expression made."""
    if isinstance(made, list | tuple):
        for one in made:
            yield from _built(one)
    elif hasattr(made, "transforms"):
        yield from _built(made.transforms)
    elif made is not None:
        yield type(made).__name__, made, _names(getattr(made, "keys", ("pred",)))


def _names(keys: Any) -> tuple[str, ...]:
    """Return keys as text: a list, one, or MONAI's enumeration of them."""
    listed = keys if isinstance(keys, list | tuple) else [keys]
    return tuple(str(getattr(key, "value", key)) for key in listed)
