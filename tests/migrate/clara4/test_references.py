"""References in a bundle lead somewhere: in train.json, evaluate.json and inference.json, and never in a circle."""

import copy
import json
import re

import pytest

from tests.migrate.clara4.conftest import EVALUATE40, component
from tests.migrate.clara4.test_log_labels import entry_of

NAMES = ("model", "loss", "optimizer", "lr_scheduler", "evaluator", "trainer", "pre_transforms", "post_transforms",
         "dataset", "dataloader", "inferer", "handlers", "key_metric", "additional_metrics", "conf")  # fmt: skip
SETTINGS = ("{epochs}", "{learning_rate}", "{num_interval_per_valid}", "{amp}")
REFERENCE = re.compile(r"@([A-Za-z_]\w*(?:#\w+)*)")


def texts(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for child in value for text in texts(child)]
    return [value] if isinstance(value, str) else []


def find(config, path):
    for part in path.split("#"):
        config = config[int(part)] if isinstance(config, list) else config.get(part)
    return config


def follow(config, path, above=()):
    """Follow a reference through everything that it is made of, as MONAI's parser does."""
    assert path not in above, f"circle at {path}"
    assert find(config, path) is not None, f"nothing at {path}"
    for text in texts(find(config, path)):
        for name in REFERENCE.findall(text) if text[:1] in "@$" else ():
            follow(config, name, (*above, path))


def check_bundle(mmar4):
    mmar4.bundle()
    folder = mmar4.folder.parent / "bundle" / "configs"
    for name, start in (("train", "train#trainer"), ("evaluate", "validate#evaluator"), ("inference", "evaluator")):
        follow(json.loads((folder / f"{name}.json").read_text()), start)


READERS = {
    "handlers": lambda value: component("TensorBoardStatsHandler", state_attributes=[value]),
    "pre_transforms": lambda value: component("DeleteItemsd", keys="x", sep=value),
    "post_transforms": lambda value: component("Invertd", keys="pred", transform=value, orig_keys="image"),
    "metrics": lambda value: {**component("Loss", loss_fn=value), "log_label": "loss"},
    "evaluator": lambda value: component("SupervisedEvaluator", epoch_length=value),
}


@pytest.mark.parametrize("part", ["train", "validate"])
@pytest.mark.parametrize("key", READERS)
@pytest.mark.parametrize("value", [*(f"@{name}" for name in NAMES), *SETTINGS])
def test_every_reference_leads_somewhere(mmar4, part, key, value):
    section, made = mmar4.train[part], READERS[key](value)
    if isinstance(section.get(key), list):
        section[key].append(made)
    elif part == "validate":
        section[key] = made
    for missing in {"post_transforms", "metrics"} - {key}:
        check_bundle(mmar4)
        section.pop(missing)
    check_bundle(mmar4)


def test_a_handler_of_a_section_that_is_missing_is_left_out(mmar4):
    del mmar4.train["validate"]["post_transforms"]
    mmar4.train["validate"]["handlers"].append(
        component("TensorBoardStatsHandler", state_attributes="@post_transforms")
    )
    report, code = mmar4.run(output=mmar4.folder.parent / "valid")
    codes = [item["code"] for item in report["diagnostics"]]
    assert (code, "CT320" in codes, "CT702" in codes) == (1, True, False)
    entry = entry_of(report, "validate.handlers[2]")
    assert entry["why"] == "It needs the post_transforms, which the file does not have or disables."


def test_what_refers_to_its_own_engine_is_manual(mmar4):
    mmar4.train["train"]["handlers"].append(READERS["handlers"]("@trainer"))
    report, code = mmar4.run()
    entry = entry_of(report, "train.handlers[4]")
    assert (code, entry["outcome"]) == (1, "manual")
    assert entry["why"] == "It refers to the trainer, which is made from it."


def test_an_evaluation_borrows_a_loss_and_settings_from_its_training(mmar4):
    mmar4.train["validate"]["metrics"].append({**component("Loss", loss_fn="@loss"), "log_label": "val_loss"})
    mmar4.train["validate"]["handlers"].append(component("TensorBoardStatsHandler", tag_name="{epochs}"))
    bundle = mmar4.bundle("evaluate.json")
    assert (bundle["loss"]["_target_"], bundle["epochs"]) == ("DiceLoss", 2)
    assert "loss" not in mmar4.bundle("inference.json")


