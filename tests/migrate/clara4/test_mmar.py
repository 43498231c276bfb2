"""An MMAR of Clara Train 4 from end to end: dialect, report, wiring, codes, hostile content."""

import copy
import json

import pytest

from monai_auxops.migrate.clara4.components import TRAIN
from monai_auxops.migrate.clara4.explain import explain, names, row
from monai_auxops.migrate.codes import CODES
from monai_auxops.migrate.command import run
from monai_auxops.migrate.options import MigrateOptions
from monai_auxops.migrate.packages import INSTALL
from tests.migrate.clara4.conftest import CONFIGS, EVALUATE40, ITEMS, TRAIN40, as_41, component


def codes_of(report):
    return [item["code"] for item in report["diagnostics"]]


def find(report, code):
    return next(item for item in report["diagnostics"] if item["code"] == code)


def test_both_dialects_give_the_same_bundle(mmar4):
    old = mmar4.bundle()
    mmar4.train = as_41(TRAIN40)
    new = mmar4.bundle()
    assert (old["train"], old["validate"]) == (new["train"], new["validate"])
    assert old == new


@pytest.mark.parametrize(("change", "dialect"), [
    (lambda train: None, "4.0"),
    (lambda train: train.update(CLARA_TRAIN_VERSION="4.1.0"), "4.1"),
    (lambda train: train["train"]["dataset"]["args"].update(transform="@pre_transforms"), "4.1"),
    (lambda train: train["train"].update(aux_ops=[component("DiceMaskedOutput", tags=["dice"])]), "early access"),
    (lambda train: train["train"].update(loss=component("Dice")), "early access"),
    (lambda train: train["train"]["pre_transforms"].insert(0, component("LoadNiftid", keys="image")), "early access"),
])  # fmt: skip
def test_the_dialect_is_told_by_content(mmar4, change, dialect):
    change(mmar4.train)
    report, _ = mmar4.run()
    assert report["files"][0]["dialect"] == dialect
    assert dialect in find(report, "CT117")["message"]


def test_everything_is_exact_or_equivalent(mmar4):
    report, code = mmar4.run()
    assert code == 0
    assert (report["total"]["manual"], report["total"]["approximate"], report["total"]["dropped"]) == (0, 0, 0)
    assert report["next"] == [f"monai-auxops migrate {mmar4.folder} -o my_bundle"]


def test_wiring(mmar4):
    bundle = mmar4.bundle()
    assert bundle["network_def"] == {"_target_": "UNet", "in_channels": 1, "out_channels": 3, "channels": [4, 8],
                                     "strides": [2], "spatial_dims": 3}  # fmt: skip
    assert bundle["optimizer"] == {
        "_target_": "torch.optim.Adam",
        "params": "$@network.parameters()",
        "lr": "@learning_rate",
    }
    assert bundle["initialize"] == [
        "$monai.utils.set_determinism(seed=7)",
        "$setattr(torch.backends.cudnn, 'benchmark', False)",
    ]
    names = [handler["_target_"] for handler in bundle["train"]["handlers"]]
    assert names == ["CheckpointLoader", "LrScheduleHandler", "ValidationHandler", "StatsHandler"]
    assert bundle["finetune"] == ""
    saver = bundle["validate"]["handlers"][1]
    assert saver["save_dict"] == {"model": "@network"}
    assert saver["key_metric_filename"] == "model.pt"
    assert list(bundle["validate"]["key_metric"]) == ["val_mean_dice"]
    assert list(bundle["validate"]["additional_metrics"]) == ["val_acc"]


@pytest.mark.parametrize("form", ["text", "html"])
@pytest.mark.parametrize("options", [{}, {"verbose": True}, {"diff": True}])
def test_every_form_of_the_report(mmar4, form, options):
    mmar4.files["config_validation.json"] = EVALUATE40
    text, code = run(MigrateOptions(mmar4.write(), form=form, **options))
    assert code == 0
    assert "val_interval" in text or options.get("diff")
    assert "MeanDice" in text


