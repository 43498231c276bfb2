"""``attach --check``: one epoch without and with aux-ops, and the verdict on every value."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from monai_auxops.attach import child, trial
from monai_auxops.attach.command import AttachError, AttachOptions, attach, settings_of
from monai_auxops.attach.evidence import Answers
from monai_auxops.attach.pairs import MetricPair
from monai_auxops.attach.plan import Plan
from monai_auxops.attach.problem import first_line
from monai_auxops.attach.table import compare
from monai_auxops.attach.trial import EpochResult
from monai_auxops.cli import main
from tests.attach.conftest import ARGMAX, FROM_ENGINE, SIGMOID, compose, metadata, training

NAMES = ["background", "liver", "kidney"]
ACCURACY = {"val_acc": {"_target_": "ignite.metrics.Accuracy", "output_transform": FROM_ENGINE}}


@pytest.fixture
def in_process(monkeypatch):
    """Run the two epochs here instead of in processes of their own, which take seconds to start."""

    def run(spec, synthetic, timeout):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", list(sys.path))
            patch.chdir(spec.parent)
            try:
                return json.loads(json.dumps(child.run(json.loads(spec.read_text()))))
            except Exception as error:
                return {"error": first_line(error)}

    monkeypatch.setattr(trial, "_child", run)


def with_accuracy(config):
    config["imports"].append("$import ignite")
    config["validate"]["evaluator"]["additional_metrics"] = ACCURACY
    return config


def metric(target, **more):
    return {"val_x": {"_target_": target, "output_transform": FROM_ENGINE, **more}}


BCE = {"_target_": "torch.nn.BCEWithLogitsLoss"}
DISCRETE = {"_target_": "AsDiscreted", "keys": "pred"}
ONEHOT = {"_target_": "DiceLoss", "softmax": True}
KINDS = {
    "softmax, argmax, index labels": training(),
    "sigmoid, threshold, one-hot labels": training(SIGMOID, BCE),
    "one channel": training(SIGMOID, BCE, 1, metric("MeanDice")),
    "the threshold is of raw values": training(compose({**DISCRETE, "threshold": 0.1}), BCE),
    "softmax, one-hot labels": training(
        compose({**DISCRETE, "argmax": True, "to_onehot": 3}), ONEHOT
    ),
    "IoU": training(key_metric=metric("MeanIoUHandler")),
    "the background counts": training(key_metric=metric("MeanDice")),
    "empty classes count": training(
        key_metric={
            "val_x": {
                "_target_": "IgniteMetricHandler",
                "metric_fn": {"_target_": "DiceMetric", "ignore_empty": False, "include_background": False},
                "output_transform": FROM_ENGINE,
            }
        }
    ),
}  # fmt: skip


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_a_bundle_of_every_kind_is_proved_equal(bundle, config):
    channels = config["network"]["out_channels"]
    bundle.write("train.json", config).write("metadata.json", metadata(NAMES[:channels]))
    said, good = attach(AttachOptions(bundle.folder, check="synthetic"))
    assert good
    rows = [re.split(r"  +", line.strip()) for line in said.splitlines() if " | " in line]
    assert rows
    for _, theirs, ours, verdict in rows:
        assert (theirs, verdict) == (ours, "equal")
    assert re.search(r"weights +(\w+) +\1 +equal", said)
    assert "aux_ops.json" in bundle.files()


@pytest.mark.usefixtures("in_process")
def test_inflated_accuracy_is_explained(bundle):
    bundle.write("train.json", with_accuracy(training()))
    said, good = attach(AttachOptions(bundle.folder, ["ComputeDice", "ComputeAccuracy"], check="synthetic"))
    row = next(line for line in said.splitlines() if "val_acc | val_accuracy" in line)
    theirs, ours = (float(text) for text in re.findall(r"0\.\d{6}", row))
    assert theirs == pytest.approx(1 - 2 * (1 - ours) / 3, abs=1e-5)
    assert "element-wise on 3 one-hot classes" in row
    assert good


@pytest.mark.usefixtures("in_process")
def test_a_classification(bundle):
    config = with_accuracy(training(loss={"_target_": "torch.nn.CrossEntropyLoss"}, key_metric=ACCURACY))
    config["network"] = "$torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))"
    config["validate"]["evaluator"].pop("additional_metrics")
    meta = metadata(NAMES, format="classes", num_channels=3)
    bundle.write("train.json", config).write("metadata.json", meta)
    said, good = attach(AttachOptions(bundle.folder, check="synthetic"))
    assert good
    assert "val_acc | val_accuracy" in said


INVERTS = {
    "validate#postprocessing": compose(
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        {"_target_": "Invertd", "keys": ["pred", "label"], "transform": "@validate#preprocessing",
         "orig_keys": "image", "nearest_interp": [False, True]},
        {"_target_": "AsDiscreted", "keys": ["pred", "label"], "argmax": [True, False], "to_onehot": 3},
    ),
    "run": ["$@validate#evaluator.run()"],
}  # fmt: skip


@pytest.mark.usefixtures("in_process")
def test_an_evaluation_on_the_original_grid(bundle):
    config = training()
    config["network"] |= {"spatial_dims": 3}
    both = {"keys": ["image", "label"]}
    config["validate"]["preprocessing"] = compose(
        {"_target_": "LoadImaged", **both},
        {"_target_": "EnsureChannelFirstd", **both},
        {"_target_": "Spacingd", **both, "pixdim": [2.0, 2.0, 2.0], "mode": ["bilinear", "nearest"]},
        {"_target_": "SpatialPadd", **both, "spatial_size": [32, 32, 32]},
    )
    config["validate"]["dataset"] = {"_target_": "Dataset", "data": [], "transform": "@validate#preprocessing"}
    config["validate"]["data"] = {"_target_": "DataLoader", "dataset": "@validate#dataset"}
    meta = metadata(NAMES)
    meta["network_data_format"]["inputs"]["image"]["spatial_shape"] = [32, 32, 32]
    bundle.write("train.json", config).write("metadata.json", meta).write("evaluate.json", INVERTS)
    said, good = attach(AttachOptions(bundle.folder, check="synthetic"))
    assert good
    assert said.count("val_mean_dice | val_dice") == 2
    raw, _ = attach(AttachOptions(bundle.folder, answers=Answers(stage="raw"), check="synthetic", force=True))
    assert "measured before post-processing, on another grid" in raw


@pytest.mark.usefixtures("in_process")
def test_the_bundles_own_data(bundle):
    config = training()
    config["samples"] = [{"image": 0}]
    config["train"]["data"] = "$[{'image': torch.rand(2, 1, 8, 8), 'label': torch.ones(2, 1, 8, 8)}] * @samples"
    config["validate"]["data"] = "$@train#data"
    bundle.write("train.json", config)
    said, good = attach(AttachOptions(bundle.folder, check="own", settings=settings_of(["samples=3"])))
    assert good
    assert "on the bundle's data" in said


@pytest.mark.usefixtures("in_process")
def test_what_exists_is_checked_as_it_is(bundle):
    attach(AttachOptions(bundle.folder))
    block = bundle.block()
    block["validate#evaluator#additional_metrics"]["val_dice"]["skip_background"] = False
    block["validate#evaluator#additional_metrics"]["val_dice"].pop("class_names")
    bundle.write("aux_ops.json", block)
    said, good = attach(AttachOptions(bundle.folder, check="synthetic"))
    assert not good
    assert "nothing in the bundle explains it" in said
    assert bundle.block() == block


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initialize": ["$1 / 0"]}, "the bundle's own run fails without aux-ops: ZeroDivisionError"),
        (
            {"network": {"_target_": "UNet", "spatial_dims": 2}},
            "the bundle's own run fails without aux-ops: TypeError",
        ),
    ],
)
def test_a_bundle_that_fails_by_itself(bundle, change, message):
    bundle.write("train.json", training() | change).write("metadata.json", metadata(NAMES))
    with pytest.raises(AttachError, match=message) as caught:
        attach(AttachOptions(bundle.folder, check="synthetic", answers=Answers(class_names=())))
    assert "\n" not in str(caught.value)
    assert "aux_ops.json" not in bundle.files()


@pytest.mark.usefixtures("in_process")
def test_an_ensemble(bundle):
    (bundle.configs / "train.json").unlink()
    config = training()
    ensemble = config["validate"]["evaluator"] | {"_target_": "EnsembleEvaluator", "networks": ["@network", "@network"]}
    ensemble |= {"pred_keys": ["pred0", "pred1"], "postprocessing": "@post"}
    ensemble.pop("network")
    mean = {"_target_": "MeanEnsembled", "keys": ["pred0", "pred1"], "output_key": "pred"}
    alone = {"network": config["network"], "evaluator": ensemble, "post": compose(mean, *ARGMAX["transforms"])}
    alone["validate"] = {"data": [], "key_metric": config["validate"]["key_metric"]}
    bundle.write("evaluate.json", alone | {"run": ["$@evaluator.run()"]})
    said, good = attach(AttachOptions(bundle.folder, check="synthetic"))
    assert good
    assert re.search(r"val_mean_dice \| val_dice +(\S+) +\1 +equal", said)


def test_large_files_are_linked_and_models_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_LARGE", 3)
    source, target = tmp_path / "models", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "model.pt").write_text("weights")
    (tmp_path / "image.nii").write_text("image")
    (tmp_path / "list.csv").write_text("a")
    for path in (source / "model.pt", tmp_path / "image.nii", tmp_path / "list.csv"):
        trial._copy(str(path), str(target / path.name))
    assert [path.name for path in sorted(target.iterdir()) if path.is_symlink()] == ["image.nii"]


def test_without_a_format_of_the_data(bundle):
    bundle.write("metadata.json", {})
    with pytest.raises(AttachError, match="no data can be generated; use --check own"):
        attach(AttachOptions(bundle.folder, check="synthetic"))


PLAN = Plan(None, pairs=[MetricPair("evaluator", "val_mean_dice", "val_dice", "dice")])


def outcome(weights="a", theirs=0.5, ours=0.5, **labels):
    return EpochResult(weights, {"evaluator": {"val_mean_dice": theirs, "val_dice": ours}}, {"evaluator": labels})


def without(weights="a", theirs=0.5):
    return EpochResult(weights, {"evaluator": {"val_mean_dice": theirs}})


@pytest.mark.parametrize(
    ("before", "after", "note", "verdicts"),
    [
        (without(), outcome(), "", ["equal", "equal", "equal"]),
        (without("b"), outcome(), "", ["differ", "equal", "equal"]),
        (without(theirs=0.4), outcome(), "", ["equal", "changed by the aux-ops", "equal"]),
        (without(), outcome(ours=0.6), "", ["equal", "equal", "differs by 0.1, and nothing in the bundle explains it"]),
        (without(), outcome(ours=0.6), "a note", ["equal", "equal", "a note"]),
        (without(), outcome(ours=0.6, fractions=True), "", ["equal", "equal", "labels hold fractions: MONAI truncates "
                                                           "them, aux-ops leave them out"]),
        (without(theirs="[1]"), outcome(theirs="[1]"), "", ["equal", "equal", "one of them is not a single number"]),
        (without(), outcome(ours=None), "", ["equal", "equal", "no value named val_dice"]),
    ],
)  # fmt: skip
def test_every_verdict(before, after, note, verdicts):
    plan = replace(PLAN, pairs=[replace(PLAN.pairs[0], note=note)])
    rows = compare(plan, before, after)
    assert [row.verdict for row in rows] == verdicts
    explained = {"equal", "a note", "labels hold fractions: MONAI truncates them, aux-ops leave them out"}
    assert [row.good for row in rows] == [verdict in explained for verdict in verdicts]


def test_an_accuracy_that_is_more_than_inflated():
    pair = MetricPair("evaluator", "val_mean_dice", "val_dice", "accuracy", "element-wise", 4)
    right = compare(replace(PLAN, pairs=[pair]), without(theirs=0.75), outcome(theirs=0.75, ours=0.5))
    wrong = compare(replace(PLAN, pairs=[pair]), without(theirs=0.9), outcome(theirs=0.9, ours=0.5))
    assert (right[-1].verdict, right[-1].good) == ("element-wise", True)
    assert (wrong[-1].verdict, wrong[-1].good) == ("element-wise, which would be 0.750000", False)


def test_settings():
    assert settings_of(["a=[1, 2]", "b#c=text", "d=x=y"]) == {"a": [1, 2], "b#c": "text", "d": "x=y"}
    with pytest.raises(AttachError, match="--set: expected ID=VALUE"):
        settings_of(["a"])


def test_a_child_that_dies(tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text("{}")
    assert trial._child(spec, True, 0.001) == {"error": "it took more than 0 s"}


@pytest.mark.slow
def test_the_command_in_processes_of_its_own(bundle, capsys):
    assert main(["attach", str(bundle.folder), "--check"]) == 0
    assert "val_mean_dice | val_dice" in capsys.readouterr().out
    assert not list(Path(bundle.folder).glob("runs"))
