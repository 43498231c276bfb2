"""Losses."""

from __future__ import annotations

from typing import Final

from monai_auxops.migrate.clara4.tables.base import Draft, Row
from monai_auxops.migrate.diagnostics import Outcome

_SIGMOID_SINCE: Final = (0, 6)


def _focal(draft: Draft) -> None:
    if draft.version < _SIGMOID_SINCE:
        draft.args.setdefault("use_softmax", True)
        draft.notes.append("MONAI 0.5 took the softmax of the logits")


def _dice_focal(draft: Draft) -> None:
    if draft.version < _SIGMOID_SINCE:
        note = "the focal part was taken of the softmax in MONAI 0.5, today it is of the sigmoid"
        draft.lower(Outcome.APPROXIMATE, note)


def _mean_only(draft: Draft) -> None:
    if draft.drop("reduction", "today's loss is always the mean") not in (None, "mean"):
        draft.lower(Outcome.APPROXIMATE, "today's loss is always the mean")


LOSSES: Final = (
    Row(
        names=("FocalLoss",),
        edit=_focal,
        why="MONAI 0.5 computed it from the softmax, MONAI 0.6 and later from the sigmoid: the dialect decides.",
    ),
    Row(
        names=("DiceFocalLoss",),
        rename={"focal_weight": "weight"},
        edit=_dice_focal,
        why="focal_weight is weight today; the focal part of MONAI 0.5 used the softmax.",
    ),
    Row(
        names=("DiceCELoss",),
        rename={"ce_weight": "weight"},
        why="The same; ce_weight is weight today.",
    ),
    Row(
        names=("GeneralizedDiceFocalLoss",),
        rename={"focal_weight": "weight"},
        why="The same; focal_weight is weight today.",
    ),
    Row(
        names=("LocalNormalizedCrossCorrelationLoss",),
        rename={"ndim": "spatial_dims"},
        why="The same; ndim is spatial_dims today, and the old smoothing of the numerator is written out.",
    ),
    Row(
        names=("ContrastiveLoss",),
        edit=_mean_only,
        why="The mean over the batch.",
    ),
)
