"""Strange but plausible MMARs: nothing is lost in silence, and no guess is shown as a fact."""

import copy

import pytest

from monai_auxops.migrate.clara4.kinds import fits_package
from tests.migrate.clara4.conftest import EVALUATE40, TRAIN40, as_41, component
from tests.migrate.clara4.test_log_labels import entry_of

LOADER = {"load_path": "models/encoder.pt", "load_dict": ["model"]}


def found(report, code):
    return [item["message"] for item in report["diagnostics"] if item["code"] == code]


@pytest.mark.parametrize(("name", "value"), [
    ("data_list_key", ["training", "validation"]), ("data_list_key", 3), ("data_list_file_path", ["a.json"]),
])  # fmt: skip
def test_an_attribute_of_the_wrong_type_is_an_error(mmar4, name, value):
    report, code = mmar4.set(f"train.dataset.{name}", value).run()
    assert (code, entry_of(report, "train.dataset")["outcome"]) == (1, "approximate")
    assert found(report, "CT403") == [f"{name} is {value!r}, which is not text"]


def test_a_folder_that_is_null_is_none(mmar4):
    assert mmar4.set("train.dataset.data_file_base_dir", None).bundle()["train"]["data"].endswith(", @dataset_dir)")


@pytest.mark.parametrize(("rank", "told"), [(0, False), ("0", False), ([0, 1], True), (1, True)])
def test_a_rank_that_the_bundle_does_not_heed_is_reported(mmar4, rank, told):
    report, _ = mmar4.set("train.handlers.3.rank", rank).run()
    assert bool(found(report, "CT404")) == told


@pytest.mark.parametrize(("model", "network"), [
    ({"ckpt_path": "models/best.pt"}, "best.pt"),
    ({**TRAIN40["train"]["model"], "ckpt_path": "models/best.pt"}, "best.pt"),
    ([{"ckpt_path": "models/off.pt", "disabled": True}, {"ckpt_path": "models/best.pt"}], "best.pt"),
    ({"ckpt_path": "{MMAR_CKPT}"}, "model.pt"),
])  # fmt: skip
def test_an_evaluation_reads_the_weights_that_its_model_names(mmar4, model, network):
    mmar4.files["config_validation.json"] = {**EVALUATE40, "model": model}
    loader = mmar4.bundle("evaluate.json")["validate"]["handlers"][0]
    assert loader["load_path"] == f"$@ckpt_dir + '/{network}'"


def test_an_evaluation_reads_the_script_that_its_model_names(mmar4):
    mmar4.train = None
    mmar4.files["config_validation.json"] = {**EVALUATE40, "model": {"ts_path": "models/other.ts"}}
    assert "/other.ts" in mmar4.bundle("evaluate.json")["network"]


def test_a_loss_is_no_file_of_weights(mmar4):
    report, code = mmar4.set("train.loss", {"ckpt_path": "x.pt"}).run()
    assert (code, entry_of(report, "train.loss")["outcome"]) == (1, "manual")


def test_fine_tuning_starts_from_the_file_that_the_loader_names(mmar4):
    mmar4.set("dont_load_ckpt_model", False).set("train.handlers.0.args.load_path", "/pretrained/other.pt")
    assert mmar4.bundle()["finetune"] == "$@ckpt_dir + '/other.pt'"
    why = entry_of(mmar4.run()[0], "train.handlers[0]")["why"]
    assert "The bundle reads other.pt in its models folder: copy the file there." in why


def test_a_second_loader_keeps_its_own_switch(mmar4):
    mmar4.train["train"]["handlers"].append({**component("CheckpointLoader", **LOADER), "disabled": "{no_encoder}"})
    bundle = mmar4.set("no_encoder", True).bundle()
    assert bundle["no_encoder"] is True
    assert bundle["train"]["handlers"][-1]["_disabled_"] == "@no_encoder"


@pytest.mark.parametrize("values", [
    {"DATA_ROOT": 5}, {"DATASET_JSON": ["a.json"]}, {"MMAR_CKPT": None}, {"PROCESSING_TASK": "regression"},
])  # fmt: skip
def test_an_environment_of_wrong_values_is_an_error(mmar4, values):
    mmar4.files["environment.json"] |= values
    report, code = mmar4.run()
    assert (code, len(found(report, "CT206"))) == (1, 1)
    assert "None" not in str(mmar4.bundle("evaluate.json")["validate"]["handlers"])


