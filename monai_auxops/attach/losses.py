"""What a loss tells about predictions and labels, such as the activation that the network leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from monai_auxops.attach.config import BundleConfig
    from monai_auxops.attach.engines import EngineItem

_PARTS: Final = ("loss", "dice", "generalized_dice", "focal", "tversky", "loss_function", "ce")
_TAKES_INDICES: Final = ("CrossEntropyLoss", "NLLLoss", "NACLLoss", "GeneralizedWassersteinDiceLoss")
_ELEMENTWISE: Final = ("BCELoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss")
_REGRESSES: Final = (
    "MSELoss",
    "L1Loss",
    "SmoothL1Loss",
    "HuberLoss",
    "LocalNormalizedCrossCorrelationLoss",
    "GlobalMutualInformationLoss",
    "PerceptualLoss",
    "SSIMLoss",
    "PatchAdversarialLoss",
)


@dataclass(frozen=True)
class LossFacts:
    """What a loss tells.

    Args:
        item_id: its id, or nothing if there is no loss.
        name: of its class.
        activation: what it applies to predictions.
        index_labels: whether labels are class indices; None if unknown.
        skips_background: whether it leaves out class 0.
        regresses: whether it compares values instead of classes.
        sums: whether it is a sum over the batch, so that its value depends on the batch size.
        same_shape: whether it takes only labels of the predictions' shape.
    """

    item_id: str = ""
    name: str = ""
    activation: str | None = None
    index_labels: bool | None = None
    skips_background: bool = False
    regresses: bool = False
    sums: bool = False
    same_shape: bool = False


def read_loss(config: BundleConfig, trainer: EngineItem | None) -> LossFacts:
    """Return what the trainer's loss function tells."""
    if trainer is None:
        return LossFacts()
    item_id, value = config.follow(f"{trainer.item_id}::loss_function")
    if value is None:
        return LossFacts()
    loss = config.try_value(item_id)
    if loss is not None and not isinstance(loss, str | dict):
        return loss_facts(loss, item_id)
    if not isinstance(value, dict):
        return LossFacts(item_id, str(value))
    return _facts_in_config(value, item_id)


def loss_facts(loss: Any, item_id: str = "") -> LossFacts:
    """Return what a loss object says; of a loss around another (deep supervision, a sum of two) what that says.

    Examples:
        >>> from monai.losses import DeepSupervisionLoss, DiceLoss
        >>> loss_facts(DeepSupervisionLoss(DiceLoss(sigmoid=True))).activation
        'sigmoid'
    """
    parts = _loss_parts(loss)
    names = {base.__name__ for part in parts for base in type(part).__mro__}
    onehot = _flag(parts, "to_onehot_y")
    return LossFacts(
        item_id,
        type(loss).__name__,
        _activation(parts, names),
        _index_labels(names, onehot),
        _flag(parts, "include_background") is False,
        bool(names & set(_REGRESSES)),
        any(getattr(part, "reduction", None) == "sum" for part in parts),
        onehot is False or bool(names & set(_ELEMENTWISE)),
    )


def _loss_parts(loss: Any) -> list[Any]:
    """Return a loss and the losses inside it."""
    found = [loss]
    for one in found:
        inner = [getattr(one, name, None) for name in _PARTS]
        found += [part for part in inner if callable(part) and hasattr(part, "forward") and part not in found]
    return found


def _flag(parts: list[Any], name: str) -> bool | None:
    """Return the flag of the first part that has it, starting with the composite itself."""
    flags = [value for part in parts if isinstance(value := getattr(part, name, None), bool)]
    return any(flags) if name == "to_onehot_y" and flags else next(iter(flags), None)


def _activation(parts: list[Any], names: set[str]) -> str | None:
    for part in parts:
        for name in ("sigmoid", "softmax"):
            if getattr(part, name, None) is True:
                return name
    if "CrossEntropyLoss" in names and not names & {"DiceCELoss", "GeneralizedDiceLoss"}:
        return "softmax"
    if "BCEWithLogitsLoss" in names:
        return "sigmoid"
    focal = [part for part in parts if type(part).__name__ == "FocalLoss"]
    if focal and len(parts) == 1:
        return "softmax" if focal[0].use_softmax else "sigmoid"
    return None


def _index_labels(names: set[str], onehot: bool | None) -> bool | None:
    if onehot is not None:
        return True if onehot else None  # without it labels have the network's channels, or there is one channel
    return True if names & set(_TAKES_INDICES) else None


def _facts_in_config(value: dict[str, Any], item_id: str) -> LossFacts:
    """Return what the configuration tells about a loss that cannot be built here."""
    name = str(value.get("_target_", "")).rpartition(".")[2]
    on = [key for key in ("sigmoid", "softmax") if value.get(key) is True]
    index = True if value.get("to_onehot_y") is True else None
    skips = value.get("include_background") is False
    sums = value.get("reduction") == "sum"
    return LossFacts(item_id, name, next(iter(on), None), index, skips, sums=sums, same_shape=name in _ELEMENTWISE)
