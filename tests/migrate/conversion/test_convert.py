"""What single configurations become: variables, refs, activations, names, shapes."""

import pytest

from monai_auxops.migrate.bundle.folder import files
from monai_auxops.migrate.reading.variables import parse_value
from tests.migrate.conftest import TRAIN, component, target_of


def training(project):
    import json

    return json.loads(files(project)["configs/train.json"])


def test_the_command_line_wins_over_the_environment_and_the_file(mmar):
    mmar.files["environment.json"]["learning_rate"] = 0.5
    assert training(mmar.read())["learning_rate"] == 0.5
    mmar.settings = ["learning_rate=0.25", "epochs=1e2"]
    config = training(mmar.read())
    assert (config["learning_rate"], config["epochs"]) == (0.25, 100)


def test_the_script_counts_as_a_command_line(mmar):
    train = "python3 -m nvmidl.apps.train -c config/config_train.json"
    mmar.text("commands/train.sh", f"{train} \\\n  --set \\\n epochs=9 DATA_ROOT=$HOME/x \\\n")
    mmar.text("commands/train_2gpu.sh", f"mpirun -np 2 {train} --set epochs=7 multi_gpu=true")
    mmar.text("commands/train_finetune.sh", f"{train} --set 'MMAR_CKPT=a b' epochs=5")
    mmar.text("commands/odd.sh", f"{train} --set epochs='4\n# nothing")
    project = mmar.read()
    assert training(project)["epochs"] == 9
    assert training(project)["dataset_dir"] == "/data"
    readme = files(project)["docs/README.md"]
    assert "torchrun --nproc_per_node=2" in readme
    assert "--epochs 5 --finetune models/model.pt" in readme


