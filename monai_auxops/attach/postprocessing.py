"""What a bundle's processing does to predictions and labels, which tells how the bundle measures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from monai_auxops.attach.chain import Step, read_steps, steps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monai_auxops.attach.config import BundleConfig
    from monai_auxops.attach.engines import EngineItem

_KEEPS: Final = (
    "EnsureType",
    "ToTensor",
    "ToNumpy",
    "ToDevice",
    "CastToType",
    "SaveImage",
    "CopyItems",
    "SplitDim",
    "SelectItems",
    "DeleteItems",
)


@dataclass(frozen=True)
class PostProcessing:
    """What happens to prediction and label before the bundle's metrics see them.

    Args:
        activation: ``"sigmoid"`` or ``"softmax"``.
        argmax: whether classes exclude each other.
        threshold: the value that separates 0 from 1.
        onehot: whether predictions are one-hot afterwards.
        label_onehot: whether the label is made one-hot, so it was an index.
        inverted: whether both go back to the original grid.
        pred_others: names of further transforms of the prediction.
        label_others: names of further transforms of the label.
    """

    activation: str | None = None
    argmax: bool = False
    threshold: float | None = None
    onehot: bool = False
    label_onehot: bool = False
    inverted: bool = False
    pred_others: tuple[str, ...] = ()
    label_others: tuple[str, ...] = ()

    @property
    def decides(self) -> bool:
        """Whether it defines what a positive prediction is."""
        return self.argmax or self.threshold is not None

    @property
    def others(self) -> tuple[str, ...]:
        """The names of all further transforms."""
        return tuple(dict.fromkeys((*self.pred_others, *self.label_others)))


def read_postprocessing(steps: Sequence[Step], keys: tuple[str, str]) -> PostProcessing:
    """Return what post-processing does to a prediction and a label, given by their keys."""
    found = PostProcessing()
    for step, at in steps_of(steps, keys[0]):
        found = _after_prediction(found, step, at)
    for step, at in steps_of(steps, keys[1]):
        found = _after_label(found, step, at)
    return found


def _after_prediction(found: PostProcessing, step: Step, at: int) -> PostProcessing:
    """Return what is known after one more transform of the prediction."""
    if step.stem in _KEEPS:
        return found
    if step.stem == "Invert":
        return replace(found, inverted=True)
    if step.stem == "Activations" and step.made is not None and step.made.other[at] is None:
        return _with_activation(found, step, at)
    if step.stem == "AsDiscrete" and step.made is not None:
        return _with_discretization(found, step, at)
    return replace(found, pred_others=(*found.pred_others, step.name))


def _with_activation(found: PostProcessing, step: Step, at: int) -> PostProcessing:
    names = {"sigmoid": step.made.sigmoid[at], "softmax": step.made.softmax[at]}
    return replace(found, activation=next((name for name, on in names.items() if on), found.activation))


def _with_discretization(found: PostProcessing, step: Step, at: int) -> PostProcessing:
    threshold = step.made.threshold[at]
    if threshold is None and step.made.rounding[at] is not None:
        threshold = 0.5
    return replace(
        found,
        argmax=found.argmax or bool(step.made.argmax[at]),
        threshold=found.threshold if threshold is None else float(threshold),
        onehot=found.onehot or bool(step.made.to_onehot[at]),
    )


def _after_label(found: PostProcessing, step: Step, at: int) -> PostProcessing:
    """Return what is known after one more transform of the label."""
    if step.stem in (*_KEEPS, "Invert") or _activates_nothing(step, at):
        return found
    if step.stem != "AsDiscrete" or step.made is None:
        return replace(found, label_others=(*found.label_others, step.name))
    return replace(found, label_onehot=True) if step.made.to_onehot[at] else found


def _activates_nothing(step: Step, at: int) -> bool:
    """Tell whether an activation leaves out one of its items, as in ``sigmoid=[True, False]``."""
    if step.stem != "Activations" or step.made is None:
        return False
    return not (step.made.sigmoid[at] or step.made.softmax[at] or step.made.other[at])


def onehot_preprocessing(config: BundleConfig, engine: EngineItem) -> str:
    """Return the name of the preprocessing that gives labels a channel for each class, or nothing."""
    item_id = f"{engine.item_id}::{engine.prefix}_data_loader"
    for part in ("dataset", "transform"):
        item_id = f"{config.follow(item_id)[0]}::{part}"
    for step, at in steps_of(list(read_steps(config, item_id)), "label"):
        if step.stem == "ConvertToMultiChannelBasedOnBratsClasses":
            return step.name
        if step.stem == "AsDiscrete" and step.made is not None and step.made.to_onehot[at]:
            return step.name
    return ""
