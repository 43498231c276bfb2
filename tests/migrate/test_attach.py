"""`attach`: overrides beside a bundle's own files, which train with them."""

import json
import re
import shutil

import pytest
from monai.bundle import ConfigParser

from monai_auxops.cli import main
from monai_auxops.migrate.attach import AttachError, attach
from tests.migrate.conftest import ROOT

TRAIN = {
    "loss": {"_target_": "DiceLoss", "softmax": True},
    "train": {"trainer": {"_target_": "SupervisedTrainer"}},
    "validate": {
        "key_metric": {"val_mean_dice": {"_target_": "MeanDice"}},
        "additional_metrics": {"val_accuracy": {"_target_": "ignite.metrics.Accuracy"}},
        "evaluator": {"key_val_metric": "@validate#key_metric", "additional_metrics": "@validate::additional_metrics"},
    },
}


@pytest.fixture
def folder(tmp_path):
    channels = {"0": "background", "1": "Left lung", "2": "right-lung"}
    meta = {"network_data_format": {"outputs": {"pred": {"channel_def": channels}}}}
    (tmp_path / "configs").mkdir()
    write(tmp_path, "train.json", TRAIN)
    write(tmp_path, "metadata.json", meta)
    return tmp_path


def write(folder, name, content):
    (folder / "configs" / name).write_text(content if isinstance(content, str) else json.dumps(content))


def block(folder, name="aux_ops.json"):
    return json.loads((folder / "configs" / name).read_text())


def test_overrides_for_trainer_and_evaluator(folder):
    before = (folder / "configs" / "train.json").read_bytes()
    said = attach(folder, ["DiceMaskedOutput,NegLoss"])
    assert "python -m monai.bundle run --config_file \"['configs/train.json','configs/aux_ops.json']\"" in said
    found = block(folder)
    assert list(found) == [
        "train#trainer#key_train_metric",
        "+train#trainer#additional_metrics",
        "+validate#additional_metrics",
    ]
    op = found["train#trainer#key_train_metric"]["train_mean_dice"]
    assert op["tags"] == ["mean_dice", "dice_left_lung", "dice_right_lung"]
    assert op["skip_background"] is True
    assert found["+validate#additional_metrics"]["val_neg_loss"]["loss_function"] == "@loss"
    assert (folder / "configs" / "train.json").read_bytes() == before


def test_monai_merges_them(folder):
    attach(folder, ["ComputeDice", "NegLoss"])
    files = [str(folder / "configs" / name) for name in ("train.json", "aux_ops.json")]
    merged = ConfigParser.load_config_files(files)
    assert set(merged["validate"]["additional_metrics"]) == {"val_accuracy", "val_dice", "val_neg_loss"}
    assert list(merged["train"]["trainer"]["key_train_metric"]) == ["train_dice"]


def test_independent_channels(folder):
    write(folder, "train.json", {**TRAIN, "loss": {"sigmoid": True}})
    attach(folder, ["DiceMaskedOutput", "ComputeAccuracy"])
    found = block(folder)
    op = found["train#trainer#key_train_metric"]["train_mean_dice"]
    assert (op["is_independent_predictions"], op["final_activation"], len(op["tags"])) == (True, "sigmoid", 4)
    assert found["+train#trainer#additional_metrics"]["train_accuracy"]["use_sigmoid"] is True


def test_without_metadata_there_is_one_tag(folder):
    (folder / "configs" / "metadata.json").unlink()
    attach(folder, ["DiceMaskedOutput"])
    assert block(folder)["train#trainer#key_train_metric"]["train_mean_dice"]["tags"] == ["mean_dice"]