def test_another_environment_is_not_taken_in_silence(mmar4):
    mmar4.files["environment_multi.json"] = mmar4.files.pop("environment.json")
    assert "environment_multi.json is used" in found(mmar4.run()[0], "CT114")[0]


def test_only_the_seed_of_determinism_is_migrated(mmar4):
    report, _ = mmar4.set("determinism", {"random_seed": 7, "use_deterministic_algorithms": True}).run()
    assert "use_deterministic_algorithms" in found(report, "CT317")[0]


@pytest.mark.parametrize("name", ["epochs", "num_interval_per_valid"])
def test_a_count_is_above_0(mmar4, name):
    report, code = mmar4.set(name, 0).run()
    assert (code, found(report, "CT206")) == (1, [f"{name}: expected a number above 0, found 0"])


def test_only_the_training_is_read_if_asked(mmar4):
    mmar4.files["config_validation.json"] = EVALUATE40
    report, _ = mmar4.run(only="training")
    assert [file["file"] for file in report["files"]] == ["config/config_train.json"]


@pytest.mark.parametrize(("path", "fits"), [
    ("monai.losses.DiceLoss", True), ("monai.losses.dice.DiceLoss", True), ("monai.networks.DiceLoss", False),
    ("torch.nn.CrossEntropyLoss", True), ("torch.nn.modules.loss.CrossEntropyLoss", True),
    ("torch.optim.Adam", True), ("torch.nn.Adam", False), ("monai.optimizers.Novograd", True),
    ("monai.networks.nets.UNet", True), ("monai.losses.UNet", False), ("ignite.metrics.Accuracy", True),
    ("monai.transforms.io.dictionary.LoadImaged", True), ("monai.handlers.MeanDice", True),
])  # fmt: skip
def test_a_path_goes_through_the_package_of_its_class(path, fits):
    assert fits_package(path, path.rpartition(".")[2]) == fits


def test_a_path_through_another_package_is_unknown(mmar4):
    report, code = mmar4.set("train.loss", {"path": "monai.networks.DiceLoss"}).run()
    assert (code, entry_of(report, "train.loss")["outcome"]) == (1, "manual")


def test_a_hint_is_another_word(mmar4):
    report, _ = mmar4.set("validate.model", component("UNet")).run()
    assert next(item for item in report["diagnostics"] if item["code"] == "CT317")["hint"] == ""


def test_a_best_model_needs_a_metric(mmar4):
    report, _ = mmar4.set("validate.metrics", []).run()
    assert found(report, "CT501") == ["CheckpointSaver saves the best model, but there is no metric"]


def test_an_evaluation_of_41_may_stand_alone(mmar4):
    mmar4.train, mmar4.files["config_validation.json"] = None, as_41(copy.deepcopy(EVALUATE40))
    report, code = mmar4.run()
    assert (code, {entry["outcome"] for entry in report["files"][0]["entries"]}) == (0, {"exact"})


def test_an_engine_of_41_that_does_not_name_an_object_is_not_exact(mmar4):
    mmar4.train = as_41(mmar4.train)
    mmar4.set("validate.inferer", component("SlidingWindowInferer", roi_size=[16, 16, 16]))
    wires = {"inferer": "@inferer", "val_handlers": "@handlers", "key_val_metric": "@key_metric"}
    mmar4.set("validate.evaluator.args", {**wires, "postprocessing": "@post_transforms"})
    entry = entry_of(mmar4.run()[0], "validate.evaluator")
    assert (entry["outcome"], entry["notes"]) == (
        "approximate",
        ["the file does not pass it additional_metrics, the bundle does"],
    )
    mmar4.set("validate.evaluator.args.additional_metrics", "@additional_metrics")
    assert entry_of(mmar4.run()[0], "validate.evaluator")["outcome"] == "exact"


@pytest.mark.parametrize("name", ["data_list_key", "data_list_file_path"])
def test_a_dataset_without_its_list_is_reported(mmar4, name):
    del mmar4.train["validate"]["dataset"][name]
    report, code = mmar4.run()
    assert (code, found(report, "CT322")) == (1, [f"CacheDataset has no {name}; the bundle has its own default"])


