"""What ``attach`` writes for bundles of every layout, and what it derives."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from monai_auxops.attach.command import AttachError, AttachOptions, attach
from monai_auxops.attach.evidence import Answers
from monai_auxops.cli import main
from tests.attach.conftest import ARGMAX, FROM_ENGINE, SIGMOID, compose, metadata, training


def attached(bundle, *ops, answers=None, **more):
    """Attach, and return what it says and the block of the training."""
    said, good = attach(AttachOptions(bundle.folder, ops, answers or Answers(), **more))
    assert good
    return said, bundle.block()


def ops_of(block):
    """All ops of a block by name, wherever they were put."""
    found = {}
    for key, value in block.items():
        found |= {key.rpartition("#")[2]: value} if "_target_" in value else value
    return found


def merged(bundle, *names):
    files = [str(bundle.configs / name) for name in names or ("train.json", "aux_ops.json")]
    return ConfigParser.load_config_files(files)


def test_both_sides_measure_the_same_under_the_same_tag(bundle):
    before = (bundle.configs / "train.json").read_bytes()
    said, block = attached(bundle)
    op = {
        "_target_": "monai_auxops.ComputeDice",
        "tag": "dice",
        "skip_background": True,
        "class_names": ["liver", "kidney"],
    }
    assert block == {
        "train#trainer#key_train_metric": {"train_dice": op},
        "validate#evaluator#additional_metrics": {"val_dice": op},
    }
    assert (bundle.configs / "train.json").read_bytes() == before
    assert "python -m monai.bundle run --config_file \"['configs/train.json','configs/aux_ops.json']\"" in said


def test_every_derivation_is_reported(bundle):
    said, _ = attached(bundle)
    for line in (
        "exclusive classes: the post-processing takes the argmax",
        "index labels: the post-processing makes them one-hot",
        "class 0 is left out: val_mean_dice (MeanDice) has include_background=False",
        "train_dice becomes its key metric, because it has none",
    ):
        assert line in said


def test_monai_merges_without_a_warning(bundle, recwarn):
    attached(bundle)
    config = merged(bundle)
    assert list(config["validate"]["evaluator"]["additional_metrics"]) == ["val_dice"]
    assert not [str(one.message) for one in recwarn if "merge" in str(one.message)]


def test_names_follow_the_channel_number(bundle):
    names = ["background", *(f"organ{number}" for number in range(1, 12))]
    bundle.write("train.json", training(channels=12)).write("metadata.json", metadata(names))
    assert ops_of(attached(bundle)[1])["val_dice"]["class_names"] == names[1:]


@pytest.mark.parametrize(
    ("loss", "activation", "said"),
    [
        ({"_target_": "DiceLoss", "sigmoid": "@use_sigmoid"}, "sigmoid", "DiceLoss applies it"),
        ("$monai.losses.DiceLoss(sigmoid=True)", "sigmoid", "DiceLoss applies it"),
        ("$monai.losses.DeepSupervisionLoss(monai.losses.DiceLoss(sigmoid=True))", "sigmoid", "DeepSupervisionLoss"),
        ({"_target_": "torch.nn.BCEWithLogitsLoss"}, "sigmoid", "BCEWithLogitsLoss"),
        ({"_target_": "FocalLoss"}, "sigmoid", "FocalLoss"),
        ({"_target_": "DiceFocalLoss", "sigmoid": True}, "sigmoid", "DiceFocalLoss"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_loss_says_the_activation_where_no_postprocessing_does(bundle, loss, activation, said, channels):
    config = training(None, loss, channels) | {"use_sigmoid": True}
    bundle.write("train.json", config).write("metadata.json", {})
    found, block = attached(bundle, "ComputeDice")
    op = ops_of(block)["val_dice"]
    assert (op["final_activation"], op.get("is_independent_predictions", False)) == (activation, channels > 1)
    assert op.get("is_onehot_targets", False) is (channels > 1)
    assert said in found


@pytest.mark.parametrize(
    ("postprocessing", "expected"),
    [
        (SIGMOID, {"final_activation": "sigmoid"}),
        (compose({"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.0}), {"threshold": 0.0}),
        (compose({"_target_": "AsDiscreted", "keys": "pred", "rounding": "torchrounding"}), {}),
        ("$monai.transforms.Compose([monai.transforms.AsDiscreted('pred', threshold=0.3)])", {"threshold": 0.3}),
        ({"_target_": "Compose", "transforms": "$@parts[:1] + @parts[1:]"}, {"final_activation": "sigmoid"}),
        ({"_target_": "Compose", "transforms": "%train#other#transforms"}, {"final_activation": "sigmoid"}),
        ("@train#other", {"final_activation": "sigmoid"}),
        (["$monai.transforms.Activationsd('pred', sigmoid=True)", SIGMOID], {"final_activation": "sigmoid"}),
    ],
)
def test_the_postprocessing_says_the_threshold(bundle, postprocessing, expected):
    config = training(postprocessing, {"_target_": "torch.nn.BCEWithLogitsLoss"}) | {"parts": SIGMOID["transforms"]}
    config["train"]["other"] = SIGMOID
    config["validate"]["postprocessing"] = "@train#postprocessing"
    bundle.write("train.json", config)
    op = ops_of(attached(bundle)[1])["val_dice"]
    known = {key: value for key, value in op.items() if key in ("threshold", "final_activation")}
    assert known == expected
    assert (op["is_independent_predictions"], op["is_onehot_targets"], op["skip_background"]) == (True, True, True)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ({"_target_": "MeanDice"}, {"tag": "dice"}),
        ({"_target_": "MeanIoUHandler", "include_background": False}, {"jaccard": True, "skip_background": True}),
        ({"_target_": "IgniteMetricHandler", "metric_fn": {"_target_": "DiceMetric", "ignore_empty": False}}
         , {"empty_value": 1.0}),
    ],
)  # fmt: skip
def test_the_metric_says_what_counts(bundle, metric, expected):
    bundle.write("train.json", training(key_metric={"val_x": {**metric, "output_transform": FROM_ENGINE}}))
    op = next(iter(ops_of(attached(bundle)[1]).values()))
    assert expected.items() <= op.items()
    assert op.get("skip_background", False) is ("include_background" in metric)


@pytest.mark.parametrize("additional", [None, "$None", "@validate#extra", "%validate#extra", "$@validate#extra"])
@pytest.mark.parametrize("extra", [None, {"val_acc": {"_target_": "MeanDice", "output_transform": FROM_ENGINE}}])
def test_a_slot_of_every_form(bundle, additional, extra):
    config = training(additional=additional)
    config["validate"]["extra"] = extra
    bundle.write("train.json", config)
    attached(bundle)
    parser = ConfigParser(merged(bundle))
    expected = ["val_acc"] if extra and str(additional).endswith("extra") else []
    assert list(parser.get_parsed_content("validate#evaluator#additional_metrics")) == [*expected, "val_dice"]


@pytest.mark.parametrize("key", ["$None", "@train#nothing", None])
def test_without_a_key_metric_the_aux_op_becomes_it(bundle, key):
    config = training()
    config["train"]["nothing"] = None
    config["train"]["trainer"]["key_train_metric"] = key
    bundle.write("train.json", config)
    block = attached(bundle, "ComputeDice", "NegLoss")[1]
    assert list(block["train#trainer#key_train_metric"]) == ["train_dice"]
    assert list(block["train#trainer#additional_metrics"]) == ["train_neg_loss"]


@pytest.mark.parametrize("key", ["$None", None, {}])
def test_a_validator_without_a_key_metric_is_measured_too(bundle, key):
    config = training()
    config["validate"]["evaluator"]["key_val_metric"] = key
    bundle.write("train.json", config)
    assert list(attached(bundle)[1]["validate#evaluator#key_val_metric"]) == ["val_dice"]


def test_paths_of_the_configuration_are_the_bundles(bundle, tmp_path_factory, monkeypatch):
    config = training()
    config["network"] = "%configs/network.json::network"
    config["imports"] += ["$import json"]
    network = training()["network"] | {"out_channels": "$len(json.load(open('configs/names.json')))"}
    bundle.write("train.json", config).write("network.json", {"network": network}).write("names.json", {"a": 0})
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    before = Path.cwd()
    with pytest.raises(AttachError, match="channel_def says 3 output channels and network#out_channels 1"):
        attach(AttachOptions(bundle.folder))
    assert Path.cwd() == before


def test_a_trainer_of_an_expression_is_named(bundle):
    config = training()
    config["train"]["trainer"] = "$make_trainer(@network)"
    bundle.write("train.json", config)
    said, _ = attach(AttachOptions(bundle.folder))
    assert "train#trainer is created by an expression, which has no metric slots, so it gets no aux-ops" in said
    assert "Train with it" in said


def test_a_key_metric_by_reference_is_kept(bundle):
    config = training()
    config["train"]["key"] = {"train_acc": {"_target_": "MeanDice", "output_transform": FROM_ENGINE}}
    config["train"]["trainer"]["key_train_metric"] = "@train#key"
    bundle.write("train.json", config)
    assert "train#trainer#additional_metrics" in attached(bundle)[1]


def test_an_engine_inside_a_macro(bundle):
    config = training()
    config["template"] = config["validate"]["evaluator"]
    config["validate"]["evaluator"] = "%template"
    bundle.write("train.json", config)
    attached(bundle)
    parser = ConfigParser(merged(bundle))
    assert "val_dice" in parser.get_parsed_content("validate#evaluator#additional_metrics")


def test_the_loss_is_found_through_the_trainer(bundle):
    config = training()
    config["loss_fn"] = config.pop("loss")
    config["train"]["trainer"]["loss_function"] = "@loss_fn"
    bundle.write("train.json", config)
    assert ops_of(attached(bundle, "NegLoss")[1])["val_neg_loss"]["loss_function"] == "@loss_fn"


def test_a_name_of_the_bundle_is_not_taken(bundle):
    mean_dice = {"_target_": "MeanDice", "output_transform": FROM_ENGINE}
    bundle.write("train.json", training(key_metric={"val_dice": mean_dice}))
    assert set(ops_of(attached(bundle)[1])) == {"train_class_dice", "val_class_dice"}


def test_names_that_would_look_like_classes_are_avoided(bundle):
    mean_dice = {"_target_": "MeanDice", "output_transform": FROM_ENGINE}
    bundle.write("train.json", training(key_metric={"val_dice_tc": mean_dice}))
    assert set(ops_of(attached(bundle)[1])) == {"train_class_dice", "val_class_dice"}


def test_two_ops_of_one_kind_have_two_names(bundle):
    block = attached(bundle, "ComputeDice", "DiceMaskedOutput")[1]
    found = {name: op["_target_"].rpartition(".")[2] for name, op in ops_of(block).items()}
    assert {name: op for name, op in found.items() if name.startswith("val")} == {
        "val_dice": "ComputeDice",
        "val_class_dice": "DiceMaskedOutput",
    }


def test_an_evaluation_has_the_names_of_the_training(bundle):
    config = training()
    config["train"]["trainer"]["key_train_metric"] = {"train_dice": {"_target_": "MeanDice"}}
    bundle.write("train.json", config)
    bundle.write("evaluate.json", {"validate#postprocessing": ARGMAX, "run": ["$@validate#evaluator.run()"]})
    attach(AttachOptions(bundle.folder))
    assert list(ops_of(bundle.block("aux_ops_evaluate.json"))) == ["val_class_dice"]


def test_yaml_at_the_top_level(bundle):
    (bundle.configs / "train.json").unlink()
    config = training()
    flat = {key: value for key, value in config.items() if key not in ("train", "validate", "run")}
    flat |= {"trainer": config["train"]["trainer"], "evaluator": config["validate"]["evaluator"]}
    flat["trainer"] |= {"train_data_loader": [], "postprocessing": ARGMAX, "train_handlers": []}
    flat["evaluator"] |= {"val_data_loader": [], "postprocessing": ARGMAX}
    flat["evaluator"]["key_val_metric"] = config["validate"]["key_metric"]
    flat["trainer"]["train_handlers"] = [{"_target_": "ValidationHandler", "interval": 1, "validator": "@evaluator"}]
    bundle.write("train.yaml", json.dumps(flat | {"training": ["$@trainer.run()"]}))
    said, block = attached(bundle)
    assert list(block) == ["trainer#key_train_metric", "evaluator#additional_metrics"]
    assert "run training --config_file \"['configs/train.yaml','configs/aux_ops.json']\"" in said


def test_common_definitions_in_a_file_of_their_own(bundle):
    config = training()
    common = {key: config.pop(key) for key in ("network", "loss", "imports")}
    bundle.write("common.yaml", json.dumps(common)).write("train.json", config)
    assert "['configs/common.yaml','configs/train.json','configs/aux_ops.json']" in attached(bundle)[0]


def test_several_trainings(bundle):
    bundle.write("train_autoencoder.json", training())
    (bundle.configs / "train.json").rename(bundle.configs / "train_diffusion.json")
    with pytest.raises(AttachError, match=r"several files train \(train_autoencoder.json, train_diffusion.json\)"):
        attach(AttachOptions(bundle.folder))
    assert "train_diffusion.json" in attach(AttachOptions(bundle.folder, config=["train_diffusion.json"]))[0]


INVERTED = compose(
    {"_target_": "Activationsd", "keys": "pred", "softmax": True},
    {"_target_": "Invertd", "keys": ["pred", "label"], "transform": "@nothing", "orig_keys": "image"},
    {"_target_": "AsDiscreted", "keys": ["pred", "label"], "argmax": [True, False], "to_onehot": 3},
)


def test_an_evaluation_on_the_original_grid(bundle):
    bundle.write(
        "evaluate.json",
        {"nothing": None, "validate#postprocessing": INVERTED, "run": ["$@validate#evaluator.run()"]},
    )
    said, _ = attach(AttachOptions(bundle.folder))
    op = bundle.block("aux_ops_evaluate.json")["validate#evaluator#additional_metrics"]["val_dice"]
    assert (op["stage"], op["is_onehot_targets"], op["class_names"]) == ("post", True, ["liver", "kidney"])
    assert "after post-processing, where the labels are one-hot: it returns to the original grid" in said
    assert "'configs/evaluate.json','configs/aux_ops_evaluate.json'" in said


def test_an_evaluation_alone(bundle):
    config = training()
    alone = {key: config[key] for key in ("network", "validate")} | {"run": ["$@validate#evaluator.run()"]}
    alone["validate"]["postprocessing"] = ARGMAX
    (bundle.configs / "train.json").unlink()
    bundle.write("evaluate.json", alone)
    attach(AttachOptions(bundle.folder))
    assert "aux_ops_evaluate.json" in bundle.files()
    with pytest.raises(AttachError, match="NegLoss in validate#evaluator needs a loss"):
        attach(AttachOptions(bundle.folder, ["NegLoss"], force=True))


def test_an_ensemble_is_measured_after_its_postprocessing(bundle):
    (bundle.configs / "train.json").unlink()
    config = training()
    ensemble = config["validate"]["evaluator"] | {"_target_": "EnsembleEvaluator", "networks": ["@network", "@network"]}
    ensemble |= {"pred_keys": ["pred0", "pred1"], "postprocessing": "@post"}
    ensemble.pop("network")
    mean = {"_target_": "MeanEnsembled", "keys": ["pred0", "pred1"], "output_key": "pred"}
    alone = {"network": config["network"], "evaluator": ensemble, "post": compose(mean, *ARGMAX["transforms"])}
    alone["validate"] = {"data": [], "key_metric": config["validate"]["key_metric"]}
    bundle.write("evaluate.json", alone | {"run": ["$@evaluator.run()"]})
    said, _ = attach(AttachOptions(bundle.folder))
    op = bundle.block("aux_ops_evaluate.json")["evaluator#additional_metrics"]["val_dice"]
    assert (op["stage"], op["is_onehot_targets"]) == ("post", True)
    assert "an ensemble has no 'pred' before it" in said


def test_several_gpus(bundle):
    parallel = {"train#sampler": None, "initialize": ["$import torch.distributed as dist"]}
    bundle.write("multi_gpu_train.json", parallel | {"run": ["$@train#trainer.run()"]})
    assert "'configs/multi_gpu_train.json','configs/aux_ops.json'" in attached(bundle)[0]


def test_inflated_accuracy_is_named(bundle):
    accuracy = {"val_acc": {"_target_": "ignite.metrics.Accuracy", "output_transform": FROM_ENGINE}}
    config = training(additional=accuracy)
    config["imports"].append("$import ignite")
    bundle.write("train.json", config)
    said, _ = attached(bundle)
    assert "val_acc is inflated: element-wise on 3 one-hot classes" in said
    assert "add ComputeAccuracy to --ops" in said
    assert "add ComputeAccuracy" not in attached(bundle, "ComputeDice,ComputeAccuracy", force=True)[0]


def test_a_loss_that_is_a_sum(bundle):
    bundle.write("train.json", training(loss={"_target_": "torch.nn.CrossEntropyLoss", "reduction": "sum"}))
    assert "CrossEntropyLoss is a sum over the batch" in attached(bundle, "NegLoss")[0]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"label_format": [3, 1]}, "@label_format"),
        ({"ops": [{"_target_": "monai_auxops.ComputeBinaryPreds", "label_format": [1, 1]}]}, [1, 1]),
    ],
)
def test_label_format_is_the_bundles(bundle, more, expected):
    bundle.write("train.json", training() | more)
    block = attached(bundle, "ComputeMulticlassAccuracy")[1]
    assert ops_of(block)["train_multiclass_accuracy"]["label_format"] == expected


ANSWERS = Answers(channels="independent", activation="none", threshold=0.7, labels="index", background="include")


def test_answers_win(bundle):
    said, block = attached(bundle, answers=replace(ANSWERS, class_names=("bg", "a", "b")))
    op = ops_of(block)["val_dice"]
    assert op == {
        "_target_": "monai_auxops.ComputeDice",
        "tag": "dice",
        "is_independent_predictions": True,
        "threshold": 0.7,
        "class_names": ["bg", "a", "b"],
    }
    assert said.count("--channels") == 2


BY_LETTER = {"network_data_format": {"outputs": {"pred": {"channel_def": {"x": "y"}}}}}


def test_a_network_with_several_outputs(bundle, capsys):
    assert main(["attach", str(bundle.folder), "--output-transform", "nuclei"]) == 0
    assert ops_of(bundle.block())["val_dice"]["output_transform"] == "nuclei"
    assert main(["attach", str(bundle.folder), "--output-transform", "-1", "--force"]) == 0
    assert ops_of(bundle.block())["val_dice"]["output_transform"] == -1


MSE = {"_target_": "torch.nn.MSELoss"}
SUPERVISED = {"_target_": "SupervisedTrainer", "network": None}
DETECTION = {"trainer": SUPERVISED | {"detector": "@x"}, "x": 1}
DIFFUSION = {"trainer": SUPERVISED | {"prepare_batch": {"_target_": "DiffusionPrepareBatch"}}}
GAN = {"trainer": {"_target_": "GanTrainer", "key_train_metric": None}, "run": ["$@trainer.run()"]}


@pytest.mark.parametrize(
    ("files", "ops", "message"),
    [
        ({}, ["DiceMasked"], 'did you mean "DiceMaskedOutput"'),
        ({}, ["Zzz"], "expected one of"),
        ({}, ["ComputeBinaryPreds"], "produces arrays"),
        ({}, ["ComputeAUC"], "ComputeAUC is a validation metric that reads an aux-op's tag"),
        ({}, ["ComputeMulticlassAccuracy"], 'needs label_format: add "label_format": [3, 1]'),
        ({"train.json": "{\n  3}"}, [], "train.json is not JSON: line 2, column 3"),
        ({"extra.yaml": "a: 1\nb: [1\nc: 2"}, [], "extra.yaml is not YAML: line 3"),
        ({"train.json": "[]"}, [], "holds no configuration"),
        ({"train.json": {}}, [], "has no MONAI trainer or evaluator in train.json"),
        ({"train.json": {"workflow": "scripts.w.W"}}, [], "is a Python workflow"),
        ({"train.json": {"trainer": "$make()"}}, [], "trainer is created by an expression"),
        ({"train.json": {"trainer": {"_target_": "nowhere.engines.VaeGanTrainer"}}}, [], "VaeGanTrainer was not found"),
        ({"train.json": DETECTION}, [], "for detection: its output holds boxes, not the 'pred'"),
        ({"train.json": DIFFUSION}, [], "trains a generator (DiffusionPrepareBatch)"),
        ({"train.json": {"inference": 1}, "a.json": GAN, "b.json": GAN}, [], "a.json: trainer is a GanTrainer"),
        ({"train.json": GAN}, [], "is a GanTrainer: a generator's output has no label"),
        ({"train.json": training(None, MSE)}, [], "MSELoss compares values"),
        ({"train.json": training(None, {"_target_": "DiceLoss"})}, [], "--channels exclusive or"),
        ({"train.json": training(additional="$1 / 0")}, [], "is computed by an expression that fails here"),
        ({"train.json": training() | {"x": "%nowhere"}}, [], "MONAI cannot parse train.json"),
        ({"metadata.json": metadata(["a", "b"])}, [], "channel_def says 2 output channels and network#out_channels 3"),
        ({"metadata.json": metadata(["a", "b", "c"], num_channels=1)}, [], "num_channels says 1 output channels"),
        ({"metadata.json": BY_LETTER}, [], "keyed by channel number"),
        ({"aux_ops.json": "{}"}, [], "pass --force to replace it"),
    ],
)  # fmt: skip
def test_what_cannot_be_attached(bundle, files, ops, message):
    for name, content in files.items():
        bundle.write(name, content)
    before = {path.name: path.read_bytes() for path in bundle.configs.iterdir()}
    with pytest.raises(AttachError, match=re.escape(message)) as caught:
        attach(AttachOptions(bundle.folder, ops))
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in bundle.configs.iterdir()} == before


def test_an_op_that_monai_cannot_build_is_not_written(bundle):
    with pytest.raises(AttachError, match=r"MONAI cannot build train_dice: .*0 < threshold < 1"):
        attached(bundle, answers=replace(ANSWERS, activation="sigmoid", threshold=2.0))
    assert "aux_ops.json" not in bundle.files()


def test_an_op_that_the_bundle_has_is_refused(bundle):
    ours = {"val_dice": {"_target_": "monai_auxops.ComputeDice", "tag": "dice"}}
    bundle.write("train.json", training(key_metric=ours))
    with pytest.raises(AttachError, match="already has val_dice, an aux-op's value"):
        attached(bundle)


def test_missing_packages_are_reported(bundle):
    config = training()
    config["imports"].append("$import a_package_that_is_nowhere as nowhere")
    bundle.write("train.json", config)
    assert "No module named 'a_package_that_is_nowhere'" in attached(bundle)[0]


def test_an_engine_of_the_bundles_own(bundle):
    scripts = bundle.folder / "scripts"
    scripts.mkdir()
    (scripts / "__init__.py").touch()
    (scripts / "own.py").write_text("from monai.engines import SupervisedTrainer\nclass Own(SupervisedTrainer): ...\n")
    config = training()
    config["train"]["trainer"]["_target_"] = "scripts.own.Own"
    bundle.write("train.json", config)
    assert "train#trainer#key_train_metric" in attached(bundle)[1]
    (scripts / "own.py").write_text("import nowhere_at_all\nclass MyTrainer: ...\n")
    config["train"]["trainer"]["_target_"] = "scripts.own.MyTrainer"
    bundle.write("train.json", config)
    with pytest.raises(AttachError, match=r"train#trainer cannot be imported here: .*nowhere_at_all"):
        attached(bundle, force=True)


def test_a_workflow_in_python(bundle):
    (bundle.folder / "scripts").mkdir()
    (bundle.folder / "scripts" / "workflow.py").write_text("class Cell(BundleWorkflow):\n    ...\n")
    bundle.write("train.json", {"epochs": 1})
    with pytest.raises(AttachError, match="is a Python workflow"):
        attach(AttachOptions(bundle.folder))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nothing", "does not exist"),
        ("configs/train.json", "is a file; name the bundle's folder"),
        ("empty", "not a MONAI"),
    ],
)
def test_no_bundle(bundle, capsys, place, message):
    (bundle.folder / "empty").mkdir()
    assert main(["attach", str(bundle.folder / place)]) == 2
    assert message in capsys.readouterr().err


def test_the_command(bundle, capsys):
    assert main(["attach", str(bundle.folder), "--ops", "NegLoss", "--class-names"]) == 0
    assert "aux_ops.json" in capsys.readouterr().out