def test_the_evaluation(folder):
    write(folder, "evaluate.json", {"validate#handlers": []})
    assert "'configs/evaluate.json','configs/aux_ops.json'" in attach(folder, ["NegLoss"])
    alone = {"evaluator": {"_target_": "SupervisedEvaluator"}}
    write(folder, "evaluate.json", alone)
    write(folder, "train.json", {key: value for key, value in TRAIN.items() if key != "validate"})
    assert "configs/aux_ops_evaluate.json" in attach(folder, ["ComputeDice"], force=True)
    assert list(block(folder, "aux_ops_evaluate.json")) == ["evaluator#key_val_metric"]


def test_beside_a_metric_of_the_same_name(folder):
    attach(folder, ["DiceMaskedOutput", "ComputeAccuracy"])
    found = block(folder)["+validate#additional_metrics"]
    assert {name: op["_target_"] for name, op in found.items()} == {
        "val_mean_dice_aux": "monai_auxops.DiceMaskedOutput",
        "val_accuracy_aux": "monai_auxops.ComputeAccuracy",
    }


def test_an_op_that_the_evaluation_has(folder):
    write(folder, "train.json", {"train": TRAIN["train"]})
    op = {"_target_": "monai_auxops.ComputeDice", "tag": "dice"}
    write(folder, "evaluate.json", {"evaluator": {"key_val_metric": {"val_dice": op}}})
    with pytest.raises(AttachError, match="evaluator has val_dice already"):
        attach(folder, ["ComputeDice"])
    assert not (folder / "configs" / "aux_ops.json").exists()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"label_format": [3, 1]}, "@label_format"),
        ({"a": {"_target_": "x", "label_format": "@##b"}, "loss": {"_target_": "y", "label_format": [2]}}, [2]),
        ({"ops": [{"_target_": "ComputeBinaryPreds", "label_format": "@classes"}]}, "@classes"),
    ],
)
def test_label_format_is_the_bundles(folder, more, expected):
    write(folder, "train.json", {**TRAIN, **more})
    attach(folder, ["ComputeMulticlassAccuracy"])
    op = block(folder)["train#trainer#key_train_metric"]["train_multiclassaccuracy"]
    assert op["label_format"] == expected


def test_a_bundle_of_this_repository(tmp_path):
    shutil.copytree(ROOT / "bundles" / "brain_extraction" / "configs", tmp_path / "configs")
    with pytest.raises(AttachError, match="train#trainer has train_dice already"):
        attach(tmp_path, ["ComputeDice"])


@pytest.mark.parametrize(
    ("ops", "change", "message"),
    [
        (["DiceMasked"], None, 'did you mean "DiceMaskedOutput"'),
        (["Zzz"], None, "see monai-auxops components"),
        (["ComputeBinaryPreds"], None, "leaves arrays"),
        (["ComputeAUC"], None, "ComputeAUC is a validation metric that reads an aux-op's tag"),
        (["ComputeMulticlassAccuracy"], None, 'needs label_format: add "label_format": [3, 1]'),
        (["NegLoss"], ("train.json", "{"), "is not JSON"),
        (["NegLoss"], ("train.json", "[]"), "holds no configuration"),
        (["NegLoss"], ("train.json", "{}"), "has no train#trainer"),
        (["NegLoss"], ("aux_ops.json", "{}"), "--force"),
        (["DiceMasked"], ("aux_ops.json", "{}"), 'did you mean "DiceMaskedOutput"'),
        (["NegLoss"], ("metadata.json", {"network_data_format": 3}), ""),
    ],
)
def test_what_cannot_be_attached(folder, ops, change, message):
    if change:
        write(folder, *change)
    if not message:
        assert attach(folder, ops)
        return
    with pytest.raises(AttachError, match=re.escape(message)):
        attach(folder, ops)


def test_no_bundle(tmp_path, capsys):
    assert main(["attach", str(tmp_path), "--ops", "NegLoss"]) == 2
    assert "train.json is not there" in capsys.readouterr().err


def test_the_command(folder, capsys):
    assert main(["attach", str(folder), "--ops", "NegLoss"]) == 0
    assert "aux_ops.json" in capsys.readouterr().out
