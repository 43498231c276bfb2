"""Mistakes that migrations of published MMARs had, each with the configuration that showed it."""

import json

import numpy as np
import pytest

from monai_auxops.migrate.bundle.folder import files
from monai_auxops.migrate.command import MigrateOptions, run
from monai_auxops.migrate.conversion.read_project import read_project
from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.report.model import model
from monai_auxops.migrate.rules import RuleBook
from tests.migrate.conftest import EVALUATE, GOLDEN, IMAGES, component, target_of

TRAIN_APP = "python3 -m nvmidl.apps.train -m $MMAR_ROOT -c {} --set {}"


def training(project):
    return json.loads(files(project)["configs/train.json"])


def transforms(project, part="train"):
    return [block["_target_"] for block in training(project)[part]["preprocessing"]["transforms"]]


def loss_of(project):
    return training(project)["loss"]


@pytest.mark.parametrize("step", ["ConvertToChannelsFirst", "ConvertToChannelsLast", None])
def test_channels_move_once_whatever_the_file_says(mmar, step):
    steps = [component("LoadPng", fields=IMAGES), *([component(step, fields=IMAGES)] if step else [])]
    mmar.set("train.pre_transforms", [*steps, component("CropFixedSizeRandomCenter", fields=IMAGES, size=[32, 32])])
    assert transforms(mmar.read()) == ["LoadImaged", "EnsureChannelFirstd", "SpatialPadd", "RandSpatialCropd"]


def test_both_channel_steps_and_a_loader_that_moves_them_move_them_once(mmar):
    steps = [component("LoadNifti", fields="image", nii_is_channels_first=True), component("LoadNifti", fields="label")]
    steps += [component("ConvertToChannelsFirst", fields=IMAGES), component("ConvertToChannelsLast", fields=IMAGES)]
    mmar.set("train.pre_transforms", steps)
    blocks = training(mmar.read())["train"]["preprocessing"]["transforms"]
    moves = [
        (block["keys"], block.get("channel_dim")) for block in blocks if block["_target_"] == "EnsureChannelFirstd"
    ]
    assert moves == [(["image"], 0), (["label"], None)]


@pytest.mark.parametrize(
    ("place", "written"),
    [
        ("train.model", {"name": "SegResnet", "path": "nets.SegResnet", "args": {"num_classes": 3, "depth": 7}}),
        ("train.loss", {"path": "my.losses.Dice", "args": {"beta": 0.3}}),
        ("train.aux_ops.0", {"path": "my.ops.ComputeDice", "args": {"tag": "hd"}}),
        ("train.pre_transforms.2", {"path": "a.LoadNifti", "args": {"fields": "image"}}),
        ("validate.metrics.0", {"path": "b.ComputeAverage", "args": {"name": "m", "field": "dice"}}),
    ],
)
def test_a_path_that_ends_in_the_name_of_a_built_in_is_ones_own(mmar, place, written):
    project = mmar.set(place, written).read()
    entry = next(entry for entry in project.entries if entry.component.path)
    assert entry.manual
    assert not [item for item in project.log.items if item.code == "CT402"]


def test_claras_own_package_is_known(mmar):
    project = mmar.set("train.loss", {"path": "ai4med.components.losses.Dice"}).read()
    assert target_of(project, "train", "loss").target == "DiceLoss"


OWN = {"path": "nets.mine.HeartNet", "args": {"num_classes": 3, "final_activation": "softmax"}}


def beside(mmar, network, **answers):
    mmar.set("train.model", network).set("train.aux_ops.0.args", {"tags": ["dice", "a", "b"], "skip_background": True})
    mmar.settings = [f"{name}={value}" for name, value in answers.items()]
    return mmar.read()


@pytest.mark.parametrize(
    ("args", "answers"),
    [
        ({"num_classes": 3, "final_activation": "softmax"}, {}),
        ({"final_activation": "softmax"}, {}),
        ({"out_channels": 3}, {"activation": "softmax"}),
        ({}, {"classes": 3, "activation": "softmax"}),
    ],
)
def test_beside_an_own_network_the_rest_is_built_for_what_it_gives(mmar, args, answers):
    project = beside(mmar, {"path": "nets.mine.HeartNet", "args": args}, **answers)
    codes = {item.code for item in project.log.items}
    assert not codes & {"CT504", "CT507", "CT508", "CT522", "CT204"}
    loss = loss_of(project)
    assert (loss["softmax"], loss["to_onehot_y"], loss["include_background"]) == (True, True, True)
    config = training(project)
    assert config["train"]["key_metric"]["train_dice"]["skip_background"] is True
    assert config["validate"]["postprocessing"]["transforms"][0]["softmax"] is True
    assert "[B, 3, 32, 32, 32]" in files(project)["scripts/manual.py"]


