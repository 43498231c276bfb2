"""The names of metrics: each once in the bundle, filled in, and none made up in silence."""

import pytest

from tests.migrate.clara4.conftest import PAIR, as_41, component


def entry_of(report, path):
    entries = [entry for file in report["files"] for entry in file["entries"]]
    return next(entry for entry in entries if entry["path"] == path)


def names_of(section):
    return [*section["key_metric"], *section.get("additional_metrics", {})]


@pytest.mark.parametrize("newer", [False, True])
def test_a_second_metric_of_one_name_gets_its_own(mmar4, newer):
    mmar4.train["validate"]["metrics"][1]["log_label"] = "val_mean_dice"
    if newer:
        mmar4.train = as_41(mmar4.train)
    report, code = mmar4.run()
    found = next(item for item in report["diagnostics"] if item["code"] == "CT505")
    assert code == 1
    assert found["message"] == 'the name "val_mean_dice" is used twice; this one is "val_mean_dice_2" in the bundle'
    validate = mmar4.bundle()["validate"]
    assert validate["key_metric"]["val_mean_dice"]["_target_"] == "MeanDice"
    assert validate["additional_metrics"]["val_mean_dice_2"]["_target_"] == "ignite.metrics.Accuracy"


def test_the_key_metric_keeps_its_name_wherever_it_is(mmar4):
    first, second = mmar4.train["validate"]["metrics"]
    first.pop("is_key_metric")
    second |= {"is_key_metric": True, "log_label": "val_mean_dice"}
    validate = mmar4.bundle()["validate"]
    assert validate["key_metric"]["val_mean_dice"]["_target_"] == "ignite.metrics.Accuracy"
    assert validate["additional_metrics"]["val_mean_dice_2"]["_target_"] == "MeanDice"


def test_a_name_is_never_given_to_two(mmar4):
    labels = ["a", "a", "a_2", "a"]
    metrics = [{**component("Accuracy", output_transform=PAIR), "log_label": label} for label in labels]
    mmar4.set("validate.metrics", metrics)
    assert sorted(names_of(mmar4.bundle()["validate"])) == ["a", "a_2", "a_3", "a_4"]


def test_training_and_validation_may_share_a_name(mmar4):
    mmar4.train["train"]["metrics"][0]["log_label"] = "val_mean_dice"
    assert "CT505" not in mmar4.codes()


@pytest.mark.parametrize(
    ("label", "name"), [("{prefix}_dice", "val_dice"), ("{prefix}", "val"), (5, "5"), (0.5, "0.5")]
)
def test_a_name_may_be_a_variable_or_a_number(mmar4, label, name):
    mmar4.set("prefix", "val").set("validate.metrics.0.log_label", label)
    assert list(mmar4.bundle()["validate"]["key_metric"]) == [name]


@pytest.mark.parametrize("label", [["a"], {"a": 1}, True])
def test_what_is_no_name_is_an_error(mmar4, label):
    report, _ = mmar4.set("validate.metrics.0.log_label", label).run()
    assert "CT403" in [item["code"] for item in report["diagnostics"]]
    assert entry_of(report, "validate.metrics[0]")["outcome"] == "approximate"
    assert list(mmar4.bundle()["validate"]["key_metric"]) == ["MeanDice"]


def test_a_metric_without_a_name_is_not_exact(mmar4):
    del mmar4.train["validate"]["metrics"][0]["log_label"]
    entry = entry_of(mmar4.run()[0], "validate.metrics[0]")
    assert (entry["outcome"], "does not name it" in entry["why"]) == ("equivalent", True)


@pytest.mark.parametrize(("flag", "key"), [("true", "val_acc"), ("{key}", "val_acc"), ("false", "val_mean_dice")])
def test_the_mark_of_the_key_metric_may_be_text(mmar4, flag, key):
    mmar4.set("key", True)
    mmar4.train["validate"]["metrics"][0].pop("is_key_metric")
    mmar4.train["validate"]["metrics"][1]["is_key_metric"] = flag
    assert list(mmar4.bundle()["validate"]["key_metric"]) == [key]


def test_a_mark_that_is_neither_is_an_error(mmar4):
    report, _ = mmar4.set("validate.metrics.0.is_key_metric", "yes").run()
    assert "is 'yes', which is neither true nor false" in str(report["diagnostics"])


def test_aux_ops_and_metrics_do_not_replace_each_other(mmar4):
    ops = [component("DiceMaskedOutput", tags=["dice", "a", "b"], skip_background=True)] * 2
    mmar4.train["train"]["aux_ops"] = ops
    mmar4.train["train"]["metrics"][0]["log_label"] = "train_dice"
    train = mmar4.bundle()["train"]
    assert train["key_metric"]["train_dice"]["_target_"] == "ignite.metrics.Accuracy"
    assert list(train["additional_metrics"]) == ["train_dice_2", "train_dice_3"]


def test_a_ref_to_nothing_is_not_said_to_have_had_no_effect(mmar4):
    report, code = mmar4.set("validate.pre_transforms.0", {"ref": "LoadImag"}).run()
    entry = entry_of(report, "validate.pre_transforms[0].ref")
    assert (code, entry["outcome"]) == (1, "manual")
    assert "had no effect" not in entry["why"]
    transforms = mmar4.bundle()["validate"]["preprocessing"]["transforms"]
    assert transforms[0]["_target_"] == "scripts.manual.ClaraLoadImag"


def test_a_disabled_ref_to_nothing_is_left_out(mmar4):
    report, _ = mmar4.set("validate.pre_transforms.0", {"ref": "LoadImag", "disabled": True}).run()
    assert entry_of(report, "validate.pre_transforms[0].ref")["outcome"] == "dropped"


def test_a_ref_to_a_disabled_component_is_a_guess(mmar4):
    mmar4.set("train.pre_transforms.0.disabled", True)
    entries = [entry for entry in mmar4.run()[0]["files"][0]["entries"] if entry["clara"] == "LoadImaged"]
    assert entries[0]["reason"] == "Disabled: it had no effect."
    assert "not documented" in entries[1]["reason"]


def test_a_flag_that_is_neither_true_nor_false_is_a_guess(mmar4):
    report, _ = mmar4.set("train.pre_transforms.0.disabled", "maybe").run()
    assert entry_of(report, "train.pre_transforms[0]")["outcome"] == "approximate"