def test_a_smart_cache_is_that_of_its_own_section(mmar4):
    mmar4.train["validate"]["handlers"].append({"name": "SmartCacheHandler"})
    handlers = mmar4.bundle("evaluate.json")["validate"]["handlers"]
    assert handlers[-1]["smartcacher"] == "@validate#dataset"


@pytest.mark.parametrize("value", [[1e-3], [[1e-3]], {"value": 1e-3}, "fast"])
def test_a_setting_that_cannot_be_read_leaves_no_placeholder(mmar4, value):
    report, code = mmar4.set("learning_rate", value).run()
    assert (code, [item["code"] for item in report["diagnostics"] if item["severity"] == "error"]) == (1, ["CT206"])
    entry = entry_of(report, "train.optimizer")
    assert (entry["outcome"], "learning_rate, whose value cannot be read" in entry["why"]) == ("approximate", True)
    assert mmar4.bundle()["optimizer"]["lr"] == "@learning_rate"


def test_a_list_of_values_is_a_variable(mmar4):
    mmar4.set("roi", [8, 8, 8]).set("validate.inferer.args.roi_size", "{roi}")
    mmar4.files["environment.json"]["flips"] = [0, 1]
    mmar4.train["train"]["pre_transforms"].append(component("Flipd", keys="image", spatial_axis="{flips}"))
    bundle = mmar4.bundle()
    assert bundle["validate"]["inferer"]["roi_size"] == [8, 8, 8]
    assert bundle["train"]["preprocessing"]["transforms"][-1]["spatial_axis"] == [0, 1]


@pytest.mark.parametrize(("path", "made"), [
    ("train.lr_scheduler", component("StepLR", gamma=0.1)), ("train.model", component("UNet", dimensions=3)),
    ("train.trainer", component("GanTrainer")), ("validate.evaluator", component("EnsembleEvaluator")),
])  # fmt: skip
def test_a_required_argument_that_is_missing_is_an_error(mmar4, path, made):
    report, code = mmar4.set(path, made).run()
    assert (code, "CT401" in [item["code"] for item in report["diagnostics"]]) == (1, True)
    assert entry_of(report, path)["outcome"] == "manual"


def test_a_component_inside_an_argument_is_not_exact(mmar4):
    mmar4.set("train.pre_transforms.0", component("Compose", transforms=[component("LoadImaged", keys="image")]))
    report, code = mmar4.run()
    entry = entry_of(report, "train.pre_transforms[0]")
    assert (code, entry["outcome"]) == (1, "manual")
    assert entry["why"] == "An argument holds a component of its own, which is not converted."


def test_an_aux_op_without_a_metric_beside_it_is_attached(mmar4):
    mmar4.train["train"]["aux_ops"] = [component("DiceMaskedOutput", tags=["dice", "a", "b"], skip_background=True)]
    del mmar4.train["train"]["metrics"]
    assert list(mmar4.bundle()["train"]["key_metric"]) == ["train_dice"]


@pytest.mark.parametrize("saver", [
    component("SegmentationSaver", output_dir="{MMAR_EVAL_OUTPUT_PATH}"),
    component("SegmentationSaver", output_dir="{MMAR_EVAL_OUTPUT_PATH}", data_root_dir="/data"),
])  # fmt: skip
def test_predictions_that_overwrite_each_other_are_reported(mmar4, saver):
    evaluation = copy.deepcopy(EVALUATE40)
    evaluation["handlers"].append(saver)
    items = [{"image": f"{case}/image.nii.gz", "label": f"{case}/label.nii.gz"} for case in "ab"]
    mmar4.files |= {"config_validation.json": evaluation, "dataset.json": {"training": items, "validation": items}}
    messages = [item["message"] for item in mmar4.run()[0]["diagnostics"] if item["code"] == "CT805"]
    told = 'SegmentationSaver writes several images of "validation" named image.nii.gz to one file, as before'
    assert messages == ([] if "data_root_dir" in saver["args"] else [f"{told}: give data_root_dir"])
