"""Labels and predictions are read where the bundle's metrics read them; values against plain numpy."""

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.engines.utils import IterationEvents

from monai_auxops.attach.command import AttachError, AttachOptions, attach
from monai_auxops.attach.evidence import Answers
from monai_auxops.attach.folder import inside_bundle
from tests.attach.conftest import ARGMAX, SIGMOID, compose, metadata, training

FROM_COPIES = "$monai.handlers.from_engine(['pred_copy', 'label_copy'])"
CROSS_ENTROPY = {"_target_": "torch.nn.CrossEntropyLoss"}
BCE = {"_target_": "torch.nn.BCEWithLogitsLoss"}
ONE_HOT = {"_target_": "AsDiscreted", "keys": "label", "to_onehot": 3}
DISCRETE = {"_target_": "AsDiscreted", "keys": "pred"}
MAP = {"_target_": "MapLabelValued", "keys": "label", "orig_labels": [0, 1, 4], "target_labels": [0, 1, 2]}
COPY = {"_target_": "CopyItemsd", "keys": ["pred", "label"], "names": ["pred_copy", "label_copy"]}
SPLIT = {"_target_": "SplitDimd", "keys": ["pred", "label"], "output_postfixes": ["a", "b", "c"]}
OWN_LOSS = "import torch\nclass Own(torch.nn.Module):\n    def forward(self, pred, label): ...\n"


def mean_dice(keys="['pred', 'label']", background=False):
    transform = f"$monai.handlers.from_engine({keys})"
    return {"_target_": "MeanDice", "include_background": background, "output_transform": transform}


def with_data(config, label, preprocessing=()):
    """Validate three images with labels that an expression makes."""
    config["imports"].append("$import numpy as np")
    config["random"] = "$np.random.RandomState(0)"
    config["items"] = f"$[{{'image': @random.rand(1, 8, 8).astype('f'), 'label': {label}}} for _ in range(3)]"
    config["validate"]["preprocessing"] = compose(*preprocessing, {"_target_": "EnsureTyped", "keys": ["image"]})
    dataset = {"_target_": "Dataset", "data": "@items", "transform": "@validate#preprocessing"}
    config["validate"]["data"] = {"_target_": "DataLoader", "dataset": dataset}
    return config


def values_of(bundle):
    """Run the evaluator with the overrides; return its metrics, raw predictions and raw labels."""
    parser = ConfigParser(ConfigParser.load_config_files([bundle.configs / n for n in ("train.json", "aux_ops.json")]))
    with inside_bundle(bundle.folder):
        parser.parse(True)
        evaluator = parser.get_parsed_content("validate#evaluator")
    seen = []

    @evaluator.on(IterationEvents.FORWARD_COMPLETED)
    def keep(engine):
        seen.append(
            [torch.as_tensor(engine.state.output[key][0]).numpy(force=True).copy() for key in ("pred", "label")]
        )

    evaluator.run()
    return evaluator.state.metrics, [pred for pred, _ in seen], [label for _, label in seen]


def one_hot(values, classes):
    return np.stack([values == number for number in classes])


def numpy_dice(predicted, labelled):
    """Return the mean over samples of the mean over present classes, of pairs of channels of booleans."""
    means = []
    for pred, label in zip(predicted, labelled, strict=True):
        scores = [2 * (p & t).sum() / (p.sum() + t.sum()) for p, t in zip(pred, label, strict=True) if t.any()]
        means.append(np.mean(scores))
    return np.mean(means)


INDEX = "@random.randint(0, 3, (1, 8, 8)).astype('f')"
CHANNELS = "@random.randint(0, 2, (3, 8, 8)).astype('f')"


def test_labels_that_the_preprocessing_makes_one_hot(bundle):
    post = compose(DISCRETE | {"argmax": True, "to_onehot": 3})
    bundle.write("train.json", with_data(training(post, CROSS_ENTROPY), INDEX, [ONE_HOT]))
    said, _ = attach(AttachOptions(bundle.folder))
    assert "one-hot labels: AsDiscreted of the preprocessing makes them" in said
    metrics, preds, labels = values_of(bundle)
    predicted = [one_hot(pred.argmax(0), (1, 2)) for pred in preds]
    assert metrics["val_dice"] == pytest.approx(numpy_dice(predicted, [label[1:] > 0.5 for label in labels]), abs=1e-6)


