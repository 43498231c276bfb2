"""Losses. Clara's take probabilities, MONAI's take logits: the model's activation moves into the loss."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import OMIT, A, Call, Caveat, F, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import DATA_FORMAT, sigmoid, softmax
from monai_auxops.migrate.rules.kinds import flag, number, numbers, optional

_SKIP = Param("skip_background", False, flag)
_ONEHOT = Param("is_onehot_targets", False, flag)
_SMOOTH = Param("smooth", 1e-5, number)


def _index_labels(call: Call) -> bool:
    return not call["is_onehot_targets"] and not call.facts.single


_BACKGROUND = F(lambda c: not c["skip_background"] or c.facts.single, uses=("skip_background",))
_TO_ONEHOT = F(_index_labels, uses=("is_onehot_targets",))
_ACTIVATION: Final[dict[str, Any]] = {"softmax": F(softmax), "sigmoid": F(sigmoid)}

_ONE_CHANNEL = (
    Caveat(
        lambda c: c.facts.single and not c["is_onehot_targets"] and c.facts.task == "segmentation",
        "with one class and is_onehot_targets false Clara compared the prediction with the background; "
        "the bundle compares it with the label",
        Outcome.APPROXIMATE,
        "CT508",
    ),
    Caveat(
        lambda c: c.facts.single and c["skip_background"],
        "with one class skip_background leaves nothing; the bundle keeps the class",
        Outcome.APPROXIMATE,
        "CT507",
    ),
)

LOSSES: Final = (
    Rule(
        "Dice",
        Section.LOSS,
        (
            DATA_FORMAT,
            _SKIP,
            Param("squared_pred", False, flag),
            Param("jaccard", False, flag),
            _SMOOTH,
            Param("top_smooth", 0.0, number),
            _ONEHOT,
        ),
        (
            T(
                "DiceLoss",
                include_background=_BACKGROUND,
                to_onehot_y=_TO_ONEHOT,
                **_ACTIVATION,
                squared_pred=A("squared_pred"),
                jaccard=A("jaccard"),
                smooth_nr=A("top_smooth"),
                smooth_dr=A("smooth"),
            ),
        ),
        Outcome.EXACT,
        "The same sums; the model's activation moves into the loss, and Clara's numerator smoothing (0) "
        "replaces MONAI's.",
        "1 - mean over samples and channels of (2 I + top_smooth) / (T + P + smooth), on probabilities.",
        caveats=(
            *_ONE_CHANNEL,
            Caveat(
                lambda c: c["jaccard"],
                "Clara's jaccard is twice the intersection over union and its loss reaches -1; MONAI's is the true one",
                Outcome.APPROXIMATE,
            ),
        ),
    ),
    Rule(
        "Focal",
        Section.LOSS,
        (DATA_FORMAT, _SKIP, _ONEHOT, Param("gamma", 2.0, number), Param("alpha", OMIT, number)),
        (
            T(
                "FocalLoss",
                include_background=_BACKGROUND,
                to_onehot_y=_TO_ONEHOT,
                gamma=A("gamma"),
                alpha=A("alpha"),
                use_softmax=F(softmax),
            ),
        ),
        Outcome.APPROXIMATE,
        "Clara's gamma and alpha are not documented; the bundle uses gamma 2 without alpha, on logits.",
        "Cross-entropy that weighs down what is already classified well.",
        caveats=_ONE_CHANNEL,
    ),
    *(
        Rule(
            name,
            Section.LOSS,
            (DATA_FORMAT, _SKIP, _ONEHOT, Param("squared_pred", False, flag), Param("jaccard", False, flag), _SMOOTH),
            (
                T(
                    target,
                    include_background=_BACKGROUND,
                    to_onehot_y=_TO_ONEHOT,
                    **_ACTIVATION,
                    squared_pred=A("squared_pred"),
                    jaccard=A("jaccard"),
                    smooth_nr=0.0,
                    smooth_dr=A("smooth"),
                ),
            ),
            Outcome.APPROXIMATE,
            "Clara's weights of the two terms are not documented; both count once.",
            f"The sum of the Dice loss and the {other} loss.",
            caveats=_ONE_CHANNEL,
        )
        for name, target, other in (
            ("FocalDice", "DiceFocalLoss", "focal"),
            ("CrossEntropyDice", "DiceCELoss", "cross-entropy"),
        )
    ),
    Rule(
        "CrossEntropy",
        Section.LOSS,
        (
            DATA_FORMAT,
            _SKIP,
            Param("smooth", 1e-8, number, note="the logarithm is taken of logits, which needs no smoothing"),
            _ONEHOT,
        ),
        (T("DiceCELoss", to_onehot_y=_TO_ONEHOT, **_ACTIVATION, lambda_dice=0.0, lambda_ce=1.0),),
        Outcome.APPROXIMATE,
        "The cross-entropy part of DiceCELoss alone, computed from logits.",
        "-log(p + smooth) of the label's class, on probabilities.",
        caveats=(
            Caveat(lambda c: c["skip_background"], "the background counts in the bundle's loss", Outcome.APPROXIMATE),
        ),
    ),
    Rule(
        "BinaryClassificationLoss",
        Section.LOSS,
        (),
        (T("torch.nn.BCEWithLogitsLoss"),),
        Outcome.APPROXIMATE,
        "Whether Clara averaged or summed over the labels is not documented; the bundle averages.",
        "Sigmoid cross-entropy over the label vector.",
    ),
    Rule(
        "MulticlassClassificationLoss",
        Section.LOSS,
        (),
        (T("monai_auxops.clara.MulticlassClassificationLoss", label_format=F(lambda c: list(c.facts.label_format))),),
        Outcome.APPROXIMATE,
        "One cross-entropy per label of label_format, as documented; that they are averaged is an assumption.",
        "A vector of cross-entropies, one for each entry of label_format.",
    ),
    Rule(
        "WeightedMulticlassClassificationLoss",
        Section.LOSS,
        (Param("class_weights", None, optional(numbers)),),
        (
            T(
                "monai_auxops.clara.MulticlassClassificationLoss",
                label_format=F(lambda c: list(c.facts.label_format)),
                class_weights=A("class_weights", lambda weights: OMIT if weights is None else weights),
            ),
        ),
        Outcome.APPROXIMATE,
        "TensorFlow divides by the number of samples with a weight, PyTorch by the sum of the weights.",
        "Softmax cross-entropy with one weight per class.",
    ),
)