def test_what_nothing_says_is_asked_once_and_built_by_nobody(mmar, tmp_path):
    mmar.set("train.model", {"path": "nets.mine.HeartNet"}).set("train.aux_ops.0.args.tags", "dice")
    project = mmar.read()
    asked = [item for item in project.log.items if item.code == "CT522"]
    assert [item.hint for item in asked] == ["answer with --set activation=softmax classes=3"]
    assert project.train.first("train", "loss").manual
    _, code = run(MigrateOptions(mmar.folder, output=tmp_path / "out"))
    assert (code, (tmp_path / "out").exists()) == (2, False)


def test_sources_that_disagree_are_named(mmar):
    mmar.set("train.model", {"path": "nets.mine.HeartNet", "args": {"final_activation": "softmax"}})
    mmar.set("train.image_pipeline.args.output_label_channels", 5)
    asked = next(item for item in mmar.read().log.items if item.code == "CT522")
    assert "the tags of DiceMaskedOutput: 3, output_label_channels: 5" in asked.message


def test_a_classification_network_without_its_data_list_asks_for_it(mmar):
    mmar.set("train.model", component("DenseNet121")).set("train.loss", {"name": "MulticlassClassificationLoss"})
    mmar.set("train.aux_ops", []).set("train.image_pipeline.name", "ClassificationImagePipeline")
    asked = next(item for item in mmar.read().log.items if item.code == "CT522")
    assert "DATASET_JSON=FILE" in asked.hint


@pytest.mark.parametrize(
    ("script", "config", "epochs"),
    [
        ("train.sh", "config/config_train.json", 9),
        ("train.sh", "$MMAR_ROOT/config/config_train.json", 9),
        ("train.sh", "/workspace/mmar/config/config_train.json", 9),
        ("train.sh", "config/config_train_automl.json", 4),
        ("debug_profile.sh", "config/config_train.json", 4),
        ("train_finetune.sh", "config/config_train.json", 4),
    ],
)
def test_a_script_counts_for_the_file_that_it_runs(mmar, script, config, epochs):
    mmar.text(f"commands/{script}", TRAIN_APP.format(config, "epochs=9"))
    project = mmar.read()
    assert training(project)["epochs"] == epochs
    said = next(item for item in project.log.items if item.code == "CT116")
    assert ("not applied" in said.message) == (epochs == 4)
    report, _ = run(MigrateOptions(mmar.folder))
    assert ("(commands/train.sh)" in report) == (epochs == 9)


def test_mmar_root_is_known(mmar):
    mmar.files["environment.json"]["DATASET_JSON"] = "/workspace/dataset.json"
    assignment = "CONFIG_FILE=config/config_train.json\n"
    settings = "DATASET_JSON=$MMAR_ROOT/config/dataset.json"
    mmar.text("commands/train.sh", assignment + TRAIN_APP.format("$CONFIG_FILE", settings))
    project = mmar.read()
    assert "CT509" not in [item.code for item in project.log.items]
    assert "configs/datalist.json" in files(project)
    mmar.files["environment.json"]["DATASET_JSON"] = "{MMAR_ROOT}/config/dataset.json"
    (mmar.folder / "commands" / "train.sh").unlink()
    assert "CT509" not in [item.code for item in mmar.read().log.items]


def test_inference_is_what_infer_sh_runs():
    project = read_project(GOLDEN / "png_lesion" / "source", [], None, RuleBook())
    inference = json.loads(files(project)["configs/inference.json"])
    assert inference["list_key"] == "test"
    assert inference["output_dir"] == "$@bundle_root + '/eval_test'"
    assert inference["postprocessing"]["transforms"][-1]["_target_"] == "SaveImaged"
    evaluate = json.loads(files(project)["configs/evaluate.json"])
    assert evaluate["list_key"] == "validation"


def test_a_point_per_epoch_of_the_training_loss(mmar):
    handlers = training(mmar.read())["train"]["handlers"]
    board = next(block for block in handlers if block["_target_"].endswith("AuxTensorBoardStatsHandler"))
    assert board["iteration_log"] == "$@summary_interval if @summary_interval > 0 else len(@train#dataloader)"


