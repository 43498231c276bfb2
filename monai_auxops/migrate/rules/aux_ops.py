"""Aux-ops: the same names and arguments in this package, in the metric slots of trainer and evaluator."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import OMIT, A, Call, Caveat, F, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import DATA_FORMAT, SHOWN
from monai_auxops.migrate.rules.kinds import flag, number, optional, text, words

_TAG = Param("tag", kind=text)
_TAG_AND_MASK = F(lambda c: [name for name in (c["tag"], c["mask_tag"]) if name], uses=("tag", "mask_tag"))
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


def _given(*names: str) -> dict[str, Any]:
    """Pass on what the configuration says, leave defaults to the class."""
    return {name: _if_given(name) for name in names}


def _if_given(name: str) -> F:
    return F(lambda c: c[name] if name in c.given else OMIT, uses=(name,))


def _activation(call: Call) -> Any:
    needed = call["is_independent_predictions"] or call.facts.single
    return call.facts.activation if needed and call.facts.activation else OMIT


_DICE_ARGS: Final[dict[str, Any]] = {
    "skip_background": F(
        lambda c: OMIT if c.facts.single or "skip_background" not in c.given else c["skip_background"],
        uses=("skip_background",),
    ),
    **_given("is_onehot_targets", "is_independent_predictions", "jaccard", "threshold"),
    "final_activation": F(_activation, uses=("is_independent_predictions",)),
    **_given("do_summary", "do_print"),
}
_FORMAT = F(lambda c: list(c.facts.label_format) or OMIT)
_NO_CLASS = Caveat(
    lambda c: c.facts.single and c["skip_background"],
    "with one class skip_background leaves nothing to measure; the bundle measures the class",
    Outcome.APPROXIMATE,
    "CT507",
)
_ONE_CHANNEL = Caveat(
    lambda c: c.facts.single and not c["is_independent_predictions"],
    "with one class the argmax is always the same class; the bundle compares the prediction with the threshold",
    Outcome.APPROXIMATE,
    "CT508",
)


def _tags_fit(call: Call) -> bool:
    classes = call.facts.channels - bool(call["skip_background"] and not call.facts.single)
    return len(call["tags"]) in ((1,) if classes == 1 else (1, 1 + classes))


AUX_OPS: Final = (
    Rule(
        "ComputeAccuracy",
        Section.AUX_OP,
        (_TAG, Param("use_sigmoid", False, flag), *SHOWN),
        (T("monai_auxops.ComputeAccuracy", tag=A("tag"), **_given("use_sigmoid", "do_summary", "do_print")),),
        Outcome.EXACT,
        _REASON,
        "Share of elements whose rounded prediction equals the label.",
        creates=[A("tag")],
        accumulates=True,
    ),
    Rule(
        "ComputeBinaryPreds",
        Section.AUX_OP,
        (Param("binary_preds_name", "binary_preds", text), Param("binary_labels_name", "binary_labels", text)),
        (
            T(
                "monai_auxops.ComputeBinaryPreds",
                binary_preds_name=A("binary_preds_name"),
                binary_labels_name=A("binary_labels_name"),
                label_format=_FORMAT,
            ),
        ),
        Outcome.EXACT,
        "The same two outputs; only the evaluator runs it, for the metrics that read them.",
        "Sigmoid of the binary columns and their labels, for an AUC.",
        creates=[A("binary_preds_name"), A("binary_labels_name")],
    ),
    Rule(
        "ComputeMulticlassPreds",
        Section.AUX_OP,
        (Param("preds_name", "preds", text), Param("labels_name", "labels", text), *_ACTIVATIONS),
        (
            T(
                "monai_auxops.ComputeMulticlassPreds",
                preds_name=A("preds_name"),
                labels_name=A("labels_name"),
                **_given("use_sigmoid_for_binary", "use_softmax_for_multiclass"),
                label_format=_FORMAT,
            ),
        ),
        Outcome.EQUIVALENT,
        "Probabilities in label order; whether Clara gave one column per k-class label or k is not documented.",
        "Activates the logits label by label, for metrics of several classes.",
        creates=[A("preds_name"), A("labels_name")],
    ),
    Rule(
        "ComputeMulticlassAccuracy",
        Section.AUX_OP,
        (_TAG, *_ACTIVATIONS, Param("use_sigmoid_for_accuracy", False, flag), *SHOWN),
        (
            T(
                "monai_auxops.ComputeMulticlassAccuracy",
                tag=A("tag"),
                **_given(
                    "use_sigmoid_for_binary",
                    "use_softmax_for_multiclass",
                    "use_sigmoid_for_accuracy",
                    "do_summary",
                    "do_print",
                ),
                label_format=_FORMAT,
            ),
        ),
        Outcome.EXACT,
        _REASON,
        "Accuracy over the labels of label_format.",
        creates=[A("tag")],
        accumulates=True,
    ),
    Rule(
        "ComputeDice",
        Section.AUX_OP,
        (_TAG, _MASK, *_DICE, *SHOWN),
        (T("monai_auxops.ComputeDice", tag=A("tag"), **_given("mask_tag"), **_DICE_ARGS),),
        Outcome.EXACT,
        _REASON,
        "Mean Dice of the classes present, per sample.",
        creates=_TAG_AND_MASK,
        accumulates=True,
        caveats=(_NO_CLASS, _ONE_CHANNEL),
    ),
    Rule(
        "DiceMaskedOutput",
        Section.AUX_OP,
        (Param("tags", kind=words), *_DICE, *SHOWN),
        (T("monai_auxops.DiceMaskedOutput", tags=A("tags"), **_DICE_ARGS),),
        Outcome.EXACT,
        _REASON,
        "Mean Dice of the classes present, and one value per class.",
        creates=A("tags"),
        accumulates=True,
        caveats=(
            _NO_CLASS,
            _ONE_CHANNEL,
            Caveat(
                lambda c: not _tags_fit(c),
                "one tag, or one for the average and one per class, are needed",
                code="CT504",
            ),
        ),
    ),
    Rule(
        "NegLoss",
        Section.AUX_OP,
        (_TAG, *SHOWN),
        (T("monai_auxops.NegLoss", tag=A("tag"), **_given("do_summary", "do_print")),),
        Outcome.EXACT,
        "Minus the loss component; whether Clara added the model's regularisation is not documented.",
        "The negative loss: larger is better, so it can select the best model.",
        creates=[A("tag")],
        accumulates=True,
        caveats=(
            Caveat(
                lambda c: c.facts.scanning,
                "validation uses a scanning window: the loss is computed on the stitched output",
                code="CT515",
            ),
        ),
        in_validation={"loss_function": Expr("@loss")},
    ),
    Rule(
        "ReduceMeanMasked",
        Section.AUX_OP,
        (_TAG, _MASK, Param("axis", None), *SHOWN),
        (
            T(
                "monai_auxops.ReduceMeanMasked",
                tag=A("tag"),
                **_given("mask_tag", "axis", "do_summary", "do_print"),
                final_activation=F(lambda c: c.facts.activation or OMIT),
            ),
        ),
        Outcome.EQUIVALENT,
        "How Clara derived the mask is not documented: finite predictions where the label is annotated.",
        "Mean of the predictions over valid entries, and the mask.",
        creates=_TAG_AND_MASK,
        accumulates=True,
    ),
)
