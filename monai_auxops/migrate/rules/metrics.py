"""Validation metrics: the same names and arguments in this package, in the evaluator's metric slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import Param, Rule, Section, T
from monai_auxops.migrate.rules.common import LABEL_FIELD, SHOWN
from monai_auxops.migrate.rules.kinds import anything, flag, integer, integers, number, one_of, optional, text
from monai_auxops.migrate.rules.paths import escapes, output_path
from monai_auxops.migrate.rules.values import OMIT, A, F, Given

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts

_NAME = Param("name", kind=text)
_FIELD = Param("field", kind=text, also=("applied_key",))
_LABEL = Param("label_field", "label", text, also=("label_key",))
_SHARED = (
    Param("report_path", None, optional(text)),
    *SHOWN,
    Param("is_key_metric", False, flag, also=("stopping_metric",)),
)
_AVERAGE = Param("auc_average", "macro", one_of("macro", "micro", "weighted", "samples", "none"))


def _field(field: str, facts: Facts) -> str:
    """TLT 1.x read a tag as ``val_<tag>`` in validation."""
    older = field.removeprefix("val_")
    return older if field not in facts.tags and older in facts.tags else field


def _report(report_path: str | None, facts: Facts) -> Any:
    return OMIT if report_path is None else output_path(report_path, facts)


_COMMON: Final[dict[str, Any]] = {
    "report_path": F(_report),
    "do_summary": Given("do_summary"),
    "do_print": Given("do_print"),
    "is_key_metric": Given("is_key_metric"),
}

_ESCAPES: Final = (escapes("report_path"),)

METRICS: Final = (
    Rule(
        name="ComputeAverage",
        section=Section.METRIC,
        params=(_NAME, _FIELD, Param("invalid_value", OMIT, anything), Param("negate_value", False, flag), *_SHARED),
        targets=(
            T(
                "monai_auxops.ComputeAverage",
                name=A("name"),
                field=F(_field),
                invalid_value=A("invalid_value"),
                negate_value=Given("negate_value"),
                **_COMMON,
            ),
        ),
        outcome=Outcome.EXACT,
        why="Mean of an aux-op's output over the validation items; NaN entries are skipped.",
        clara="Mean of a scalar field over the validation items.",
        caveats=_ESCAPES,
        also=("MetricAverage",),
    ),
    Rule(
        name="ComputeAverageDice",
        section=Section.METRIC,
        params=(
            _NAME,
            _FIELD,
            _LABEL,
            Param("is_2d", False, flag),
            Param("remove_bg", True, flag),
            Param("logit_thresh", 0.5, number),
            Param("is_one_hot_targets", False, flag),
            *_SHARED,
        ),
        targets=(
            T(
                "monai_auxops.ComputeAverageDice",
                name=A("name"),
                field=F(_field),
                label_field=A("label_field"),
                is_2d=Given("is_2d"),
                remove_bg=Given("remove_bg"),
                logit_thresh=Given("logit_thresh"),
                is_one_hot_targets=Given("is_one_hot_targets"),
                **_COMMON,
            ),
        ),
        outcome=Outcome.EQUIVALENT,
        why="Dice of each whole volume, then the mean of the valid ones; Clara's handling of classes is inferred.",
        clara="Dice of whole volumes, averaged over the items.",
        caveats=_ESCAPES,
        also=("MetricAverageFromArrayDice",),
    ),
    Rule(
        name="ComputeAUC",
        section=Section.METRIC,
        params=(
            _NAME,
            _FIELD,
            LABEL_FIELD,
            _AVERAGE,
            Param("class_index", None, optional(integer)),
            Param("include_list", None, optional(integers)),
            *_SHARED,
        ),
        targets=(
            T(
                "monai_auxops.ComputeAUC",
                name=A("name"),
                field=F(_field),
                label_field=A("label_field"),
                auc_average=Given("auc_average"),
                class_index=Given("class_index"),
                include_list=Given("include_list"),
                **_COMMON,
            ),
        ),
        outcome=Outcome.EXACT,
        why="ROC AUC over all items.",
        clara="Area under the ROC curve of one class or averaged over classes.",
        caveats=_ESCAPES,
    ),
    Rule(
        name="ComputeMulticlassAverage",
        section=Section.METRIC,
        params=(_NAME, _FIELD, LABEL_FIELD, _AVERAGE, Param("label_index", None, optional(integer)), *_SHARED),
        targets=(
            T(
                "monai_auxops.ComputeMulticlassAverage",
                name=A("name"),
                field=F(_field),
                label_field=A("label_field"),
                auc_average=Given("auc_average"),
                label_index=Given("label_index"),
                label_format=F(lambda facts: list(facts.known_label_format) or OMIT),
                **_COMMON,
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="Clara documents only the name; read as the class-wise average of the labels of label_format.",
        clara="An average over the labels of a multi-class classification.",
        caveats=_ESCAPES,
    ),
)
