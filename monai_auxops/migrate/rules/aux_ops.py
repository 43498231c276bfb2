"""Aux-ops: the same names and arguments in this package, in the metric slots of trainer and evaluator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import DATA_FORMAT, SHOWN
from monai_auxops.migrate.rules.kinds import flag, number, optional, text, texts
from monai_auxops.migrate.rules.values import OMIT, A, F, given

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts

_TAG = Param("tag", kind=text)
_TAG_AND_MASK = F(lambda tag, mask_tag: [name for name in (tag, mask_tag) if name])
_MASK = Param("mask_tag", None, optional(text))
_DICE = (
    DATA_FORMAT,
    Param("skip_background", False, flag),
    Param("is_onehot_targets", False, flag),
    Param("is_independent_predictions", False, flag),
    Param("jaccard", False, flag),
    Param("threshold", 0.5, number),
)
_ACTIVATIONS = (Param("use_sigmoid_for_binary", True, flag), Param("use_softmax_for_multiclass", True, flag))
_REASON = "The same definition on the same tensors, as a metric of trainer and evaluator."


def _activation(is_independent_predictions: bool, facts: Facts) -> Any:
    needed = is_independent_predictions or facts.single
    return facts.activation if needed and facts.activation else OMIT


def _skip_background(skip_background: bool, facts: Facts, given: frozenset[str]) -> Any:
    return OMIT if facts.single or "skip_background" not in given else skip_background


_DICE_ARGS: Final[dict[str, Any]] = {
    "skip_background": F(
        _skip_background,
    ),
    **given("is_onehot_targets", "is_independent_predictions", "jaccard", "threshold"),
    "final_activation": F(_activation),
    **given("do_summary", "do_print"),
}
_FORMAT = F(lambda facts: list(facts.known_label_format) or OMIT)
_NO_CLASS = Caveat(
    lambda skip_background, facts: facts.single and skip_background,
    "with one class skip_background leaves nothing to measure; the bundle measures the class",
    Outcome.APPROXIMATE,
    "CT507",
)
_ONE_CHANNEL = Caveat(
    lambda is_independent_predictions, facts: facts.single and not is_independent_predictions,
    "with one class the argmax is always the same class; the bundle compares the prediction with the threshold",
    Outcome.APPROXIMATE,
    "CT508",
)


def _measured_classes(skip_background: bool, facts: Facts) -> int:
    return facts.channels - bool(skip_background and not facts.single)


def _tag_numbers(tags: list[str], skip_background: bool, facts: Facts) -> str:
    classes = _measured_classes(skip_background, facts)
    needed = "one tag is needed" if classes == 1 else f"1 or {1 + classes} tags are needed"
    return f"{len(tags)} tags for {classes} class(es): {needed}"


def _classes_of(tags: list[str], skip_background: bool) -> int | None:
    """Return the number of classes that the tags name, None if there is only the average."""
    return len(tags) - 1 + skip_background if len(tags) > 2 else None


def _tags_do_not_fit(tags: list[str], skip_background: bool, facts: Facts) -> bool:
    classes = _measured_classes(skip_background, facts)
    return len(tags) not in ((1,) if classes == 1 else (1, 1 + classes))


AUX_OPS: Final = (
    Rule(
        name="ComputeAccuracy",
        section=Section.AUX_OP,
        params=(_TAG, Param("use_sigmoid", False, flag), *SHOWN),
        targets=(T("monai_auxops.ComputeAccuracy", tag=A("tag"), **given("use_sigmoid", "do_summary", "do_print")),),
        outcome=Outcome.EXACT,
        why=_REASON,
        clara="Share of elements whose rounded prediction equals the label.",
        creates=[A("tag")],
        accumulates=True,
    ),
    Rule(
        name="ComputeBinaryPreds",
        section=Section.AUX_OP,
        params=(Param("binary_preds_name", "binary_preds", text), Param("binary_labels_name", "binary_labels", text)),
        targets=(
            T(
                "monai_auxops.ComputeBinaryPreds",
                binary_preds_name=A("binary_preds_name"),
                binary_labels_name=A("binary_labels_name"),
                label_format=_FORMAT,
            ),
        ),
        outcome=Outcome.EXACT,
        why="The same two outputs; only the evaluator runs it, for the metrics that read them.",
        clara="Sigmoid of the binary columns and their labels, for an AUC.",
        creates=[A("binary_preds_name"), A("binary_labels_name")],
    ),
    Rule(
        name="ComputeMulticlassPreds",
        section=Section.AUX_OP,
        params=(Param("preds_name", "preds", text), Param("labels_name", "labels", text), *_ACTIVATIONS),
        targets=(
            T(
                "monai_auxops.ComputeMulticlassPreds",
                preds_name=A("preds_name"),
                labels_name=A("labels_name"),
                **given("use_sigmoid_for_binary", "use_softmax_for_multiclass"),
                label_format=_FORMAT,
            ),
        ),
        outcome=Outcome.EQUIVALENT,
        why="Probabilities in label order; whether Clara gave one column per k-class label or k is not documented.",
        clara="Activates the logits label by label, for metrics of several classes.",
        creates=[A("preds_name"), A("labels_name")],
    ),
    Rule(
        name="ComputeMulticlassAccuracy",
        section=Section.AUX_OP,
        params=(_TAG, *_ACTIVATIONS, Param("use_sigmoid_for_accuracy", False, flag), *SHOWN),
        targets=(
            T(
                "monai_auxops.ComputeMulticlassAccuracy",
                tag=A("tag"),
                **given(
                    "use_sigmoid_for_binary",
                    "use_softmax_for_multiclass",
                    "use_sigmoid_for_accuracy",
                    "do_summary",
                    "do_print",
                ),
                label_format=_FORMAT,
            ),
        ),
        outcome=Outcome.EXACT,
        why=_REASON,
        clara="Accuracy over the labels of label_format.",
        creates=[A("tag")],
        accumulates=True,
    ),
    Rule(
        name="ComputeDice",
        section=Section.AUX_OP,
        params=(_TAG, _MASK, *_DICE, *SHOWN),
        targets=(T("monai_auxops.ComputeDice", tag=A("tag"), **given("mask_tag"), **_DICE_ARGS),),
        outcome=Outcome.EXACT,
        why=_REASON,
        clara="Mean Dice of the classes present, per sample.",
        creates=_TAG_AND_MASK,
        accumulates=True,
        caveats=(_NO_CLASS, _ONE_CHANNEL),
    ),
    Rule(
        name="DiceMaskedOutput",
        section=Section.AUX_OP,
        params=(Param("tags", kind=texts), *_DICE, *SHOWN),
        targets=(T("monai_auxops.DiceMaskedOutput", tags=A("tags"), **_DICE_ARGS),),
        outcome=Outcome.EXACT,
        why=_REASON,
        clara="Mean Dice of the classes present, and one value per class.",
        creates=A("tags"),
        facts={"measured_classes": F(_classes_of)},
        accumulates=True,
        caveats=(
            _NO_CLASS,
            _ONE_CHANNEL,
            Caveat(
                F(_tags_do_not_fit),
                F(_tag_numbers),
                code="CT504",
                about="one tag is needed, or one for the average and one for each class",
            ),
        ),
    ),
    Rule(
        name="NegLoss",
        section=Section.AUX_OP,
        params=(_TAG, *SHOWN),
        targets=(T("monai_auxops.NegLoss", tag=A("tag"), **given("do_summary", "do_print")),),
        outcome=Outcome.EXACT,
        why="Minus the loss component; whether Clara added the model's regularization is not documented.",
        clara="The negative loss: larger is better, so it can select the best model.",
        creates=[A("tag")],
        accumulates=True,
        caveats=(
            Caveat(
                lambda facts: facts.scanning,
                "validation uses a scanning window: the loss is computed on the stitched output",
                code="CT515",
            ),
        ),
        in_validation={"loss_function": Expr("@loss")},
    ),
    Rule(
        name="ReduceMeanMasked",
        section=Section.AUX_OP,
        params=(_TAG, _MASK, Param("axis", None), *SHOWN),
        targets=(
            T(
                "monai_auxops.ReduceMeanMasked",
                tag=A("tag"),
                **given("mask_tag", "axis", "do_summary", "do_print"),
                final_activation=F(lambda facts: facts.activation or OMIT),
            ),
        ),
        outcome=Outcome.EQUIVALENT,
        why="How Clara derived the mask is not documented: finite predictions where the label is annotated.",
        clara="Mean of the predictions over valid entries, and the mask.",
        creates=_TAG_AND_MASK,
        accumulates=True,
    ),
)