@pytest.mark.parametrize(("off", "scripted"), [("dont_load_ckpt_model", True), ("dont_load_ts_model", False)])
def test_an_evaluation_reads_the_model_that_is_not_disabled(mmar4, off, scripted):
    switches = {"dont_load_ckpt_model": False, "dont_load_ts_model": False, off: True}
    mmar4.files["config_validation.json"] = {**EVALUATE40, **switches}
    (mmar4.folder / "models").mkdir(parents=True)
    for name in ("model.pt", "model.ts"):
        (mmar4.folder / "models" / name).write_bytes(b"")
    bundle = mmar4.bundle("evaluate.json")
    assert bundle["use_torchscript"] == scripted
    assert off not in bundle


@pytest.mark.parametrize("off", [True, False])
def test_a_metric_that_a_variable_disables_is_decided_now(mmar4, off):
    mmar4.set("off", off).set("validate.metrics.0.disabled", "{off}")
    validate = mmar4.bundle()["validate"]
    assert list(validate["key_metric"]) == ["val_acc" if off else "val_mean_dice"]
    assert "_disabled_" not in str(validate["key_metric"])


def test_a_checkpoint_is_mapped_to_the_device_of_the_bundle(mmar4):
    mmar4.set("train.handlers.0.args.map_location", "cuda:0")
    assert mmar4.bundle()["train"]["handlers"][0]["map_location"] == "@device"


@pytest.mark.parametrize(("given", "today", "outcome"), [
    ("*", ["mean", "median", "max", "min", "10percentile", "std"], "equivalent"),
    (["mean", "90percent"], ["mean", "10percentile"], "equivalent"), ("mean", ["mean"], "exact"),
])  # fmt: skip
def test_the_summary_of_40_has_its_own_columns(mmar4, given, today, outcome):
    saver = component("MetricsSaver", save_dir="eval", metrics=["val_acc"], summary_ops=given)
    mmar4.set("validate.handlers.0", saver)
    assert mmar4.bundle()["validate"]["handlers"][0]["summary_ops"] == today
    assert entry_of(mmar4.run()[0], "validate.handlers[0]")["outcome"] == outcome


def test_own_code_that_prints_is_not_exact(mmar4):
    mmar4.set("validate.handlers.0.args.epoch_print_logger", "lambda engine: print(engine.state.epoch)")
    entry = entry_of(mmar4.run()[0], "validate.handlers[0]")
    assert (entry["outcome"], "your own code" in entry["why"].lower()) == ("equivalent", True)


def test_models_that_are_all_disabled_are_reported(mmar4):
    mmar4.files["config_validation.json"] = {**EVALUATE40, "dont_load_ts_model": True, "dont_load_ckpt_model": True}
    assert "every model is disabled; the first one is loaded" in found(mmar4.run()[0], "CT804")


def test_a_smart_cache_handler_needs_a_smart_cache(mmar4):
    mmar4.train["train"]["handlers"].append({"name": "SmartCacheHandler"})
    report, code = mmar4.run()
    told = "SmartCacheHandler needs a SmartCacheDataset, but the dataset is CacheDataset"
    assert (code, found(report, "CT313")) == (1, [told])
    assert entry_of(report, "train.handlers[4]")["outcome"] == "approximate"


def test_an_engine_gets_only_what_it_takes(mmar4):
    pairs = {f"{net}_{what}": value for net in "gd" for what, value in
             {"network": "@model", "optimizer": "@optimizer", "loss_function": "@loss"}.items()}  # fmt: skip
    mmar4.set("train.trainer", component("GanTrainer", **pairs))
    trainer = mmar4.bundle()["train"]["trainer"]
    assert trainer["g_network"] == "@network"
    assert not {"network", "optimizer", "loss_function", "amp"} & set(trainer)


def test_a_ref_with_several_targets_is_a_guess(mmar4):
    mmar4.train["train"]["pre_transforms"].append(component("LoadImaged", keys="label"))
    entries = mmar4.run()[0]["files"][0]["entries"]
    loads = [entry for entry in entries if entry["clara"] == "LoadImaged"]
    assert [entry["outcome"] for entry in loads] == ["exact", "exact", "approximate"]


def test_an_environment_may_hold_an_object(mmar4):
    mmar4.files["environment.json"]["extra"] = {"a": 1}
    assert "CT114" not in mmar4.codes()