def test_fine_tuning_is_a_switch(mmar4):
    mmar4.set("dont_load_ckpt_model", False)
    bundle = mmar4.bundle()
    assert bundle["finetune"] == "$@ckpt_dir + '/model.pt'"
    assert bundle["train"]["handlers"][0]["_disabled_"] == "$not @finetune"


def test_a_variable_that_disables_stays_a_setting(mmar4):
    mmar4.train["train"]["pre_transforms"].insert(
        3, {**component("RandFlipd", keys=["image", "label"]), "disabled": "{no_flip}"}
    )
    mmar4.set("no_flip", True)
    bundle = mmar4.bundle()
    assert bundle["no_flip"] is True
    assert bundle["train"]["preprocessing"]["transforms"][3]["_disabled_"] == "@no_flip"


def test_settings_come_from_set_then_environment_then_file(mmar4):
    mmar4.files["environment.json"]["learning_rate"] = 0.5
    assert mmar4.bundle()["learning_rate"] == 0.5
    assert mmar4.bundle(settings=("learning_rate=2e-4", "amp=True"))["amp"] is True
    (mmar4.folder / "commands").mkdir()
    line = "python3 -u -m medl.apps.train -m $M -c config/config_train.json -e $E --set epochs=9 multi_gpu=False"
    (mmar4.folder / "commands" / "train.sh").write_text(line)
    assert mmar4.bundle()["epochs"] == 9
    (mmar4.folder / "commands" / "train.sh").write_text(line.replace("config_train.json", "other.json"))
    assert mmar4.bundle()["epochs"] == 2


def test_names_of_31_go_to_its_rules(mmar4):
    mmar4.set("train.loss", component("Dice", squared_pred=True, is_onehot_targets=False, skip_background=True))
    mmar4.set("train.optimizer", component("NovoGrad"))
    mmar4.set("train.lr_scheduler", component("ReducePoly", poly_power=0.99))
    mmar4.train["train"]["aux_ops"] = [
        component("DiceMaskedOutput", tags=["dice", "dice_a", "dice_b"], skip_background=True)
    ]
    bundle = mmar4.bundle()
    assert bundle["loss"]["_target_"] == "DiceLoss"
    assert (bundle["loss"]["softmax"], bundle["loss"]["to_onehot_y"], bundle["loss"]["smooth_nr"]) == (True, True, 0.0)
    assert bundle["optimizer"]["_target_"] == "Novograd"
    assert bundle["lr_scheduler"]["optimizer"] == "@optimizer"
    assert bundle["train"]["additional_metrics"]["train_dice"]["_target_"] == "monai_auxops.DiceMaskedOutput"


def test_evaluation_and_inference_from_their_own_files(mmar4):
    infer = {key: value for key, value in copy.deepcopy(EVALUATE40).items() if key != "metrics"}
    infer["handlers"] = infer["handlers"][:2]
    infer["dataset"]["data_list_key"] = "test"
    mmar4.files |= {"config_validation.json": EVALUATE40, "config_inference.json": infer}
    evaluate, inference = mmar4.bundle("evaluate.json"), mmar4.bundle("inference.json")
    assert [block["_target_"] for block in evaluate["validate"]["handlers"]] == [
        "CheckpointLoader",
        "StatsHandler",
        "MetricsSaver",
    ]
    assert evaluate["validate"]["handlers"][2]["delimiter"] == "\t"
    assert "'test'" in inference["data"]
    assert inference["evaluator"]["val_handlers"] == "@handlers"
    kinds = [file["kind"].partition(",")[0] for file in mmar4.run()[0]["files"]]
    assert kinds == ["training", "evaluation", "inference"]


