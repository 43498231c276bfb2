"""Losses. Clara's take probabilities, MONAI's take logits: the model's activation moves into the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import DATA_FORMAT, sigmoid, softmax
from monai_auxops.migrate.rules.kinds import flag, number, numbers, optional
from monai_auxops.migrate.rules.values import OMIT, A, F

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts

_SKIP = Param("skip_background", False, flag)
_ONEHOT = Param("is_onehot_targets", False, flag)
_SMOOTH = Param("smooth", 1e-5, number)


def _index_labels(is_onehot_targets: bool, facts: Facts) -> bool:
    return not is_onehot_targets and not facts.single


_BACKGROUND = F(lambda skip_background, facts: not skip_background or facts.single)
_TO_ONEHOT = F(_index_labels)
_ACTIVATION: Final[dict[str, Any]] = {"softmax": F(softmax), "sigmoid": F(sigmoid)}

_ONE_CHANNEL = (
    Caveat(
        lambda is_onehot_targets, facts: facts.single and not is_onehot_targets and facts.task == "segmentation",
        "with one class and is_onehot_targets false Clara compared the prediction with the background; "
        "the bundle compares it with the label",
        Outcome.APPROXIMATE,
        "CT508",
    ),
    Caveat(
        lambda skip_background, facts: facts.single and skip_background,
        "with one class skip_background leaves nothing; the bundle keeps the class",
        Outcome.APPROXIMATE,
        "CT507",
    ),
)

LOSSES: Final = (
    Rule(
        name="Dice",
        section=Section.LOSS,
        params=(
            DATA_FORMAT,
            _SKIP,
            Param("squared_pred", False, flag),
            Param("jaccard", False, flag),
            _SMOOTH,
            Param("top_smooth", 0.0, number),
            _ONEHOT,
        ),
        targets=(
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
        outcome=Outcome.EXACT,
        why="The same sums; the model's activation moves into the loss, and Clara's numerator smoothing (0) "
        "replaces MONAI's.",
        clara="1 - mean over samples and channels of (2 I + top_smooth) / (T + P + smooth), on probabilities.",
        caveats=(
            *_ONE_CHANNEL,
            Caveat(
                lambda jaccard: jaccard,
                "Clara's jaccard is twice the intersection over union and its loss reaches -1; MONAI's is the true one",
                Outcome.APPROXIMATE,
            ),
        ),
    ),
    Rule(
        name="Focal",
        section=Section.LOSS,
        params=(DATA_FORMAT, _SKIP, _ONEHOT, Param("gamma", 2.0, number), Param("alpha", OMIT, number)),
        targets=(
            T(
                "FocalLoss",
                include_background=_BACKGROUND,
                to_onehot_y=_TO_ONEHOT,
                gamma=A("gamma"),
                alpha=A("alpha"),
                use_softmax=F(softmax),
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="Clara's gamma and alpha are not documented; the bundle uses gamma 2 without alpha, on logits.",
        clara="Cross-entropy that gives less weight to what is already classified well.",
        caveats=_ONE_CHANNEL,
    ),
    *(
        Rule(
            name=name,
            section=Section.LOSS,
            params=(
                DATA_FORMAT,
                _SKIP,
                _ONEHOT,
                Param("squared_pred", False, flag),
                Param("jaccard", False, flag),
                _SMOOTH,
            ),
            targets=(
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
            outcome=Outcome.APPROXIMATE,
            why="Clara's weights of the two terms are not documented; both count once.",
            clara=f"The sum of the Dice loss and the {other} loss.",
            caveats=_ONE_CHANNEL,
        )
        for name, target, other in (
            ("FocalDice", "DiceFocalLoss", "focal"),
            ("CrossEntropyDice", "DiceCELoss", "cross-entropy"),
        )
    ),
    Rule(
        name="CrossEntropy",
        section=Section.LOSS,
        params=(
            DATA_FORMAT,
            _SKIP,
            Param("smooth", 1e-8, number, note="the logarithm is taken of logits, which needs no smoothing"),
            _ONEHOT,
        ),
        targets=(T("DiceCELoss", to_onehot_y=_TO_ONEHOT, **_ACTIVATION, lambda_dice=0.0, lambda_ce=1.0),),
        outcome=Outcome.APPROXIMATE,
        why="The cross-entropy part of DiceCELoss alone, computed from logits.",
        clara="-log(p + smooth) of the label's class, on probabilities.",
        caveats=(
            Caveat(
                lambda skip_background: skip_background,
                "the background counts in the bundle's loss",
                Outcome.APPROXIMATE,
            ),
        ),
    ),
    Rule(
        name="BinaryClassificationLoss",
        section=Section.LOSS,
        params=(),
        targets=(T("torch.nn.BCEWithLogitsLoss"),),
        outcome=Outcome.APPROXIMATE,
        why="Whether Clara averaged or summed over the labels is not documented; the bundle averages.",
        clara="Sigmoid cross-entropy over the label vector.",
    ),
    Rule(
        name="MulticlassClassificationLoss",
        section=Section.LOSS,
        params=(),
        targets=(
            T(
                "monai_auxops.clara.MulticlassClassificationLoss",
                label_format=F(lambda facts: list(facts.label_format)),
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="One cross-entropy per label of label_format, as documented; that they are averaged is an assumption.",
        clara="A vector of cross-entropies, one for each entry of label_format.",
    ),
    Rule(
        name="WeightedMulticlassClassificationLoss",
        section=Section.LOSS,
        params=(Param("class_weights", None, optional(numbers)),),
        targets=(
            T(
                "monai_auxops.clara.MulticlassClassificationLoss",
                label_format=F(lambda facts: list(facts.label_format)),
                class_weights=A("class_weights", lambda weights: OMIT if weights is None else weights),
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="TensorFlow divides by the number of samples with a weight, PyTorch by the sum of the weights.",
        clara="Softmax cross-entropy with one weight per class.",
    ),
)
