"""`migrate --check`: the golden bundles train two iterations and validate; what fails is named by its Clara path."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from monai_auxops.migrate.bundle import folder as bundle
from monai_auxops.migrate.command import MigrateOptions, run
from monai_auxops.migrate.conversion.read_project import read_project
from monai_auxops.migrate.rules import RuleBook
from monai_auxops.migrate.trial import child as check_run
from monai_auxops.migrate.trial import trial as check
from tests.migrate.conftest import GOLDEN, component

TRAINED = ["brats", "chest_xray", "png_lesion", "polyp", "view_classes", "tlt1"]
QUICK = ("png_lesion", "view_classes")


@pytest.mark.filterwarnings("ignore:cache_num is greater", "ignore:.*all binary predictions lie within 0 to 1")
@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in TRAINED]
)
def test_migrated_bundles_train(case, tmp_path):
    project = read_project(GOLDEN / case / "source", [], None, RuleBook())
    bundle.write(bundle.files(project), tmp_path / "bundle")
    (tmp_path / "spec.json").write_text(json.dumps(check._spec(project, [])))
    message = check_run.run(tmp_path)
    tags = [
        name
        for entry in project.train.at("train", "aux_ops", "metrics")
        if entry.rule.accumulates
        for name in entry.creates
    ]
    metrics = [entry.args["name"] for entry in project.train.at("validate", "metrics")]
    assert all(f"train_{tag} " in message for tag in tags)
    assert all(f"{name} " in message for name in metrics)
    assert "nan" not in message
    assert "an inference that wrote" in message


@pytest.fixture
def quick(monkeypatch):
    """Run the child in this process."""

    def inside(folder, spec):
        (folder / "spec.json").write_text(json.dumps(spec))
        try:
            return {"ok": True, "message": check_run.run(folder)}
        except check_run.StepError as error:
            return {"ok": False, "step": error.step, "error": str(error)}

    monkeypatch.setattr(check, "run_child", inside)


def checked(mmar, **options):
    report, code = run(MigrateOptions(mmar.write(), form="json", check=True, **options))
    return code, [item for item in json.loads(report)["diagnostics"] if item["code"] in ("CT705", "CT706")]


def test_a_bundle_of_generated_data(mmar, quick):
    code, found = checked(mmar)
    assert (code, found[0]["code"]) == (0, "CT706")
    assert "generated data: mean_dice" in found[0]["message"]


def test_the_real_data_where_it_is(mmar, quick):
    for name in ("a", "b"):
        values = np.zeros((40, 40, 40), np.float32) + (name == "b")
        mmar.write()
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), mmar.folder / f"{name}.nii.gz")
    mmar.files["environment.json"]["DATA_ROOT"] = str(mmar.folder)
    code, found = checked(mmar)
    assert (code, "the MMAR's own data" in found[0]["message"]) == (0, True)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("train.model.args.dropout_prob", 3.0, "train.model"),
        ("train.loss.args", {"is_onehot_targets": True}, ""),
        (
            "train.pre_transforms.3",
            component("RepeatChannel", fields="image", repeat_times=0),
            "train.pre_transforms[3]",
        ),
        ("train.optimizer", component("Adam", beta1=3.0), "train.optimizer"),
        ("train.aux_ops.0.args.threshold", "a", "train.aux_ops[0].args.threshold"),
    ],
)
def test_what_fails_has_its_clara_path(mmar, quick, path, value, where):
    mmar.set(path, value)
    code, found = checked(mmar)
    if path.endswith("threshold"):
        assert found[0]["code"] == "CT706"
        return
    assert (code, found[0]["code"], found[0]["path"]) == (1, "CT705", where)


def test_components_to_write_by_hand_are_not_imported(mmar, quick):
    mmar.set("train.loss", {"path": "my_losses.MyLoss"}).text("custom/my_losses.py", "raise SystemExit(3)")
    code, found = checked(mmar)
    assert (code, found[0]["message"]) == (1, "my_losses.MyLoss must be written by hand first")


TRUSTED = """
import torch


class MyLoss(torch.nn.Module):
    def forward(self, pred, label):
        return pred.mean() ** 2
"""


def test_trusted_code_is_used(mmar, quick):
    mmar.set("train.loss", {"path": "trusted_losses.MyLoss"}).text("custom/trusted_losses.py", TRUSTED)
    _, found = checked(mmar, trust_code=True)
    assert found[0]["code"] == "CT706"


def test_the_child_process(mmar):
    mmar.set("train.model.args.dropout_prob", 3.0)
    project = mmar.read()
    assert check.check_project(project, trust_code=False) is True
    assert [item.where.path for item in project.log.items if item.code == "CT705"] == ["train.model"]


def test_the_child_that_gives_no_answer(tmp_path, monkeypatch):
    assert check.run_child(tmp_path, {})["ok"] is False
    monkeypatch.setattr(check, "TIMEOUT", 0.01)
    assert "took more than" in check.run_child(tmp_path, {})["error"]


def test_nothing_to_check(mmar):
    mmar.text("config/broken.json", "{")
    project = mmar.read()
    assert check.check_project(project, trust_code=False) is False
    project.train = None
    assert check.origins(project) == {}
    assert check._file(project) == "mmar"


def test_the_child_prints_one_line(mmar, tmp_path, capsys):
    project = mmar.read()
    bundle.write(bundle.files(project), tmp_path / "bundle")
    (tmp_path / "spec.json").write_text(json.dumps(check._spec(project, [])))
    assert check_run.main([str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    block = json.loads((tmp_path / "bundle/configs/train.json").read_text())
    block["loss"]["_target_"] = "Nothing"
    (tmp_path / "bundle/configs/train.json").write_text(json.dumps(block))
    assert check_run.main([str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["ok"], result["step"]) == (False, "loss")


def test_folders_are_removed(mmar, quick, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    checked(mmar)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_golden_sources_are_where_they_should_be():
    assert all((GOLDEN / case / "source").is_dir() for case in TRAINED)
    assert Path(check_run.__file__).is_file()