def test_inverting_and_saving_handlers_become_transforms(mmar4):
    called = "__import__('monai').transforms.AsDiscrete(argmax=True, to_onehot={}, n_classes=3)"
    as_discrete = f"{called}(x['pred_inverted'][0][None].detach().cpu())"
    evaluation = copy.deepcopy(EVALUATE40)
    evaluation["post_transforms"] = evaluation["post_transforms"][:1]
    evaluation["handlers"] += [
        component("TransformInverter", output_keys=["pred"], batch_keys="image", nearest_interp=False),
        component("SegmentationSaver", output_dir="{MMAR_EVAL_OUTPUT_PATH}/segs", resample=False,
                  batch_transform="lambda x: x['image_meta_dict']",
                  output_transform=f"lambda x: {as_discrete.format(False)}"),
    ]  # fmt: skip
    text = f"lambda x: ({as_discrete.format(True)}, x['label'].detach().cpu())"
    evaluation["metrics"][0]["args"]["output_transform"] = text
    mmar4.files["config_validation.json"] = evaluation
    validate = mmar4.bundle("evaluate.json")["validate"]
    chain = [(block["_target_"], block["keys"]) for block in validate["postprocessing"]["transforms"]]
    assert chain == [
        ("Activationsd", "pred"),
        ("CopyItemsd", ["pred"]),
        ("Invertd", ["pred_inverted"]),
        ("CopyItemsd", "pred_inverted"),
        ("AsDiscreted", "pred_inverted_classes"),
        ("SaveImaged", "pred_inverted_classes"),
        ("CopyItemsd", "pred_inverted"),
        ("AsDiscreted", "pred_inverted_onehot"),
    ]
    assert validate["postprocessing"]["transforms"][5]["output_dir"] == "$@output_dir + '/segs'"
    metric = validate["key_metric"]["val_mean_dice"]
    assert metric["output_transform"] == "$monai.handlers.from_engine(['pred_inverted_onehot', 'label'])"


def test_the_readme_says_how_to_run_every_file(mmar4):
    mmar4.bundle()
    text = (mmar4.folder.parent / "bundle/docs/README.md").read_text()
    commands = [line for line in text.splitlines() if "monai.bundle run" in line]
    assert len(commands) == 5
    assert all(line.endswith(" --dataset_dir DATA --datalist DATA/dataset.json") for line in commands)
    assert INSTALL in text


@pytest.mark.parametrize("name", ["TransformInverter", "SegmentationSaver"])
def test_a_handler_is_explained_as_it_is_migrated(mmar4, name):
    evaluation = copy.deepcopy(EVALUATE40)
    evaluation["handlers"].append(component(name))
    mmar4.files["config_validation.json"] = evaluation
    entries = [entry for file in mmar4.run()[0]["files"] for entry in file["entries"]]
    migrated = next(entry for entry in entries if entry["clara"] == name)
    explained = row(name)
    assert (explained["outcome"], explained["reason"]) == (migrated["outcome"], migrated["why"])
    assert explained["bundle"] in str(migrated["bundle"])


def test_modules_are_no_classes():
    assert not {"dice", "ahnet", "senet"} & set(names())
    assert str(explain("dice")).startswith("Dice (Clara Train 4): exact")
    assert "DiceCELoss" in str(explain("dice_ce"))


LAMBDA = "lambda x: (x.astype(np.float16) > 0.0).astype(np.float16)"


def test_arithmetic_needs_consent(mmar4):
    mmar4.train["train"]["pre_transforms"].insert(2, component("Lambdad", keys=["label"], func=LAMBDA))
    report, code = mmar4.run()
    assert (code, find(report, "CT321")["path"]) == (1, "train.pre_transforms[2]")
    func = mmar4.bundle(trust_code=True)["train"]["preprocessing"]["transforms"][2]["func"]
    assert func == f"$lambda x: monai.utils.convert_to_dst_type(({LAMBDA})(x.numpy()), x)[0]"


def test_own_code_is_copied_with_consent(mmar4):
    mmar4.set("train.loss", {"path": "my_losses.MyLoss", "args": {"alpha": 0.5}})
    (mmar4.folder / "custom" / "inner").mkdir(parents=True)
    (mmar4.folder / "custom" / "my_losses.py").write_text("raise SystemExit(3)")
    (mmar4.folder / "custom" / "inner" / "deep.py").write_text("A = 1\n")
    report, code = mmar4.run()
    assert (code, "CT312" in codes_of(report)) == (1, True)
    assert mmar4.bundle()["loss"]["_target_"] == "scripts.manual.ClaraMyLoss"
    assert mmar4.bundle(trust_code=True)["loss"] == {"_target_": "scripts.custom.my_losses.MyLoss", "alpha": 0.5}
    scripts = mmar4.folder.parent / "bundle" / "scripts"
    assert (scripts / "custom" / "my_losses.py").read_text() == "raise SystemExit(3)"
    assert (scripts / "custom" / "inner" / "deep.py").is_file()