@pytest.mark.parametrize(
    ("text", "value"), [("no", False), ("1", 1), ("T", True), ("1e-4", 1e-4), ("", ""), ("a=b", "a=b")]
)
def test_values_of_the_command_line_have_types(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def test_a_placeholder_alone_keeps_its_type_and_among_text_becomes_text(mmar):
    mmar.set("n", 5).set("train.model.args.num_classes", "{n}")
    mmar.set("train.aux_ops.0.args.tags", "dice_{n}")
    project = mmar.read()
    assert target_of(project, "train", "model").args["out_channels"] == 5
    assert target_of(project, "train", "aux_ops").args["tags"] == ["dice_5"]


def test_variables_may_refer_to_variables(mmar):
    mmar.files["environment.json"] |= {"ROOT": "/disk", "DATA_ROOT": "{ROOT}/images"}
    assert training(mmar.read())["dataset_dir"] == "/disk/images"


def test_a_variable_of_itself_ends(mmar):
    mmar.files["environment.json"]["DATA_ROOT"] = "{DATA_ROOT}"
    assert training(mmar.read())["dataset_dir"] == "$@bundle_root + '/data'"


def test_aliases_copy_class_and_arguments(mmar):
    mmar.set("train.pre_transforms.2.name", "CropFixedSizeRandomCenter#crop#cut")
    mmar.set("validate.pre_transforms.2", {"ref": "cut"})
    assert target_of(mmar.read(), "validate", "pre_transforms", 2).args["spatial_size"] == "@patch_size"


def test_a_path_wins_over_a_name(mmar):
    mmar.set("train.loss", {"name": "Dice", "path": "my.Loss", "args": {"a": 1}})
    config = training(mmar.read())
    assert config["loss"] == {"_target_": "scripts.manual.ClaraLoss", "a": 1}


@pytest.mark.parametrize(
    ("activation", "loss", "post"),
    [("softmax", (True, False), "softmax"), ("sigmoid", (False, True), "sigmoid"), ("linear", (False, False), None)],
)
def test_the_activation_moves_everywhere(mmar, activation, loss, post):
    mmar.set("train.model.args.final_activation", activation)
    mmar.set("train.aux_ops.0.args.is_independent_predictions", True)
    config = training(mmar.read())
    assert (config["loss"]["softmax"], config["loss"]["sigmoid"]) == loss
    op = config["train"]["key_metric"]["train_dice"]
    assert op.get("final_activation") == post
    if post is None:
        assert "postprocessing" not in config["validate"]
    else:
        assert config["validate"]["postprocessing"]["transforms"][0][post] is True


def test_train_and_validation_names_are_claras(mmar):
    config = training(mmar.read())
    assert list(config["train"]["key_metric"]) == ["train_dice"]
    assert list(config["validate"]["key_metric"]) == ["mean_dice"]
    hidden = config["validate"]["additional_metrics"]["val_dice"]
    assert (hidden["do_print"], hidden["do_summary"]) == (False, False)


def test_an_aux_op_gives_way_to_a_metric_of_its_name(mmar):
    mmar.set("validate.metrics.0.args.name", "val_dice")
    config = training(mmar.read())
    assert list(config["validate"]["additional_metrics"]) == ["aux_val_dice"]


def test_without_metrics_the_aux_op_selects_the_model(mmar):
    mmar.train["validate"]["metrics"] = []
    config = training(mmar.read())
    assert list(config["validate"]["key_metric"]) == ["val_dice"]
    assert "do_print" not in config["validate"]["key_metric"]["val_dice"]


def test_without_aux_ops_and_validation(mmar):
    del mmar.train["train"]["aux_ops"], mmar.train["validate"]
    project = mmar.read()
    config = training(project)
    assert "validate" not in config
    assert "key_metric" not in config["train"]
    assert "configs/evaluate.json" not in files(project)


def test_the_older_val_prefix_of_a_field(mmar):
    mmar.set("validate.metrics.0", component("MetricAverage", name="m", applied_key="val_dice", stopping_metric=True))
    assert target_of(mmar.read(), "validate", "metrics").args["field"] == "dice"


def test_a_crop_before_the_channels_move_comes_after(mmar):
    load, channels, crop = TRAIN["train"]["pre_transforms"]
    mmar.set("train.pre_transforms", [load, crop, channels])
    names = [block["_target_"] for block in training(mmar.read())["train"]["preprocessing"]["transforms"]]
    assert names[:2] == ["LoadImaged", "EnsureChannelFirstd"]


def test_determinism_becomes_a_seed(mmar):
    for seeds, seed in (
        ({"python_seed": "20191015", "random_seed": 123456, "numpy_seed": 654321, "tf_seed": 11111}, 123456),
        ({"python_page": "20191015", "random_page": 7}, 7),
        ({"python_seed": "20191015"}, 20191015),
        (True, 0),
    ):
        config = training(mmar.set("determinism", seeds).read())
        assert config["seed"] == seed
        assert config["initialize"] == ["$monai.utils.set_determinism(seed=@seed)"]
    assert "seed" not in training(mmar.set("determinism", {}).read())


def test_seeds_that_are_none_are_reported(mmar):
    mmar.set("determinism", {"random_sed": 7})
    assert "CT206" in mmar.codes()


@pytest.mark.parametrize(("name", "percent", "dataset"), [("A", 0, "CacheDataset"), ("B", 0.5, "SmartCacheDataset")])
def test_cached_pipelines(mmar, name, percent, dataset):
    more = {"num_cache_objects": 4, "replace_percent": percent, "items_per_category": {"0": 1}, "duplicate_count": 2}
    mmar.train["train"]["image_pipeline"]["args"] |= more
    config = training(mmar.read())
    assert config["train"]["dataset"]["_target_"] == dataset
    smart = [handler for handler in config["train"]["handlers"] if handler["_target_"] == "SmartCacheHandler"]
    assert [handler["smartcacher"] for handler in smart] == (["@train#dataset"] if percent else [])


def test_regularization_becomes_weight_decay(mmar):
    assert training(mmar.read())["optimizer"]["weight_decay"] == 1e-5
    mmar.set("train.model.args.reg_weight", 0)
    assert "weight_decay" not in training(mmar.read())["optimizer"]


def test_no_optimizer_is_adam(mmar):
    del mmar.train["train"]["optimizer"]
    assert training(mmar.read())["optimizer"]["_target_"] == "torch.optim.Adam"


def test_null_is_not_given(mmar):
    mmar.set("train.loss.args", {"smooth": None}).set("train.lr_policy", None)
    assert target_of(mmar.read(), "train", "loss").args["smooth_dr"] == 1e-5


def test_class_names_come_from_the_data_list(mmar):
    mmar.files["dataset.json"]["labels"] = {"0": "background", "1": "liver", "2": "spleen"}
    assert '"2": "spleen"' in files(mmar.read())["configs/metadata.json"]
    mmar.files["dataset.json"]["labels"] = {"0": "background", "7": "liver", "2": 3}
    assert '"2": "class 2"' in files(mmar.read())["configs/metadata.json"]


def test_args_that_are_no_object(mmar):
    mmar.set("train.loss.args", "softmax")
    assert "CT403" in mmar.codes()


def test_own_handlers_become_stubs(mmar):
    mmar.set("train.handlers", [{"path": "my.Handler"}, {"name": "StatsHandler"}])
    project = mmar.read()
    assert {"_target_": "scripts.manual.ClaraHandler"} in training(project)["train"]["handlers"]
    assert "class ClaraHandler:" in files(project)["scripts/manual.py"]


def test_a_missing_argument_needs_work(mmar):
    mmar.set("train.aux_ops.0.args", {})
    entry = mmar.read().train.first("train", "aux_ops")
    assert (entry.outcome.value, entry.built) == ("manual", ())


def test_several_files_and_no_choice_write_nothing(mmar, tmp_path):
    from monai_auxops.migrate.command import MigrateOptions, run

    mmar.files |= {"trn_a.json": mmar.train, "trn_b.json": mmar.train}
    (mmar.write() / "config" / "config_train.json").unlink()
    report, code = run(MigrateOptions(mmar.folder, output=tmp_path / "out"))
    assert code == 2
    for name in ("trn_a", "trn_b"):
        assert f"{name}.json -o {tmp_path / 'out' / name}" in report.replace("\n", "")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("eval", "@output_dir"),
        ("/mnt/out", "/mnt/out"),
        ("./more", "$@bundle_root + '/more'"),
        ("a/../../b", "@output_dir"),
    ],
)
def test_where_reports_go(mmar, path, expected):
    mmar.files["environment.json"]["MMAR_EVAL_OUTPUT_PATH"] = "eval"
    mmar.set("validate.metrics.0.args.report_path", path)
    assert training(mmar.read())["validate"]["key_metric"]["mean_dice"]["report_path"] == expected


