"""The public surface: names, Clara's arguments in Clara's order, extensions keyword-only."""

import doctest
import importlib.metadata
import inspect
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

import monai_auxops
from monai_auxops import AuxiliaryOperation, ComputeDice, DiceMaskedOutput, metrics, ops
from monai_auxops.ops.dice_options import DICE_KEYWORDS, DiceKeywords, DiceOptions
from monai_auxops.ops.options import OP_OPTIONS, OpOptions

REQUIRED = inspect.Parameter.empty
SHOWN = [("do_summary", True), ("do_print", True)]
DICE = [
    ("data_format", "channels_first"),
    ("skip_background", False),
    ("is_onehot_targets", False),
    ("is_independent_predictions", False),
    ("jaccard", False),
    ("threshold", 0.5),
    *SHOWN,
]
OPTIONS = {"stage": "raw", "output_transform": None, "report_path": None, "case_key": None}
LEFT_OUT = {"ignore_index": None, "mask_key": None, "num_classes": None}
DICE_EXTENSIONS = {
    "final_activation": None,
    "class_names": None,
    "statistics": (),
    **LEFT_OUT,
    "empty_value": math.nan,
    **OPTIONS,
}
REPORT = [("report_path", None), *SHOWN, ("is_key_metric", False)]
AUC = [("name", REQUIRED), ("field", REQUIRED), ("label_field", REQUIRED), ("auc_average", "macro")]

# Clara's arguments, then the keyword-only extensions.
SIGNATURES = {
    "ComputeAccuracy": (
        [("tag", REQUIRED), ("use_sigmoid", False), *SHOWN],
        {"exclusive": False, "final_activation": None, **LEFT_OUT, **OPTIONS},
    ),
    "ComputeBinaryPreds": (
        [("binary_preds_name", "binary_preds"), ("binary_labels_name", "binary_labels")],
        {"label_format": None, **OPTIONS},
    ),
    "ComputeDice": (
        [("tag", REQUIRED), ("mask_tag", None), *DICE],
        DICE_EXTENSIONS,
    ),
    "ComputeMulticlassAccuracy": (
        [
            ("tag", REQUIRED),
            ("use_sigmoid_for_binary", True),
            ("use_softmax_for_multiclass", True),
            ("use_sigmoid_for_accuracy", False),
            *SHOWN,
        ],
        {"label_format": None, **OPTIONS},
    ),
    "ComputeMulticlassPreds": (
        [
            ("preds_name", "preds"),
            ("labels_name", "labels"),
            ("use_sigmoid_for_binary", True),
            ("use_softmax_for_multiclass", True),
        ],
        {"label_format": None, "labels_onehot": False, **OPTIONS},
    ),
    "DiceMaskedOutput": ([("tags", REQUIRED), *DICE], DICE_EXTENSIONS),
    "NegLoss": ([("tag", REQUIRED), *SHOWN], {"loss_function": None, **OPTIONS}),
    "ReduceMeanMasked": (
        [("tag", REQUIRED), ("mask_tag", None), ("axis", None), *SHOWN],
        {"final_activation": None, **OPTIONS},
    ),
    "ComputeAverage": (
        [("name", REQUIRED), ("field", REQUIRED), ("invalid_value", math.nan), *REPORT, ("negate_value", False)],
        {"case_key": None},
    ),
    "ComputeAverageDice": (
        [
            ("name", REQUIRED),
            ("field", REQUIRED),
            ("label_field", "label"),
            ("is_2d", False),
            ("remove_bg", True),
            ("logit_thresh", 0.5),
            ("is_one_hot_targets", False),
            *REPORT,
        ],
        {"case_key": None},
    ),
    "ComputeAUC": ([*AUC, ("class_index", None), ("include_list", None), *REPORT], {"case_key": None}),
    "ComputeMulticlassAverage": ([*AUC, ("label_index", None), *REPORT], {"label_format": None, "case_key": None}),
}
PUBLIC = [name for name in monai_auxops.__all__ if not name.startswith("__")]


def parameters(function):
    return [p for p in inspect.signature(function).parameters.values() if p.name != "self"]


def same_default(one, other):
    return one is other or one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