@pytest.mark.parametrize("name", ["AddGuidanceSignald", "FindAllValidSlicesd"])
def test_deepgrow_ends_in_a_stub(mmar4, name):
    mmar4.train["train"]["pre_transforms"].append(component(name, keys="image"))
    report, code = mmar4.run()
    entry = next(entry for entry in report["files"][0]["entries"] if entry["clara"] == name)
    assert (code, entry["outcome"], "MONAI Label" in entry["reason"]) == (1, "manual", True)


def test_an_iteration_of_deepgrow_is_never_left_out(mmar4):
    mmar4.train["train"]["iteration"] = component("Interaction", max_interactions=15, transforms=[], train=True)
    trainer = mmar4.bundle()["train"]["trainer"]
    assert trainer["iteration_update"]["_target_"] == "scripts.manual.ClaraInteraction"


CASES = {
    "CT110": lambda m: m.files.update({"config_aiaa.json": {"version": 3, "type": "segmentation", "labels": []}}),
    "CT113": lambda m: m.files.update({"other.json": TRAIN40}),
    "CT117": lambda m: None,
    "CT803": lambda m: None,
    "CT301": lambda m: m.set("train.loss.name", "DiceLos"),
    "CT302": lambda m: m.set("train.pre_transforms.5", {"args": {}}),
    "CT303": lambda m: m.set("validate.pre_transforms.0", {"ref": "LoadImage3"}),
    "CT305": lambda m: m.set("train.pre_transforms.5", component("LoadImaged", keys="image")),
    "CT306": lambda m: m.set("train.pre_transforms.0.disabled", True),
    "CT308": lambda m: m.set("train.pre_transforms.0.disabled", "maybe"),
    "CT309": lambda m: m.set("train.loss", [component("DiceLoss"), component("FocalLoss")]),
    "CT310": lambda m: m.set("train.loss.apply", {"@disabled": "a"}),
    "CT311": lambda m: m.set("__note", "x"),
    "CT314": lambda m: m.train["train"].pop("loss"),
    "CT316": lambda m: m.set("train.pre_transforms", component("LoadImaged", keys="image")),
    "CT317": lambda m: m.set("train.los", {}),
    "CT320": lambda m: m.set("train.optimizer.args.params", "@modle"),
    "CT321": lambda m: m.set("train.metrics.0.args.output_transform", "lambda x: foo(x)"),
    "CT402": lambda m: m.set("train.loss.args.softmx", True),
    "CT403": lambda m: m.set("train.loss.args", [1]),
    "CT406": lambda m: m.set("train.pre_transforms.5", component("RandSpatialCropd", keys="image", roi_size=[8, 8, 8])),
    "CT501": lambda m: m.train["train"]["metrics"][0].pop("is_key_metric"),
    "CT502": lambda m: m.train["validate"]["metrics"][1].update(is_key_metric=True),
    "CT505": lambda m: m.train["validate"]["metrics"][1].update(log_label="val_mean_dice"),
    "CT509": lambda m: m.files.update({"dataset.json": None}),
    "CT510": lambda m: m.files.update({"dataset.json": {"training": ITEMS, "validation": []}}),
    "CT514": lambda m: m.set("num_interval_per_valid", 9),
    "CT805": lambda m: m.train["train"]["pre_transforms"].insert(
        1, component("Spacingd", keys="image", pixdim=[1, 1, 1])
    ),
    "CT601": lambda m: m.set("train.loss.args.other_act", "$print(1)"),
    "CT602": lambda m: m.set("train.loss.args", {"_target_": "os.system"}),
    "CT603": lambda m: m.set("validate.handlers.1.args.save_dir", "../../elsewhere"),
}


@pytest.mark.parametrize("code", CASES)
def test_each_code_is_brought_about(mmar4, code):
    CASES[code](mmar4)
    report, _ = mmar4.run()
    found = [item for item in report["diagnostics"] if item["code"] == code]
    assert found, code
    assert all(item["file"] and item["message"] for item in found)
    assert code in CODES


