"""Validation metrics: the same names and arguments in this package, in the evaluator's metric slots."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import OMIT, A, Call, F, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import LABEL_FIELD, SHOWN
from monai_auxops.migrate.rules.kinds import anything, flag, integer, integers, number, one_of, optional, text
from monai_auxops.migrate.rules.paths import escapes, output_path

_NAME = Param("name", kind=text)
_FIELD = Param("field", kind=text, also=("applied_key",))
_LABEL = Param("label_field", "label", text, also=("label_key",))
_SHARED = (
    Param("report_path", None, optional(text)),
    *SHOWN,
    Param("is_key_metric", False, flag, also=("stopping_metric",)),
)
_AVERAGE = Param("auc_average", "macro", one_of("macro", "micro", "weighted", "samples", "none"))


def _given(name: str) -> F:
    return F(lambda c: c[name] if name in c.given else OMIT, uses=(name,))


def _field(call: Call) -> str:
    """TLT 1.x read a tag as `val_<tag>` in validation."""
    field: str = call["field"]
    older = field.removeprefix("val_")
    return older if field not in call.facts.tags and older in call.facts.tags else field


def _report(call: Call) -> Any:
    return OMIT if call["report_path"] is None else output_path(call["report_path"], call.facts)


_COMMON: Final[dict[str, Any]] = {
    "report_path": F(_report, uses=("report_path",)),
    "do_summary": _given("do_summary"),
    "do_print": _given("do_print"),
    "is_key_metric": _given("is_key_metric"),
}

_ESCAPES: Final = (escapes("report_path"),)

METRICS: Final = (
    Rule(
        "ComputeAverage",
        Section.METRIC,
        (_NAME, _FIELD, Param("invalid_value", OMIT, anything), Param("negate_value", False, flag), *_SHARED),
        (
            T(
                "monai_auxops.ComputeAverage",
                name=A("name"),
                field=F(_field, uses=("field",)),
                invalid_value=A("invalid_value"),
                negate_value=_given("negate_value"),
                **_COMMON,
            ),
        ),
        Outcome.EXACT,
        "Mean of an aux-op's output over the validation items; NaN entries are skipped.",
        "Mean of a scalar field over the validation items.",
        caveats=_ESCAPES,
        also=("MetricAverage",),
    ),
    Rule(
        "ComputeAverageDice",
        Section.METRIC,
        (
            _NAME,
            _FIELD,
            _LABEL,
            Param("is_2d", False, flag),
            Param("remove_bg", True, flag),
            Param("logit_thresh", 0.5, number),
            Param("is_one_hot_targets", False, flag),
            *_SHARED,
        ),
        (
            T(
                "monai_auxops.ComputeAverageDice",
                name=A("name"),
                field=F(_field, uses=("field",)),
                label_field=A("label_field"),
                is_2d=_given("is_2d"),
                remove_bg=_given("remove_bg"),
                logit_thresh=_given("logit_thresh"),
                is_one_hot_targets=_given("is_one_hot_targets"),
                **_COMMON,
            ),
        ),
        Outcome.EQUIVALENT,
        "Dice of each whole volume, then the mean of the valid ones; Clara's handling of classes is inferred.",
        "Dice of whole volumes, averaged over the items.",
        caveats=_ESCAPES,
        also=("MetricAverageFromArrayDice",),
    ),
    Rule(
        "ComputeAUC",
        Section.METRIC,
        (
            _NAME,
            _FIELD,
            LABEL_FIELD,
            _AVERAGE,
            Param("class_index", None, optional(integer)),
            Param("include_list", None, optional(integers)),
            *_SHARED,
        ),
        (
            T(
                "monai_auxops.ComputeAUC",
                name=A("name"),
                field=F(_field, uses=("field",)),
                label_field=A("label_field"),
                auc_average=_given("auc_average"),
                class_index=_given("class_index"),
                include_list=_given("include_list"),
                **_COMMON,
            ),
        ),
        Outcome.EXACT,
        "ROC AUC over all items.",
        "Area under the ROC curve of one class or averaged over classes.",
        caveats=_ESCAPES,
    ),
    Rule(
        "ComputeMulticlassAverage",
        Section.METRIC,
        (_NAME, _FIELD, LABEL_FIELD, _AVERAGE, Param("label_index", None, optional(integer)), *_SHARED),
        (
            T(
                "monai_auxops.ComputeMulticlassAverage",
                name=A("name"),
                field=F(_field, uses=("field",)),
                label_field=A("label_field"),
                auc_average=_given("auc_average"),
                label_index=_given("label_index"),
                label_format=F(lambda c: list(c.facts.label_format) or OMIT),
                **_COMMON,
            ),
        ),
        Outcome.APPROXIMATE,
        "Clara documents no more than the name: the class wise average of the labels of label_format.",
        "An average over the labels of a multi-class classification.",
        caveats=_ESCAPES,
    ),
)