def test_the_table_is_of_clara_train_ops_and_metrics():
    """An op that Clara had not is none of its names."""
    assert {*SIGNATURES} <= {*ops.__all__, *metrics.__all__}
    assert len(SIGNATURES) == 8 + 4


@pytest.mark.parametrize("name", SIGNATURES)
def test_claras_arguments_order_and_defaults(name):
    expected = SIGNATURES[name][0]
    came = [(p.name, p.default) for p in parameters(getattr(monai_auxops, name)) if p.kind == p.POSITIONAL_OR_KEYWORD]
    assert [argument for argument, _ in came] == [argument for argument, _ in expected]
    for (argument, default), (_, wanted) in zip(came, expected, strict=True):
        assert same_default(default, wanted), argument


@pytest.mark.parametrize("name", SIGNATURES)
def test_extensions_are_keyword_only(name):
    cls = getattr(monai_auxops, name)
    came = {p.name: p.default for p in parameters(cls) if p.kind == p.KEYWORD_ONLY}
    if any(p.kind == p.VAR_KEYWORD for p in parameters(cls)):
        came |= cls.keywords
    assert came.keys() == SIGNATURES[name][1].keys()
    assert all(same_default(came[key], default) for key, default in SIGNATURES[name][1].items())
    assert not any(p.kind == p.VAR_POSITIONAL for p in parameters(cls))


def test_typed_keywords_are_those_that_an_op_takes():
    """What a type checker knows, and what the constructor takes."""
    assert {*OpOptions.__annotations__} == {*AuxiliaryOperation.keywords}
    assert {*DiceKeywords.__annotations__} == {*ComputeDice.keywords} == {*DiceMaskedOutput.keywords}


@pytest.mark.parametrize("name", [name for name in ops.__all__ if name in SIGNATURES])
def test_an_unknown_option_names_the_op_and_the_closest_one(name):
    required = {key: "mine" for key, default in SIGNATURES[name][0] if default is REQUIRED}
    with pytest.raises(TypeError, match=rf"{name}\(.*\): unknown option 'stagge'; did you mean 'stage'\?"):
        getattr(monai_auxops, name)(**required, stagge="raw")
    with pytest.raises(TypeError, match=rf"{name}\(.*\): unknown option 'xyz'; expected one of .*case_key"):
        getattr(monai_auxops, name)(**required, xyz=1)


def test_claras_own_arguments_are_suggested_as_well():
    with pytest.raises(TypeError, match=r"unknown option 'treshold'; did you mean 'threshold'\?"):
        ComputeDice("dice", treshold=0.3)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("__init__", ["do_summary", "do_print", "options"]),
        ("get_output_tensors", ["predictions", "label", "build_ctx"]),
        ("build", ["build_ctx"]),
        ("__call__", ["y_pred", "y", "loss", "build_ctx"]),
        ("aggregate", ["sync", "group"]),
        ("reset", []),
        ("attach", ["engine", "name", "output_transform", "group"]),
        ("detach", []),
    ],
)
def test_the_contract_of_an_aux_op(function, expected):
    assert [p.name for p in parameters(getattr(monai_auxops.AuxiliaryOperation, function))] == expected


@pytest.mark.parametrize("name", ["ComputeMulticlassAccuracy", "ComputeMulticlassPreds"])
def test_the_multiclass_ops_take_an_optional_context(name):
    last = parameters(getattr(monai_auxops, name).get_output_tensors)
    assert [(p.name, p.default) for p in last[1:]] == [("labels", REQUIRED), ("build_ctx", None)]


# --- every op has its file, its test and its example ------------------------------------------------------------------

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ops.__all__)
def test_every_op_has_a_file_and_a_test_of_its_own(name):
    module = inspect.getmodule(getattr(ops, name))
    test = "auxiliary_operation" if name == "AuxiliaryOperation" else Path(module.__file__).stem
    text = (HERE / "ops" / f"test_{test}.py").read_text(encoding="utf-8")
    assert f"{name}(" in text
    own = [other for other in ops.__all__ if getattr(ops, other).__module__ == module.__name__]
    assert own == [name]


@pytest.mark.parametrize("name", metrics.__all__)
def test_every_metric_has_a_test(name):
    assert any(f"{name}(" in path.read_text(encoding="utf-8") for path in (HERE / "metrics").glob("test_*.py"))