def test_labels_that_the_postprocessing_maps(bundle):
    argmax = compose(ARGMAX["transforms"][0], MAP, ARGMAX["transforms"][1])
    config = with_data(training(argmax), "np.array([0, 1, 4])[@random.randint(0, 3, (1, 8, 8))].astype('f')")
    bundle.write("train.json", config)
    said, _ = attach(AttachOptions(bundle.folder))
    assert "where the labels are one-hot: MapLabelValued changes what the bundle measures" in said
    metrics, preds, labels = values_of(bundle)
    predicted = [one_hot(pred.argmax(0), (1, 2)) for pred in preds]
    assert metrics["val_dice"] == pytest.approx(numpy_dice(predicted, [one_hot(one[0], (1, 4)) for one in labels]))


def test_a_copy_that_the_metric_reads(bundle):
    post = compose(COPY, {"_target_": "Activationsd", "keys": "pred_copy", "sigmoid": True},
                   {"_target_": "AsDiscreted", "keys": "pred_copy", "threshold": 0.3})  # fmt: skip
    key = {"val_x": mean_dice("['pred_copy', 'label_copy']", True)}
    bundle.write("train.json", with_data(training(post, BCE, key_metric=key), CHANNELS))
    attach(AttachOptions(bundle.folder))
    assert bundle.block()["train#trainer#key_train_metric"]["train_dice"]["threshold"] == 0.3
    metrics, preds, labels = values_of(bundle)
    expected = numpy_dice([1 / (1 + np.exp(-pred)) > 0.3 for pred in preds], [label > 0.5 for label in labels])
    assert metrics["val_dice"] == pytest.approx(expected, abs=1e-6)
    assert metrics["val_x"] == pytest.approx(expected, abs=1e-6)


def test_parts_of_the_output_are_no_counterpart(bundle):
    key = {"val_whole": mean_dice(background=True), "val_a": mean_dice("['pred_a', 'label_a']", True)}
    post = compose(*SIGMOID["transforms"], SPLIT)
    config = training(post, BCE, key_metric={"val_whole": key.pop("val_whole")}, additional=key)
    bundle.write("train.json", config)
    said, good = attach(AttachOptions(bundle.folder, check="synthetic"))
    assert good
    assert "it reads 'pred_a', another part of the output" in said
    assert "stage" not in bundle.block()["train#trainer#key_train_metric"]["train_dice"]


def test_an_output_of_another_name(bundle):
    bundle.write("train.json", training(key_metric={"val_x": mean_dice("['seg', 'label']")}))
    with pytest.raises(AttachError, match=r"read 'seg', and nothing tells .* pass --output-transform seg"):
        attach(AttachOptions(bundle.folder))
    post = compose(*({**one, "keys": "seg"} for one in ({"_target_": "Activationsd", "softmax": True}, DISCRETE)))
    post["transforms"][1] |= {"argmax": True, "to_onehot": 3}
    bundle.write("train.json", training(post, key_metric={"val_x": mean_dice("['seg', 'label']")}))
    said, _ = attach(AttachOptions(bundle.folder, answers=Answers(output_transform="seg")))
    assert "exclusive classes: the post-processing takes the argmax" in said


def own_loss(bundle, config):
    (bundle.folder / "scripts").mkdir()
    (bundle.folder / "scripts" / "__init__.py").write_text(OWN_LOSS)
    config["loss"] = {"_target_": "scripts.Own"}
    return bundle.write("train.json", config)


def test_a_loss_of_the_bundles_own_tells_nothing_of_labels(bundle):
    own_loss(bundle, training(compose(DISCRETE | {"argmax": True, "to_onehot": 3})))
    with pytest.raises(AttachError, match="the loss Own may convert them; pass --labels index or --labels onehot"):
        attach(AttachOptions(bundle.folder))
    assert "index labels: --labels" in attach(AttachOptions(bundle.folder, answers=Answers(labels="index")))[0]


@pytest.mark.parametrize("post", [ARGMAX, compose(*SIGMOID["transforms"][:1], DISCRETE | {"threshold": 0.3}, ONE_HOT)])
def test_a_training_without_postprocessing_is_measured_like_its_validation(bundle, post):
    config = training(post)
    config["validate"]["postprocessing"] = config["train"].pop("postprocessing")
    del config["train"]["trainer"]["postprocessing"]
    own_loss(bundle, config)
    said, _ = attach(AttachOptions(bundle.folder))
    assert "index labels: as in the validation" in said
    block = bundle.block()
    ours = block["validate#evaluator#additional_metrics"]["val_dice"]
    assert block["train#trainer#key_train_metric"]["train_dice"] == ours
    assert ours.get("threshold", 0.3) == 0.3


