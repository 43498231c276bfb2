"""``attach --report``: handlers replaced in place, and the configuration that runs."""

import inspect
import shlex

import pytest
from monai.bundle import ConfigParser

import monai_auxops
from monai_auxops.attach.command import AttachOptions, attach
from monai_auxops.attach.executed import executed_config
from tests.attach.conftest import ARGMAX, training

STATS = {"_target_": "StatsHandler", "output_transform": "$monai.handlers.from_engine('loss', first=True)"}
BOARD = {"_target_": "TensorBoardStatsHandler", "log_dir": "@output_dir", "iteration_log": False}
VALIDATION = {"_target_": "ValidationHandler", "interval": 1, "validator": "@validate#evaluator"}


def reported(bundle, train_handlers, val_handlers=(), more=None):
    """Attach a report, and return the merged configuration."""
    config = training() | {"output_dir": "eval"}
    config["train"]["trainer"]["train_handlers"] = train_handlers
    config["validate"]["evaluator"]["val_handlers"] = list(val_handlers) or None
    bundle.write("train.json", config | (more or {}))
    attach(AttachOptions(bundle.folder, report=True))
    files = [str(bundle.configs / name) for name in ("train.json", "aux_ops.json")]
    parser = ConfigParser(ConfigParser.load_config_files(files))
    parser.parse(True)
    return parser


def test_handlers_are_exchanged_and_none_is_appended(bundle):
    more = {"handlers": [VALIDATION, STATS, BOARD]}
    parser = reported(bundle, "@handlers", [STATS, BOARD], more)
    handlers = parser["handlers"]
    assert parser["validate"]["evaluator"]["additional_metrics"]["val_dice"]["report_path"] == "@output_dir"
    assert [one["_target_"].rpartition(".")[2] for one in handlers] == [
        "ValidationHandler",
        "AuxStatsHandler",
        "AuxTensorBoardStatsHandler",
    ]
    assert handlers[2]["log_dir"] == "@output_dir"
    (report,) = handlers[2]["also"]
    assert report["class_names"] == ["background", "liver", "kidney"]
    assert report["log_dir"] == "@output_dir"
    (agreement,) = parser["validate"]["evaluator"]["val_handlers"][1]["also"]
    assert agreement["pairs"] == {"val_mean_dice": "val_dice"}


@pytest.mark.parametrize("handlers", [None, "$None", [VALIDATION], "$[@validation]", "@validation_list"])
def test_without_a_handler_to_exchange_the_report_is_appended(bundle, handlers):
    more = {"validation": None, "validation_list": [VALIDATION]}
    parser = reported(bundle, handlers, (), more)
    slot = parser["train"]["trainer"]["train_handlers"]
    slot = parser["validation_list"] if slot == "@validation_list" else slot
    last = parser["aux_ops_train_handlers"] if isinstance(slot, str) else slot
    board, report = last[-2:]
    assert report["_target_"] == "monai_auxops.AuxReportHandler"
    assert board == {"_target_": "monai_auxops.AuxTensorBoardStatsHandler", "log_dir": "@output_dir"}
    assert "monai_auxops" not in str(last[:-2])
    added = parser["validate"]["evaluator"]["val_handlers"] or []
    ours = ["monai_auxops.AuxTensorBoardStatsHandler", "monai_auxops.AuxAgreementHandler"]
    assert [one["_target_"] for one in added] == (ours if report["evaluator"] else [])  # it may not be run


def test_every_argument_is_the_handlers(bundle):
    parser = reported(bundle, [VALIDATION, STATS])
    arguments = {key for key in parser["train#trainer#train_handlers#1#also#1"] if not key.startswith("_")}
    assert arguments <= set(inspect.signature(monai_auxops.AuxReportHandler).parameters)


def test_handlers_in_a_macro(bundle):
    more = {"template": [VALIDATION, BOARD]}
    parser = reported(bundle, "%template", (), more)
    assert parser["train#trainer#train_handlers#1#_target_"] == "monai_auxops.AuxTensorBoardStatsHandler"
    assert parser["template#1#_target_"] == "TensorBoardStatsHandler"


def test_the_cases_of_an_evaluation(bundle, monkeypatch):
    monkeypatch.chdir(bundle.folder)
    saver = {"_target_": "MetricsSaver", "save_dir": "cases"}
    override = {"validate#postprocessing": ARGMAX, "run": ["$@validate#evaluator.run()"]}
    override["validate#evaluator#val_handlers"] = [STATS, saver]
    bundle.write("evaluate.json", override)
    attach(AttachOptions(bundle.folder, report=True))
    block = bundle.block("aux_ops_evaluate.json")
    assert block["validate#evaluator#additional_metrics"]["val_dice"]["report_path"] == "cases"
    assert not (bundle.folder / "cases").exists()  # made by the evaluation, not by attach


def test_the_configuration_that_runs(bundle):
    bundle.write("a.json", {"epochs": 300, "x": {"y": 1}}).write("b.json", {"x#y": 2})
    names = [str(bundle.configs / name) for name in ("a.json", "b.json")]
    arguments = ["run", "--config_file", repr(names), "--epochs", "2", "--run_id=training", "--x#z=3"]
    assert executed_config([], arguments) == {"epochs": 2, "x": {"y": 2, "z": 3}}
    assert executed_config(names, []) == {"epochs": 300, "x": {"y": 2}}
    assert executed_config(["nowhere.json"], ["--epochs=2"])["overrides"] == {"epochs": 2}


@pytest.mark.parametrize(
    ("handlers", "folder"),
    [
        ([VALIDATION], "my eval"),
        ([VALIDATION, {**BOARD, "log_dir": "$@bundle_root + '/tb'"}], "tb"),
        ([VALIDATION, {**BOARD, "log_dir": "$@bundle_root + '/all/run_' + @now"}], "all"),
    ],
)
def test_the_next_command_is_printed(bundle, handlers, folder):
    config = training() | {"bundle_root": ".", "output_dir": "$@bundle_root + '/my eval'"}
    config |= {"imports": ["$import torch", "$import time"], "now": "$time.strftime('%H%M%S')"}
    config["train"]["trainer"]["train_handlers"] = handlers
    bundle.write("train.json", config)
    said, _ = attach(AttachOptions(bundle.folder, report=True))
    assert f"  monai-auxops report {shlex.quote(folder)}\n" in said


def test_there_is_no_page_without_its_handler(bundle):
    bundle.write("train.json", training())
    said, _ = attach(AttachOptions(bundle.folder))
    assert "monai-auxops report" not in said


def test_a_training_without_validation_says_so_to_the_handler(bundle):
    config = training()
    config["train"]["trainer"]["train_handlers"] = [STATS]
    bundle.write("train.json", config)
    attach(AttachOptions(bundle.folder, report=True))
    parser = ConfigParser(
        ConfigParser.load_config_files([str(bundle.configs / n) for n in ("train.json", "aux_ops.json")])
    )
    assert parser["train#trainer#train_handlers#0#also#1#evaluator"] == []
