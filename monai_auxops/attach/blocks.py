"""Write a derived measure as the configuration of an aux-op."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.attach.derive import refuse_regression
from monai_auxops.attach.engines import readable_id
from monai_auxops.attach.problem import AttachError

if TYPE_CHECKING:
    from monai_auxops.attach.config import BundleConfig
    from monai_auxops.attach.evidence import Answers, Evidence, Measure

_DICE: Final = ("ComputeDice", "DiceMaskedOutput")
_LEAVES_ARRAYS: Final = ("ComputeBinaryPreds", "ComputeMulticlassPreds")
_STEMS: Final = {"NegLoss": "neg_loss", "ReduceMeanMasked": "mean", "ComputeMulticlassAccuracy": "multiclass_accuracy"}
_FIRST_OF_STACK: Final = "$lambda output: (output['pred'][:, 0], output['label'])"
MEASURES: Final = (*_DICE, "ComputeAccuracy")


def known_op(name: str) -> type[Any]:
    """Return the class of an aux-op with an epoch value, or refuse the name."""
    from monai_auxops import metrics, ops

    if name in metrics.__all__:
        raise AttachError(f"{name} is a validation metric that reads an aux-op's tag; add it by hand")
    if name in _LEAVES_ARRAYS:
        raise AttachError(f"{name} produces arrays for a metric to read; add both by hand")
    names = [op for op in ops.__all__ if op not in ("AuxiliaryOperation", "GraphComponent", *_LEAVES_ARRAYS)]
    if name not in names:
        close = difflib.get_close_matches(name, names, 1)
        hint = f'did you mean "{close[0]}"?' if close else f"expected one of {', '.join(names)}"
        raise AttachError(f"unknown aux-op {name!r}; {hint}")
    found: type[Any] = getattr(ops, name)
    return found


def default_ops(evidences: Iterable[Evidence]) -> list[str]:
    """Return the aux-op that fits the bundle: Dice for a segmentation, accuracy for a classification."""
    for evidence in evidences:
        refuse_regression(evidence)
        kind = (evidence.output.kind or "").lower()
        if evidence.overlap is not None or "Dice" in evidence.loss.name or "Tversky" in evidence.loss.name:
            return ["ComputeDice"]
        if kind.startswith("class"):
            return ["ComputeAccuracy"]
        if kind in ("segmentation", "labels") or len(evidence.output.shape) == 3:
            return ["ComputeDice"]
    raise AttachError("the bundle does not tell whether it segments or classifies; name the aux-ops with --ops")


def stem_of(name: str, measure: Measure | None, taken: Sequence[str]) -> str:
    """Return an op's tag, the same for training and validation and distinct from the names of the bundle's metrics.

    Examples:
        >>> stem_of("ComputeDice", None, ["val_mean_dice"])
        'dice'
        >>> stem_of("ComputeDice", None, ["train_dice", "val_mean_dice"])
        'class_dice'
    """
    overlap = "iou" if measure is not None and measure.jaccard else "dice"
    stem = overlap if name in _DICE else _STEMS.get(name, name.removeprefix("Compute").lower())
    for candidate in (stem, f"class_{stem}", f"aux_{stem}", *(f"aux_{stem}_{number}" for number in range(2, 100))):
        if not any(_names_collide(candidate, other) for other in taken):
            return candidate
    raise AttachError(f"every name for {name} is already used")


def _names_collide(stem: str, other: str) -> bool:
    """Tell whether a name equals ``train_<stem>`` or ``val_<stem>``, or looks like one of its classes."""
    names = (f"train_{stem}", f"val_{stem}")
    return other in names or other.startswith(tuple(f"{name}{mark}" for name in names for mark in "/_"))


def op_block(name: str, stem: str, measure: Measure | None, evidence: Evidence, answers: Answers) -> dict[str, Any]:
    """Return the configuration of one op for one engine."""
    known = inspect.signature(known_op(name)).parameters
    block: dict[str, Any] = {"_target_": f"monai_auxops.{name}", "tags" if "tags" in known else "tag": stem}
    if measure is not None:
        block |= _dice_arguments(measure) if name in _DICE else _accuracy_arguments(measure, evidence)
    if name == "NegLoss" and not evidence.engine.trains:
        block |= _loss_argument(evidence)
    if answers.output_transform is not None:
        block["output_transform"] = answers.output_transform
    elif evidence.stacked and name in MEASURES:
        block["output_transform"] = _FIRST_OF_STACK
    return block


def _dice_arguments(measure: Measure) -> dict[str, Any]:
    """Return only what differs from the defaults."""
    block: dict[str, Any] = {}
    if not measure.exclusive and (measure.channels or 2) > 1:
        block["is_independent_predictions"] = True
    if measure.onehot:
        block["is_onehot_targets"] = True
    if measure.skip_background:
        block["skip_background"] = True
    if measure.jaccard:
        block["jaccard"] = True
    if not measure.exclusive and measure.threshold != 0.5:
        block["threshold"] = measure.threshold
    if measure.activation is not None:
        block["final_activation"] = measure.activation
    if measure.empty_value is not None:
        block["empty_value"] = measure.empty_value
    if measure.stage != "raw":
        block["stage"] = measure.stage
    if len(measure.counted_names) > 1 or (len(measure.counted_names) == 1 and measure.skip_background):
        block["class_names"] = list(measure.counted_names)
    return block


def _accuracy_arguments(measure: Measure, evidence: Evidence) -> dict[str, Any]:
    """Return the arguments of ComputeAccuracy; refuse what it cannot express."""
    where = readable_id(evidence.engine.item_id)
    if not measure.exclusive and measure.threshold != 0.5:
        raise AttachError(
            f"ComputeAccuracy uses the threshold 0.5, but {where} uses {measure.threshold:g}; leave it out of --ops"
        )
    if not measure.exclusive and not measure.onehot and (measure.channels or 2) > 1:
        raise AttachError(
            f"ComputeAccuracy compares each independent channel with a label channel, but {where} has class indices"
        )
    block: dict[str, Any] = {}
    if measure.exclusive and measure.onehot:
        block["exclusive"] = True
    if not measure.exclusive and measure.activation == "sigmoid":
        block["use_sigmoid"] = True
    if measure.stage != "raw":
        block["stage"] = measure.stage
    return block


def _loss_argument(evidence: Evidence) -> dict[str, Any]:
    if not evidence.loss.item_id:
        raise AttachError(
            f"NegLoss in {readable_id(evidence.engine.item_id)} needs a loss, but no trainer has one; leave it out of "
            "--ops"
        )
    return {"loss_function": f"@{readable_id(evidence.loss.item_id)}"}


def label_format_block(name: str, config: BundleConfig) -> dict[str, Any]:
    """Return the label_format of an op that needs one, as used by the configuration's own components."""
    if "label_format" not in inspect.signature(known_op(name)).parameters:
        return {}
    if "label_format" in config.raw:
        return {"label_format": "@label_format"}
    for item_id, block in config.components():
        if block.get("label_format"):
            return {"label_format": config.value(f"{item_id}::label_format")}
    raise AttachError(
        f'{name} needs label_format: add "label_format": [3, 1] (k for a label of k classes, 1 for a binary one) at '
        "the top of the bundle's configuration"
    )