@pytest.mark.parametrize("name", [*ops.__all__, *metrics.__all__, "BuildContext"])
def test_every_class_has_a_summary_an_example_and_its_source(name):
    text = inspect.getdoc(getattr(monai_auxops, name))
    assert doctest.DocTestParser().get_examples(text)
    assert "Source: Clara Train 3.1" in text or name not in SIGNATURES


@pytest.mark.parametrize("name", sorted({*SIGNATURES, *ops.__all__}))
def test_every_argument_is_described(name):
    cls = getattr(monai_auxops, name)
    text = inspect.getdoc(cls)
    named = [p.name for p in parameters(cls) if p.kind != p.VAR_KEYWORD]
    assert [argument for argument in named if f"\n    {argument}: " not in text] == []


def test_every_keyword_option_is_described():
    where = {OpOptions: OP_OPTIONS, DiceOptions: DICE_KEYWORDS.keys() - OP_OPTIONS.keys()}
    for cls, options in where.items():
        text = inspect.getdoc(cls) + inspect.getdoc(cls.__mro__[1])
        assert [name for name in options if f"\n    {name}: " not in text] == []


# --- names ------------------------------------------------------------------------------------------------------------


def test_dir_lists_the_public_names():
    assert {*monai_auxops.__all__} <= {*dir(monai_auxops)}
    assert sorted(dir(monai_auxops)) == dir(monai_auxops)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_there(name):
    assert getattr(monai_auxops, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'monai_auxops' has no attribute 'ComputeDcie'"):
        monai_auxops.ComputeDcie  # noqa: B018


def test_names_are_loaded_on_first_use():
    code = (
        "import sys, monai_auxops\n"
        "assert not {'torch', 'monai', 'ignite', 'numpy'} & set(sys.modules), 'loaded by the import'\n"
        "assert 'ComputeDice' in dir(monai_auxops) and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_no_name_clashes_with_one_of_monai():
    import monai

    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "monai" and module is not None]
    assert len(modules) > 100
    assert monai.__name__ == "monai"
    assert [name for name in PUBLIC for module in modules if name in vars(module)] == []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (name, {argument: "mine" for argument, default in SIGNATURES[name][0] if default is REQUIRED})
        for name in SIGNATURES
    ],
    ids=SIGNATURES,
)
def test_monais_bundle_parser_finds_short_names(name, arguments):
    parser = ConfigParser({"imports": ["$import monai_auxops"], "op": {"_target_": name, **arguments}})
    parser.get_parsed_content("imports")
    assert type(parser.get_parsed_content("op")) is getattr(monai_auxops, name)


def test_a_bundle_finds_short_names_in_a_fresh_process():
    """Importing the package must be enough: MONAI looks for short names among the modules that are loaded."""
    code = (
        "from monai.bundle import ConfigParser\n"
        "parser = ConfigParser({'imports': ['$import monai_auxops'], 'op': {'_target_': 'ComputeDice', 'tag': 'd'}})\n"
        "parser.get_parsed_content('imports')\n"
        "assert repr(parser.get_parsed_content('op')) == \"ComputeDice(tag='d')\"\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_arguments_are_kept_under_their_names():
    """What repr, the migrator and a user read back."""
    for name, (clara, extensions) in SIGNATURES.items():
        cls = getattr(monai_auxops, name)
        op = cls(**{argument: "mine" for argument, default in clara if default is REQUIRED})
        for argument, default in [*clara, *extensions.items()]:
            wanted = "mine" if default is REQUIRED else default
            value = getattr(op, argument)
            assert same_default(value, wanted) or value == (wanted,), (name, argument)


def test_the_version_is_the_distributions():
    assert importlib.metadata.version("monai-auxops") == monai_auxops.__version__


def test_ops_work_on_what_a_training_loop_has():
    """The three lines of a plain loop, for each accumulating op, as in MONAI's DiceMetric."""
    for name in ("ComputeDice", "DiceMaskedOutput", "ComputeAccuracy", "ReduceMeanMasked"):
        op = getattr(monai_auxops, name)("value")
        op(torch.rand(2, 3, 4, 4), torch.randint(0, 3, (2, 1, 4, 4)))
        assert 0 <= op.aggregate()["value"] <= 1
        op.reset()
