"""MMARs of Clara Train 3.1: metrics keep apart, and what refers to nothing or stands elsewhere is never exact."""

import json

import pytest

from monai_auxops.migrate.command import run
from monai_auxops.migrate.options import MigrateOptions
from tests.migrate.conftest import EVALUATE, component


def report_of(mmar, **options):
    text, code = run(MigrateOptions(mmar.write(), form="json", **options))
    return json.loads(text), code


def bundle_of(mmar, name="train.json"):
    output = mmar.folder.parent / "bundle"
    report_of(mmar, output=output, validate=False, force=True)
    return json.loads((output / "configs" / name).read_text())


def outcomes(report, section):
    entries = [entry for file in report["files"] for entry in file["entries"] if entry["section"] == section]
    return [entry["outcome"] for entry in entries]


@pytest.mark.parametrize("marked", [0, 1])
def test_a_second_metric_of_one_name_does_not_replace_the_key_metric(mmar, marked):
    names = [{"name": "mean_dice", "field": field} for field in ("dice", "dice_a")]
    names[marked]["is_key_metric"] = True
    metrics = [component("ComputeAverage") for _ in names]
    for metric, args in zip(metrics, names, strict=True):
        metric["args"] = args
    report, code = report_of(mmar.set("validate.metrics", metrics))
    told = [item["message"] for item in report["diagnostics"] if item["code"] == "CT505"]
    assert (code, told) == (1, ['the name "mean_dice" is used twice; this one is "mean_dice_2" in the bundle'])
    assert outcomes(report, "metrics")[1 - marked] == "approximate"
    validate = bundle_of(mmar)["validate"]
    assert validate["key_metric"]["mean_dice"]["field"] == names[marked]["field"]
    assert validate["additional_metrics"]["mean_dice_2"]["name"] == "mean_dice_2"


def test_metrics_of_an_evaluation_keep_apart(mmar):
    metrics = [component("ComputeAverageDice", name="mean_dice", field="model") for _ in "ab"]
    mmar.files["config_validation.json"] = {**EVALUATE, "val_metrics": metrics}
    assert "CT505" in [item["code"] for item in report_of(mmar)[0]["diagnostics"]]


def test_a_ref_to_nothing_is_manual(mmar):
    report, code = report_of(mmar.set("validate.pre_transforms.2", {"ref": "Crop"}))
    entry = next(entry for entry in report["files"][0]["entries"] if entry["clara"] == "Crop")
    assert (code, entry["outcome"], "had no effect" in entry["why"]) == (1, "manual", False)


def test_a_ref_to_a_disabled_component_is_a_guess(mmar):
    report, _ = report_of(mmar.set("train.pre_transforms.0.disabled", True))
    reasons = [entry["reason"] for entry in report["files"][0]["entries"] if entry["outcome"] == "dropped"]
    assert reasons[0] == "Disabled: it had no effect."
    assert "not documented" in reasons[1]


def test_an_alternative_may_have_been_chosen(mmar):
    report, _ = report_of(mmar.set("train.loss", [component("Dice"), component("Focal")]))
    assert outcomes(report, "loss")[1] == "dropped"
    assert "had no effect" not in str(report["files"][0]["entries"])


@pytest.mark.parametrize(("path", "name", "told"), [
    ("train.optimizer", "Dice", "Dice is a loss, but an optimizer is expected here"),
    ("validate.metrics.0", "NegLoss", "NegLoss is an aux_op, but a metric is expected here"),
    ("train.loss", "SegResnet", "SegResnet is a model, but a loss is expected here"),
])  # fmt: skip
def test_a_component_of_another_section_is_an_error(mmar, path, name, told):
    report, code = report_of(mmar.set(path, component(name)))
    assert (code, told) == (1, next(item["message"] for item in report["diagnostics"] if item["code"] == "CT313"))


@pytest.mark.parametrize("name", ["epochs", "num_training_epoch_per_valid"])
def test_a_count_is_above_0(mmar, name):
    report, code = report_of(mmar.set(name, 0))
    assert (code, "CT206" in [item["code"] for item in report["diagnostics"]]) == (1, True)


def test_the_command_for_one_of_several_files_names_the_evaluation(mmar):
    mmar.files |= {"trn_a.json": mmar.train, "trn_b.json": mmar.train, "config_validation.json": EVALUATE}
    mmar.write()
    (mmar.folder / "config" / "config_train.json").unlink()
    report = json.loads(run(MigrateOptions(mmar.folder, form="json"))[0])
    validation = mmar.folder / "config" / "config_validation.json"
    assert len(report["next"]) == 2
    assert all(f" --evaluation {validation} -o " in command for command in report["next"])