def test_a_network_without_normalization_is_no_exact_copy_with_one(mmar):
    mmar.train["train"]["model"]["args"] |= {"use_group_norm": False, "use_batch_norm": False}
    project = mmar.read()
    assert target_of(project, "train", "model").args["norm"] == ""
    assert project.train.first("train", "model").outcome.value == "approximate"


def test_files_that_are_not_used_do_not_stop_the_run(mmar, tmp_path):
    mmar.files["config_validation.json"] = EVALUATE
    broken = {**EVALUATE, "val_metrics": [component("ComputeAverageDice", name="m", field="nothing")]}
    mmar.files["config_old.json"] = broken
    report, code = run(MigrateOptions(mmar.write()))
    assert code == 0
    assert "config/config_old.json  (evaluation, not used in the bundle)" in report
    assert "warning CT503" in report


def test_a_comma_in_a_side_file_leaves_the_file_out(mmar, tmp_path):
    mmar.files["config_validation.json"] = EVALUATE
    mmar.text("config/config_infer.json", '{"batch_size": 1, "inferer": {},}')
    report, code = run(MigrateOptions(mmar.write(), output=tmp_path / "out", validate=False, form="json"))
    assert (code, (tmp_path / "out").is_dir()) == (1, True)
    severities = {item["code"]: item["severity"] for item in json.loads(report)["diagnostics"]}
    assert (severities["CT103"], severities["CT119"]) == ("warning", "error")


def test_only_training(mmar, tmp_path):
    mmar.files["config_validation.json"] = EVALUATE
    run(MigrateOptions(mmar.write(), output=tmp_path / "out", validate=False, only="training"))
    evaluate = json.loads((tmp_path / "out" / "configs" / "evaluate.json").read_text())
    assert "list_key" not in evaluate


def test_a_window_without_a_size_is_the_crop(mmar):
    mmar.set("validate.inferer", component("ScanWindowInferer", is_channels_first=True))
    project = mmar.read()
    assert target_of(project, "validate", "inferer").args["roi_size"] == "@patch_size"
    assert "CT401" not in [item.code for item in project.log.items]


def test_a_rotation_in_the_plane_stays_in_its_slice(mmar):
    from monai.transforms import RandRotated

    rotate = component("RandomRotate2D", fields=["image"], angle=15, is_random=True)
    built = target_of(mmar.set("train.pre_transforms.3", rotate).read(), "train", "pre_transforms", 3)
    volume = np.zeros((1, 32, 32, 20), np.float32)
    volume[:, 8:24, 12:20, 10] = 1
    rotated = RandRotated(**built.args).set_random_state(0)({"image": volume})["image"]
    assert np.flatnonzero(np.asarray(rotated).sum((0, 1, 2)) > 0).tolist() == [10]


def test_stubs_are_called_with_the_bundles_keys():
    project = read_project(GOLDEN / "own_network" / "source", [], None, RuleBook())
    inference = json.loads(files(project)["configs/inference.json"])
    stub = next(block for block in inference["postprocessing"]["transforms"] if "ClaraSmooth" in block["_target_"])
    assert stub["fields"] == "pred"


MISSED = {
    "CT504": ("train.aux_ops.0.args.tags", ["a", "b"], "2 tags for 3 class(es): 1 or 4 tags are needed"),
    "CT526": ("train.pre_transforms.2.args.fields", ["image", "lable"], '"lable"'),
    "CT527": ("validate.image_pipeline.args.output_image_channels", 4, "1 in training and 4 in validation"),
    "CT528": ("train.pre_transforms.2.args.size", [31, 32, 32], "31 x 32 x 32"),
    "CT529": ("multi_gpu", True, "0.001"),
}


@pytest.mark.parametrize("code", MISSED)
def test_mistakes_that_were_missed(mmar, code):
    path, value, said = MISSED[code]
    found = [item for item in mmar.set(path, value).read().log.items if item.code == code]
    assert said in found[0].message


def test_several_files_per_image_and_one_channel(mmar):
    item = {"image": ["a.nii.gz", "b.nii.gz", "c.nii.gz"], "label": "l.nii.gz"}
    mmar.files["dataset.json"] = {"training": [item], "validation": [item]}
    assert "CT525" in mmar.codes()