def test_all_problems_in_one_run(mmar4):
    mmar4.set("train.loss.name", "DiceLos").set("train.optimizer.args.lrr", 3).set("epochs", "many")
    mmar4.files["config_validation.json"] = {**EVALUATE40, "metrics": [{"name": "MeanDic", "args": {}}]}
    report, code = mmar4.run(output=mmar4.folder.parent / "bundle", validate=False)
    assert code == 1
    assert {"CT301", "CT402", "CT206"} <= set(codes_of(report))
    assert {item["file"] for item in report["diagnostics"] if item["code"] == "CT301"} == {
        "config/config_train.json",
        "config/config_validation.json",
    }


def test_nothing_half_written(mmar4):
    mmar4.train["train"].pop("model")
    report, code = mmar4.run(output=mmar4.folder.parent / "bundle")
    assert code == 2
    assert not (mmar4.folder.parent / "bundle").exists()
    assert find(report, "CT314")["line"] > 0
    assert [path.name for path in mmar4.folder.parent.iterdir()] == ["mmar"]


HOSTILE = "$__import__('os').system('touch pwned')"


@pytest.mark.parametrize("value", [HOSTILE, "%/etc/passwd", "@train#loss", "x#y", "{oops}", "#@model.x", "lambda x: 1"])
@pytest.mark.parametrize("key", TRAIN)
def test_hostile_values_never_become_code(mmar4, key, value):
    section = mmar4.train["train"].get(key)
    node = section[0] if isinstance(section, list) else section
    if node is None:
        return
    node.setdefault("args", {})["keys" if key == "pre_transforms" else "other"] = value
    node["log_label"] = value
    text = json.dumps(mmar4.bundle()) if mmar4.run()[1] < 2 else ""
    assert "pwned')" not in text.replace("\\\\x", "")
    assert '"%/etc' not in text
    assert "os').system" not in text


def test_text_that_monai_would_evaluate_is_quoted(mmar4):
    mmar4.set("train.handlers.3.args.tag_name", HOSTILE)
    tag = mmar4.bundle()["train"]["handlers"][3]["tag_name"]
    assert tag.startswith("$'\\x24__\\x69mport__")


@pytest.mark.parametrize(
    "path", ["../outside", "{MMAR_CKPT_DIR}/../../outside", "models/../../outside", "a\\..\\..\\b"]
)
def test_paths_stay_inside(mmar4, path):
    mmar4.set("validate.handlers.1.args.save_dir", path)
    assert mmar4.bundle()["validate"]["handlers"][1]["save_dir"] == "@output_dir"


def test_the_whole_folder_is_told_for_what_it_is(mmar4):
    others = {
        "config_fed_client.json": {"servers": []},
        "config_automl.json": {"executor": {}, "controller": {}},
        "config_aiaa.json": {"version": 3, "type": "segmentation", "labels": []},
        "trainer.json": {"max_epochs": 3, "learning_rate": 0.1},
    }
    mmar4.files |= others
    report, code = mmar4.run()
    told = {item["file"].rpartition("/")[2]: item["kind"] for item in report["other_files"]}
    assert code == 0
    assert set(told) == {*others, "environment.json", "dataset.json"}
    assert not any("not a file" in kind for kind in told.values())


SHARED = sorted(CONFIGS.rglob("*.json"))
TRAINS = [path for path in SHARED if path.name.startswith("trn_") or path.name == "config_train.json"]
TRAINS = [path for path in TRAINS if "BYOT" not in str(path)]