def test_an_environment_of_its_own(mmar, tmp_path):
    mmar.env = tmp_path / "other.json"
    mmar.env.write_text('{"DATA_ROOT": "/other", "DATASET_JSON": "/other/list.json"}')
    assert training(mmar.read())["dataset_dir"] == "/other"


def test_a_deforming_crop_and_a_fixed_rotation(mmar):
    crop = component("FastPosNegRatioCropROI", size=[32, 32, 32], rotation=True, scale=True, deform=True)
    mmar.set("train.pre_transforms.2", crop)
    mmar.set("train.pre_transforms.3", component("RandomRotate2D", fields="image", angle=90, is_random=False))
    names = [block["_target_"] for block in training(mmar.read())["train"]["preprocessing"]["transforms"]]
    assert names[2:] == ["SpatialPadd", "RandCropByPosNegLabeld", "RandAffined", "RandGridDistortiond", "Rotated"]


def test_a_network_that_clara_regularized_with_groups(mmar):
    mmar.set("train.model", component("Unet", num_classes=3, use_group_norm=True, nf_enc="16,24"))
    assert training(mmar.read())["network_def"]["norm_name"] == ["GROUP", {"num_groups": 8}]
    mmar.set("train.model.args.use_batch_norm", True)
    assert training(mmar.read())["network_def"]["norm_name"] == "BATCH"