def test_a_field_compared_with_itself(mmar):
    metric = component("ComputeAverageDice", name="m", field="label", label_field="label")
    mmar.files["config_validation.json"] = {**EVALUATE, "val_metrics": [metric]}
    assert "CT524" in mmar.codes()


def test_a_list_that_the_data_list_lacks(mmar):
    mmar.files["config_validation.json"] = EVALUATE
    mmar.files["environment.json"]["DATA_LIST_KEY"] = "test"
    found = next(item for item in mmar.read().log.items if item.code == "CT510")
    assert found.hint == "it has training, validation"


def test_a_learning_rate_of_several_gpus_is_run_on_as_many(mmar, tmp_path):
    mmar.set("multi_gpu", True).text("commands/train_4gpu.sh", "mpirun -np 4 python -m nvmidl.apps.train -c x.json")
    report, _ = run(MigrateOptions(mmar.write(), output=tmp_path / "out", validate=False, form="json"))
    assert "torchrun --nproc_per_node=4" in json.loads(report)["next"][1]


def test_the_named_file_is_what_is_judged(mmar):
    mmar.files["config_aiaa.json"] = {"type": "segmentation", "labels": []}
    for name in ("config_aiaa.json", "dataset.json"):
        report, code = run(MigrateOptions(mmar.write() / "config" / name, form="json"))
        found = json.loads(report)["diagnostics"]
        assert (code, [(item["code"], item["file"]) for item in found]) == (2, [("CT118", name)])


def test_what_is_not_used_needs_no_value(mmar):
    loader = component("CheckpointLoader", checkpoint_file_prefix="model{ROUND_NUM}.ckpt")
    mmar.files["config_validation.json"] = {**EVALUATE, "model_loader": loader}
    assert "ROUND_NUM" not in " ".join(item.message for item in mmar.read().log.items)


def test_a_dollar_before_a_placeholder(mmar):
    mmar.set("train.image_pipeline.args.data_file_base_dir", "${DATA_ROOT}")
    assert any("Clara writes {NAME}" in item.message for item in mmar.read().log.items)


def test_a_folder_of_mmars_names_them(mmar):
    report, _ = run(MigrateOptions(mmar.write().parent))
    assert "name one of the MMARs in it: mmar" in report.replace("\n      ", " ")


def test_a_script_is_not_a_configuration(mmar):
    mmar.text("commands/train.sh", "#!/usr/bin/env bash\n").write()
    report, code = run(MigrateOptions(mmar.folder / "commands" / "train.sh"))
    assert (code, "a shell script, not a configuration" in report) == (2, True)


def test_a_missing_package_is_not_the_configurations_fault(mmar, tmp_path, monkeypatch):
    from monai_auxops.migrate import packages

    monkeypatch.setattr(packages, "missing", lambda: ["fire"])
    report, code = run(MigrateOptions(mmar.write(), output=tmp_path / "out", check=True, form="json"))
    codes = [item["code"] for item in json.loads(report)["diagnostics"]]
    assert (code, "CT708" in codes, "CT702" in codes, "CT705" in codes) == (1, True, False, False)


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", "{ROUNDS}"), ("learning_rate", "fast"), ("use_amp", 3), ("multi_gpu", "yes")]
)
def test_a_default_for_a_setting_that_cannot_be_read_is_not_exact(mmar, name, value):
    (config,) = model(mmar.set(name, value).read())["files"]
    outcomes = {setting["name"]: setting["outcome"] for setting in config["settings"]}
    assert outcomes.pop(name) == "manual"
    assert "manual" not in outcomes.values()


def test_a_setting_may_name_a_variable(mmar):
    project = mmar.set("rate", 0.25).set("learning_rate", "{rate}").read()
    assert project.train.settings["learning_rate"] == 0.25
    assert "CT206" not in [item.code for item in project.log.items]


@pytest.mark.parametrize(("path", "value", "code"), [
    ("train.optimizer.args", [1], "CT403"),
    ("train.optimizer.args", {"beta1": "fast"}, "CT403"),
    ("train.optimizer.args", {"betta1": 0.8}, "CT402"),
    ("train.optimizer.args", {"beta1": "{BETA}"}, "CT201"),
])  # fmt: skip
def test_a_component_with_a_mistake_in_its_arguments_is_not_exact(mmar, path, value, code):
    project = mmar.set(path, value).read()
    assert code in [item.code for item in project.log.items]
    assert project.train.first("train", "optimizer").outcome is Outcome.APPROXIMATE