@pytest.mark.parametrize("path", TRAINS, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
def test_published_training_files_migrate(path):
    text, code = run(MigrateOptions(path, form="json"))
    report = json.loads(text)
    total = report["files"][0]
    assert code == 0
    assert (total["exact"] + total["equivalent"]) / total["components"] >= 0.95
    assert total["migrated_percent"] == 100


@pytest.mark.parametrize("name", ["adminMMAR", "adminMMAR_HE", "adminMMAR_privacy"])
def test_published_mmars_migrate(name, tmp_path):
    asks = name == "adminMMAR"  # MONAI itself, once
    options = MigrateOptions(CONFIGS / "FL" / name, output=tmp_path / "bundle", validate=asks, form="json")
    text, code = run(options)
    assert (code, json.loads(text)["written"]) == (0, str(tmp_path / "bundle"))


def setting_of(report, name):
    return next(item for item in report["files"][0]["settings"] if item["name"] == name)


@pytest.mark.parametrize(("name", "value"), [
    ("epochs", "{ROUNDS}"), ("learning_rate", "fast"), ("amp", None), ("multi_gpu", "yes"), ("multi_gpu", "{GPUS}"),
    ("determinism", 7), ("determinism", {"seed": 7}), ("cudnn_benchmark", "False"), ("tf32", "yes"),
    ("dont_load_ckpt_model", "yes"),
])  # fmt: skip
def test_a_setting_that_cannot_be_read_is_reported_and_manual(mmar4, name, value):
    report, code = mmar4.set(name, value).run()
    assert (code, setting_of(report, name)["outcome"]) == (1, "manual")
    assert find(report, "CT206")["message"].startswith(f"{name}: expected ")


@pytest.mark.parametrize("value", ["7", "{SEED}"])
def test_a_seed_may_be_text_or_a_variable(mmar4, value):
    mmar4.set("SEED", 7).set("determinism", {"random_seed": value})
    assert mmar4.bundle()["initialize"][0] == "$monai.utils.set_determinism(seed=7)"
    assert mmar4.bundle(settings=["random_seed=8"])["initialize"][0] == "$monai.utils.set_determinism(seed=8)"


def test_an_unreadable_switch_names_what_its_variable_holds(mmar4):
    report, _ = mmar4.set("dont_load_ckpt_model", "yes").run()
    assert "which is 'yes'; the component stays" in find(report, "CT308")["message"]


def outcome_of(report, path):
    entries = [entry for file in report["files"] for entry in file["entries"]]
    return next(entry["outcome"] for entry in entries if entry["path"] == path)


@pytest.mark.parametrize(("path", "value", "code"), [
    ("train.loss.args", [1], "CT403"),
    ("train.loss.args.smothness", 1, "CT402"),
    ("train.loss.args.squared_pred", "{SQUARED}", "CT201"),
    ("train.dataset.args.transform", "@pre_tranforms", "CT320"),
])  # fmt: skip
def test_a_component_with_a_mistake_in_its_arguments_is_not_exact(mmar4, path, value, code):
    report, _ = mmar4.set(path, value).run()
    assert code in [item["code"] for item in report["diagnostics"]]
    assert outcome_of(report, path.partition(".args")[0]) == "approximate"
    assert report["total"]["approximate"] == 1


@pytest.mark.parametrize(("part", "key"), [
    ("train", "optimizer"), ("train", "dataloader"), ("train", "trainer"), ("validate", "pre_transforms"),
    ("validate", "dataset"), ("validate", "dataloader"), ("validate", "evaluator"),
])  # fmt: skip
def test_no_default_takes_the_place_of_a_section_in_silence(mmar4, part, key):
    del mmar4.train[part][key]
    report, code = mmar4.run()
    assert code == 1
    assert f'{part} has no "{key}"' in find(report, "CT322")["message"]


def test_a_disabled_optimizer_is_a_missing_one(mmar4):
    assert "CT322" in mmar4.set("train.optimizer.disabled", True).codes()


@pytest.mark.parametrize(("path", "value", "gone"), [
    ("train.lr_scheduler.disabled", True, "LrScheduleHandler"),
    ("train.lr_scheduler", None, "LrScheduleHandler"),
    ("validate", None, "ValidationHandler"),
])  # fmt: skip
def test_what_works_on_a_missing_object_is_left_out_and_reported(mmar4, path, value, gone):
    mmar4.set(path, value)
    report, code = mmar4.run(output=mmar4.folder.parent / "valid")
    assert (code, report["written"]) == (1, str(mmar4.folder.parent / "valid"))
    assert find(report, "CT320")["message"].startswith(f"{gone} needs the ")
    assert gone not in [block["_target_"] for block in mmar4.bundle()["train"]["handlers"]]


def test_an_empty_validation_is_none(mmar4):
    assert "validate" not in mmar4.set("validate", None).bundle()


@pytest.mark.parametrize("states", ["ema", 3, ["model", "ema"]])
def test_a_state_that_a_bundle_does_not_have_is_reported(mmar4, states):
    report, _ = mmar4.set("validate.handlers.1.args.save_dict", states).run()
    assert find(report, "CT320")["message"].startswith("CheckpointSaver: there is no ")


def test_a_single_state_may_be_text(mmar4):
    mmar4.set("validate.handlers.1.args.save_dict", "model")
    assert mmar4.bundle()["validate"]["handlers"][1]["save_dict"] == {"model": "@network"}
    assert "CT320" not in mmar4.codes()


def test_a_path_of_another_library_is_not_monais_class_of_that_name(mmar4):
    mmar4.set("train.loss", {"path": "torch.nn.DiceLoss"})
    report, _ = mmar4.run()
    assert find(report, "CT301")["message"] == 'unknown loss "torch.nn.DiceLoss"'
    assert outcome_of(report, "train.loss") == "manual"


def test_arguments_beside_a_ref_are_reported(mmar4):
    mmar4.train["validate"]["pre_transforms"][0]["args"] = {"keys": "image"}
    report, _ = mmar4.run()
    assert find(report, "CT307")["message"] == "args beside a ref have no effect"


@pytest.mark.slow
def test_an_inference_with_claras_own_saver_passes_the_check(mmar4):
    infer = {key: value for key, value in copy.deepcopy(EVALUATE40).items() if key != "metrics"}
    infer["handlers"] = infer["handlers"][:2]
    infer["post_transforms"].append(component("SaveImaged", keys="pred", output_dir="{MMAR_EVAL_OUTPUT_PATH}"))
    mmar4.files["config_inference.json"] = infer
    report, _ = mmar4.run(check=True)
    assert "an inference that wrote 2 files" in find(report, "CT706")["message"]


def test_images_are_read_from_the_folder_that_the_data_set_names(mmar4):
    del mmar4.files["environment.json"]["DATA_ROOT"]
    for part in ("train", "validate"):
        mmar4.set(f"{part}.dataset.data_file_base_dir", "/spleen")
    bundle = mmar4.bundle()
    assert bundle["dataset_dir"] == "/spleen"
    assert bundle["validate"]["data"].endswith(", @dataset_dir)")
    bundle = mmar4.set("validate.dataset.data_file_base_dir", "/other").bundle()
    assert bundle["dataset_dir"] == "/spleen"
    assert bundle["validate"]["data"].endswith(", '/other')")


@pytest.mark.parametrize(("version", "dialect"), [("v4.1.0", "4.1"), ("latest", "4.0"), (4.1, "4.1"), ("4.0", "4.0")])
def test_a_version_that_cannot_be_read_does_not_tell_the_dialect(mmar4, version, dialect):
    report, _ = mmar4.set("CLARA_TRAIN_VERSION", version).run()
    assert report["files"][0]["dialect"] == dialect
    mmar4.train = {**as_41(TRAIN40), "CLARA_TRAIN_VERSION": "latest"}
    assert mmar4.run()[0]["files"][0]["dialect"] == "4.1"


def test_an_inference_has_no_handler_that_works_on_the_training(mmar4):
    stopper = component("EarlyStopping", patience=3, trainer="@trainer")
    mmar4.train["validate"]["handlers"].append(stopper)
    report, _ = mmar4.run(output=mmar4.folder.parent / "valid")
    assert "CT702" not in [item["code"] for item in report["diagnostics"]]
    for name, part in (("evaluate.json", "validate"), ("inference.json", "")):
        found = mmar4.bundle(name)
        names = [block["_target_"] for block in (found[part] if part else found)["handlers"]]
        assert not any("EarlyStopping" in name for name in names)
    trained = [block["_target_"] for block in mmar4.bundle()["validate"]["handlers"]]
    assert "scripts.manual.ClaraEarlyStopping" in trained
    assert {"CT401", "CT809"} <= set(codes_of(report))