@pytest.mark.parametrize(
    ("post", "message"),
    [
        (compose(*SIGMOID["transforms"], MAP), "MapLabelValued in the post-processing of .* pass --labels index or"),
        (compose(DISCRETE | {"argmax": True}, MAP), "MapLabelValued in the post-processing of train#trainer changes"),
        (compose({"_target_": "scripts.Unknown"}), "pass --channels exclusive or"),
    ],
)
def test_labels_that_are_changed_to_nobody_knows_what(bundle, post, message):
    config = training(post, {"_target_": "DiceLoss"})
    bundle.write("train.json", config)
    with pytest.raises(AttachError, match=message):
        attach(AttachOptions(bundle.folder))


def test_labels_changed_beside_a_class_map(bundle):
    post = compose(DISCRETE | {"argmax": True}, MAP)
    bundle.write("train.json", training(post))
    with pytest.raises(AttachError, match="after it it leaves a class map without scores; let AsDiscreted make both"):
        attach(AttachOptions(bundle.folder, answers=Answers(labels="index")))
    attach(AttachOptions(bundle.folder, answers=Answers(labels="index", stage="raw")))
    assert "stage" not in bundle.block()["train#trainer#key_train_metric"]["train_dice"]


@pytest.mark.parametrize("copied", [False, True])
def test_a_prediction_that_is_changed_after_its_threshold(bundle, copied):
    identity = {"_target_": "Lambdad", "keys": "pred_copy" if copied else "pred", "func": "$lambda x: x"}
    if not copied:
        bundle.write("train.json", training(compose(*ARGMAX["transforms"], identity)))
        assert "Lambdad changes what the bundle measures" in attach(AttachOptions(bundle.folder))[0]
        return
    onehot = {"_target_": "AsDiscreted", "keys": "pred_copy", "argmax": True, "to_onehot": 3}
    key = {"val_x": mean_dice("['pred_copy', 'label_copy']")}
    bundle.write("train.json", training(compose(COPY, onehot, identity), key_metric=key))
    with pytest.raises(AttachError, match="read 'pred_copy' and 'label_copy' after post-processing, but aux-ops read"):
        attach(AttachOptions(bundle.folder))


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ({"_target_": "GeneralizedDiceFocalLoss", "softmax": True, "to_onehot_y": True}, "softmax"),
        ({"_target_": "NACLLoss", "classes": 3, "dim": 2}, None),
    ],
)
def test_more_losses_that_take_indices(bundle, loss, activation):
    post = compose(DISCRETE | {"argmax": True, "to_onehot": 3})
    bundle.write("train.json", training(post, loss)).write("metadata.json", metadata(["a", "b", "c"]))
    assert f"index labels: {loss['_target_']} takes them" in attach(AttachOptions(bundle.folder))[0]
    if activation:
        bundle.write("train.json", training(None, loss))
        said, _ = attach(AttachOptions(bundle.folder, force=True))
        assert f"{loss['_target_']} applies a {activation}" in said


def test_deep_supervision_in_one_tensor(bundle):
    config = training()
    config["network"] = {
        "_target_": "DynUNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 3, "deep_supervision": True,
        "kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [4, 8, 8],
    }  # fmt: skip
    bundle.write("train.json", with_data(config, INDEX))
    said, _ = attach(AttachOptions(bundle.folder))
    assert "the first of the stacked outputs: DynUNet has deep_supervision=True" in said
    first = bundle.block()["train#trainer#key_train_metric"]["train_dice"]["output_transform"]
    pred, label = torch.rand(2, 3, 3, 8, 8), torch.zeros(2, 1, 8, 8)
    chosen, _ = eval(first.removeprefix("$"))({"pred": pred, "label": label})
    assert torch.equal(chosen, pred[:, 0])
    metrics, preds, labels = values_of(bundle)
    predicted = [one_hot(pred.argmax(0), (1, 2)) for pred in preds]
    assert metrics["val_dice"] == pytest.approx(numpy_dice(predicted, [one_hot(one[0], (1, 2)) for one in labels]))
