"""The rows against what they point to: MONAI's and PyTorch's signatures, and this package's aux-ops and metrics."""

import inspect
from pydoc import locate

import monai.bundle.config_item
import pytest

import monai_auxops
from monai_auxops import metrics, ops
from monai_auxops.migrate.conversion.binding import read_by
from monai_auxops.migrate.conversion.convert import built, facts_of
from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules import OMIT, REQUIRED, RULES, Call, RuleBook, Section, kinds
from monai_auxops.migrate.rules.facts import NAMES, Facts
from monai_auxops.migrate.rules.values import arguments_read, evaluate, reads_condition

LOCATOR = monai.bundle.config_item.ComponentLocator()
SAMPLES = {kinds.integer: 2, kinds.number: 1.0, kinds.integers: [8, 8, 8], kinds.numbers: [1.0], kinds.text: "image"}
SAMPLES |= {kinds.texts: ["image"], kinds.flag: True, kinds.anything: "x"}
FACTS = Facts(
    final_activation="softmax", out_channels=3, known_label_format=(1, 3), patch_size=(8, 8, 8), output_dir="eval"
)


def sample(param):
    return SAMPLES.get(param.kind, "image") if param.default is REQUIRED else param.default


def call_of(rule, **given):
    args = {param.name: sample(param) for param in rule.params}
    return Call(args | given, frozenset(args) | set(given), FACTS)


def find(name):
    module = LOCATOR.get_component_module_name(name)
    return locate(f"{module}.{name}" if isinstance(module, str) else name)


def variants(rule):
    """Yield the row's call, and one for each flag turned over, so that every target is built."""
    yield call_of(rule)
    for param in rule.params:
        if isinstance(param.default, bool):
            yield call_of(rule, **{param.name: not param.default})


IDS = [f"{rule.section.value}-{rule.name}" for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_targets_take_the_arguments(rule):
    for call in variants(rule):
        for item in built(rule, call):
            target = find(item.target)
            assert target is not None, item.target
            signature = inspect.signature(target)
            args = {name: value for name, value in item.args.items() if not name.startswith("_")}
            if item.slot not in ("dataset", "dataloader"):
                signature.bind_partial(**args)
                assert {*args} <= {*signature.parameters, *getattr(target, "keywords", args)}, item.target


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_every_argument_has_a_fate(rule):
    decides = [arguments_read(value) for value in rule.facts.values()]
    decides += [reads_condition(caveat.when) for caveat in rule.caveats]
    known = read_by(rule).union(*decides)
    for param in rule.params if rule.outcome is not Outcome.MANUAL else ():
        assert param.name in known or param.note, f"{rule.name}.{param.name}"


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_functions_name_arguments_that_the_row_has(rule):
    values = [*rule.facts.values(), rule.creates, *rule.in_validation.values(), *(c.text for c in rule.caveats)]
    decides = [*map(arguments_read, values), *(reads_condition(caveat.when) for caveat in rule.caveats)]
    assert read_by(rule).union(*decides) <= {param.name for param in rule.params}


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_rows_say_what_and_why(rule):
    assert rule.why.endswith(".")
    assert rule.clara.endswith(".")
    assert set(rule.facts) <= NAMES
    assert rule.targets or rule.outcome in (Outcome.MANUAL, Outcome.EQUIVALENT)


def clara_arguments(op):
    return {
        name: OMIT if param.default is inspect.Parameter.empty else param.default
        for name, param in inspect.signature(op).parameters.items()
        if param.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    }


CLARA = "Source: Clara Train"  # an op of Clara's says so; one that joined since has no row
AUX_OPS = sorted(name for name in ops.__all__[1:] if CLARA in (getattr(ops, name).__doc__ or ""))


@pytest.mark.parametrize("name", AUX_OPS)
def test_aux_op_rows_have_the_arguments_of_the_aux_ops(name):
    rule = RuleBook().find(Section.AUX_OP, name)
    assert rule is not None, f"rules/aux_ops.py has no row for {name}"
    row = {param.name: OMIT if param.default is REQUIRED else param.default for param in rule.params}
    assert row == clara_arguments(getattr(monai_auxops, name))


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.section is Section.METRIC], ids=lambda rule: rule.name)
def test_metric_rows_have_the_arguments_of_the_metrics(rule):
    taken = clara_arguments(getattr(metrics, rule.name))
    assert {param.name for param in rule.params} == set(taken)


def test_older_names_lead_to_the_row():
    book = RuleBook()
    assert book.find(Section.TRANSFORM, "transforms.LoadNifty").name == "LoadNifti"
    assert book.find(Section.METRIC, "MetricAverage").name == "ComputeAverage"
    assert book.find(Section.LOSS, "LoadNifti") is None
    assert book.sections_of("LoadNifti") == [Section.TRANSFORM]


def test_values_of_rows():
    call = call_of(RULES[0])
    assert evaluate({"a": [1, OMIT], "b": OMIT}, call) == {"a": [1, OMIT]}
    assert facts_of([], FACTS) == FACTS


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (kinds.flag, "false"),
        (kinds.number, "many"),
        (kinds.number, True),
        (kinds.integer, 1.5),
        (kinds.integer, float("inf")),
        (kinds.text, 3),
        (kinds.texts, [1]),
        (kinds.integers, ["a" * 60]),
        (kinds.one_of("a", "b"), "c"),
    ],
)
def test_kinds_refuse(kind, value):
    with pytest.raises(ValueError, match="expected"):
        kind(value)
