"""How the aux-ops of an engine turn scores and labels into classes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monai_auxops.engine.hub import Hub
from monai_auxops.ops import ComputeAccuracy, ComputeBinaryPreds, ComputeMulticlassAccuracy, ComputeMulticlassPreds
from monai_auxops.ops.dice_base import DiceOperation

if TYPE_CHECKING:
    from ignite.engine import Engine


@dataclass(frozen=True)
class ClassRule:
    """How predictions and label become classes.

    Args:
        cut: the threshold on the scale of the predictions; None: no aux-op says.
        independent: each channel is a class of its own, which may overlap others.
        exclusive: classes are exclusive, even if the label has a channel per class.
        onehot: the label has a channel per class; None: no aux-op says.
        softmax: the cut is on probabilities over the channels.
        channels_last: the channels are the last axis.
        ignored: label values to leave out.
        mask_key: a mask of the batch; voxels outside it are not counted.
        class_names: names of the classes that the aux-op measures.
    """

    cut: float | None = None
    independent: bool = False
    exclusive: bool = False
    onehot: bool | None = None
    softmax: bool = False
    channels_last: bool = False
    ignored: tuple[int, ...] = ()
    mask_key: str | None = None
    class_names: tuple[str, ...] | None = None


def class_rule_of(engine: Engine, threshold: float | None = None) -> ClassRule:
    """Return how the first aux-op of ``engine`` that decides on classes reads; ``threshold`` overrides its cut."""
    hub = Hub.of(engine)
    readings = [class_rule_of_op(each.op) for each in hub.attachments] if hub is not None else []
    known = next((reading for reading in readings if reading is not None), ClassRule())
    return known if threshold is None else replace(known, cut=threshold)


def class_rule_of_op(op: object) -> ClassRule | None:
    """Return how an aux-op reads; None if it does not decide on classes.

    Examples:
        >>> from monai_auxops import ComputeAccuracy, NegLoss
        >>> class_rule_of_op(ComputeAccuracy("a", use_sigmoid=True)).cut, class_rule_of_op(NegLoss("negloss"))
        (0.0, None)
    """
    if isinstance(op, DiceOperation):
        return _read_by_dice(op)
    if isinstance(op, ComputeAccuracy):
        logits = op.use_sigmoid or op.final_activation == "sigmoid"
        return ClassRule(cut=0.0 if logits else 0.5, exclusive=op.exclusive)
    if isinstance(op, ComputeMulticlassAccuracy | ComputeMulticlassPreds):
        return ClassRule(cut=0.0 if op.use_sigmoid_for_binary else 0.5)
    return ClassRule(cut=0.0) if isinstance(op, ComputeBinaryPreds) else None


def _read_by_dice(op: DiceOperation) -> ClassRule:
    cut = float(op.threshold)
    if op.final_activation == "sigmoid":
        cut = math.log(cut / (1 - cut))
    ignored = op.ignore_index
    if ignored is None:
        ignored = ()
    return ClassRule(
        cut=cut,
        independent=op.is_independent_predictions,
        exclusive=not op.is_independent_predictions,
        onehot=op.is_onehot_targets,
        softmax=op.final_activation == "softmax",
        channels_last=op.data_format == "channels_last",
        ignored=tuple(ignored) if isinstance(ignored, Iterable) else (ignored,),
        mask_key=op.mask_key,
        class_names=None if op.class_names is None else tuple(op.class_names),
    )
