"""What report, README and table say is no more than what is true, and the next command reads the MMAR as this one."""

import shlex

import pytest

from monai_auxops.migrate.clara4.adapt import adapt
from monai_auxops.migrate.clara4.explain import explain, names, row, text
from monai_auxops.migrate.command import run
from monai_auxops.migrate.options import MigrateOptions
from tests.migrate.clara4.conftest import EVALUATE40, TRAIN40, component

V40, V41 = (0, 5, 3), (0, 8, 1)


def readme_of(mmar4, name="train.json"):
    mmar4.bundle(name)
    return (mmar4.folder.parent / "bundle" / "docs" / "README.md").read_text()


def test_the_readme_promises_equal_losses_only_where_nothing_differs(mmar4):
    assert "gives the same losses" in readme_of(mmar4)
    mmar4.set("train.loss", component("DiceFocalLoss"))
    assert "may change the losses" in readme_of(mmar4)
    mmar4.set("train.loss", {"path": "my.Loss"})
    assert "does not run yet" in readme_of(mmar4)


def test_the_readme_of_an_evaluation_promises_no_training(mmar4):
    mmar4.train, mmar4.files["config_validation.json"] = None, {**EVALUATE40, "model": TRAIN40["train"]["model"]}
    assert "It runs with today's MONAI and gives the same metrics" in readme_of(mmar4, "evaluate.json")


def test_the_readme_names_the_files_that_there_are(mmar4):
    mmar4.set("validate", None)
    assert "evaluate.json" not in readme_of(mmar4)


def test_the_next_command_repeats_the_options(mmar4):
    report, _ = mmar4.run(settings=("epochs=3",), trust_code=True, aux_ops=True)
    flags = "--set epochs=3 --trust-code --aux-ops"
    assert report["next"] == [f"monai-auxops migrate {mmar4.folder} {flags} -o my_bundle"]


def test_the_command_for_one_of_several_files_names_the_evaluation(mmar4):
    mmar4.files |= {"trn_a.json": TRAIN40, "trn_b.json": TRAIN40, "config_validation.json": EVALUATE40}
    mmar4.train = None
    commands = [shlex.split(command) for command in mmar4.run()[0]["next"]]
    config = mmar4.folder / "config"
    assert [command[3:5] for command in commands] == [["--evaluation", str(config / "config_validation.json")]] * 2
    report = run(MigrateOptions(config / "trn_a.json", evaluation=config / "config_validation.json"))[0]
    assert "CT120" not in report
    assert "CT120" in run(MigrateOptions(config / "trn_a.json"))[0]


@pytest.mark.parametrize("name", ["UNet", "DiceLoss"])
def test_an_argument_that_a_class_never_had_is_unknown(name):
    found = adapt(name, {"device": "cuda", "verbose": True}, V41)
    assert set(found.unknown) == {"device", "verbose"}


def test_a_reduction_that_is_gone_is_approximate():
    assert adapt("ContrastiveLoss", {"reduction": "mean"}, V41).outcome.value == "exact"
    assert adapt("ContrastiveLoss", {"reduction": "sum"}, V41).outcome.value == "approximate"


def test_an_argument_of_an_old_reader_keeps_its_meaning():
    assert adapt("LoadNiftid", {"keys": "image", "overwriting_keys": True}, V40).args["overwriting"] is True


def test_the_table_names_the_worse_dialect():
    assert row("DiceFocalLoss")["reason"].endswith("4.0: approximate.")
    assert "approximate where given" in row("ModelCheckpoint")["reason"]


def test_arguments_without_effect_are_told_once():
    assert "StepLR" not in names()
    assert text().count("verbose") == 1
    assert "verbose left out" in str(explain("StepLR"))
