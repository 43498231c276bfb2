"""Bundles of several layouts, with tiny networks."""

import json
from pathlib import Path

import pytest

ZOO = Path(__file__).parent / "zoo"
FROM_ENGINE = "$monai.handlers.from_engine(['pred', 'label'])"


def metadata(names, **more):
    pred = {"channel_def": {str(number): name for number, name in enumerate(names)}, **more}
    image = {"num_channels": 1, "spatial_shape": [8, 8]}
    return {"network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}}}


def compose(*transforms):
    return {"_target_": "Compose", "transforms": list(transforms)}


ARGMAX = compose(
    {"_target_": "Activationsd", "keys": "pred", "softmax": True},
    {"_target_": "AsDiscreted", "keys": ["pred", "label"], "argmax": [True, False], "to_onehot": 3},
)
SIGMOID = compose(
    {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
    {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
)


def training(postprocessing=ARGMAX, loss=None, channels=3, key_metric=None, additional="absent"):
    """A train.json as the zoo has it, nested under `train` and `validate`."""
    mean_dice = {"_target_": "MeanDice", "include_background": False, "output_transform": FROM_ENGINE}
    evaluator = {
        "_target_": "SupervisedEvaluator",
        "device": "cpu",
        "val_data_loader": "@validate#data",
        "network": "@network",
        "postprocessing": "@validate#postprocessing",
        "key_val_metric": "@validate#key_metric",
    }
    if additional != "absent":
        evaluator["additional_metrics"] = additional
    return {
        "imports": ["$import torch"],
        "network": {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": channels}
        | {"channels": [2, 4], "strides": [2]},
        "loss": loss or {"_target_": "DiceLoss", "to_onehot_y": True, "softmax": True},
        "optimizer": {"_target_": "torch.optim.SGD", "params": "$@network.parameters()", "lr": 0.1},
        "train": {
            "data": [],
            "postprocessing": postprocessing,
            "trainer": {
                "_target_": "SupervisedTrainer",
                "device": "cpu",
                "max_epochs": 3,
                "train_data_loader": "@train#data",
                "network": "@network",
                "optimizer": "@optimizer",
                "loss_function": "@loss",
                "postprocessing": "@train#postprocessing",
                "train_handlers": [
                    {"_target_": "ValidationHandler", "interval": 2, "validator": "@validate#evaluator"},
                    {"_target_": "StatsHandler", "output_transform": "$monai.handlers.from_engine('loss', first=True)"},
                ],
            },
        },
        "validate": {
            "data": [],
            "postprocessing": "%train#postprocessing",
            "key_metric": {"val_mean_dice": mean_dice} if key_metric is None else key_metric,
            "evaluator": evaluator,
        },
        "initialize": ["$monai.utils.set_determinism(seed=1)"],
        "run": ["$@train#trainer.run()"],
    }


class Bundle:
    """A folder that a test fills."""

    def __init__(self, folder):
        self.folder, self.configs = folder, folder / "configs"
        self.configs.mkdir()

    def write(self, name, content):
        text = content if isinstance(content, str) else json.dumps(content)
        (self.configs / name).write_text(text, encoding="utf-8")
        return self

    def block(self, name="aux_ops.json"):
        return json.loads((self.configs / name).read_text(encoding="utf-8"))

    def files(self):
        return sorted(path.name for path in self.configs.iterdir())


@pytest.fixture
def bundle(tmp_path):
    made = Bundle(tmp_path)
    return made.write("train.json", training()).write("metadata.json", metadata(["background", "liver", "kidney"]))
