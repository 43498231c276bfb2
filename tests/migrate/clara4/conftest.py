"""A small MMAR of Clara Train 4 to change in one place, in the grammar of 4.0 and of 4.1."""

import copy
import json
from pathlib import Path

import pytest

from monai_auxops.migrate.command import run
from monai_auxops.migrate.options import MigrateOptions
from tests.migrate.conftest import ROOT, set_in

CONFIGS = ROOT / "tests" / "oracles" / "clara4" / "configs"
IMAGES = ["image", "label"]


def component(name, /, **args):
    return {"name": name, "args": args}


def data(name, key, **args):
    files = {"data_list_file_path": "{DATASET_JSON}", "data_file_base_dir": "{DATA_ROOT}", "data_list_key": key}
    return {**component(name, **args), **files}


LOSS = "lambda x: x['loss']"
PAIR = "lambda x: (x['pred'], x['label'])"
NOTHING = "lambda x: None"
NETWORK = {"in_channels": 1, "out_channels": 3, "channels": [4, 8], "strides": [2]}
CROP = {"keys": IMAGES, "label_key": "label", "spatial_size": [16, 16, 16], "num_samples": 2, "image_key": "image"}
POST = [
    component("Activationsd", keys="pred", softmax=True),
    component("AsDiscreted", keys=["pred", "label"], argmax=[True, False], to_onehot=True, n_classes=3),
]
TRAIN40 = {
    "epochs": 2,
    "num_interval_per_valid": 1,
    "learning_rate": 1e-3,
    "amp": False,
    "multi_gpu": False,
    "determinism": {"random_seed": 7},
    "cudnn_benchmark": False,
    "dont_load_ckpt_model": True,
    "train": {
        "loss": component("DiceLoss", to_onehot_y=True, softmax=True),
        "optimizer": component("Adam", lr="{learning_rate}"),
        "lr_scheduler": component("StepLR", step_size=5000, gamma=0.1),
        "model": component("UNet", dimensions=3, **NETWORK),
        "pre_transforms": [
            component("LoadImaged", keys=IMAGES),
            component("EnsureChannelFirstd", keys=IMAGES),
            component("ScaleIntensityRanged", keys="image", a_min=0, a_max=255, b_min=0.0, b_max=1.0, clip=True),
            component("RandCropByPosNegLabeld", **CROP),
            component("ToTensord", keys=IMAGES),
        ],
        "dataset": data("CacheDataset", "training", cache_rate=1.0, num_workers=2),
        "dataloader": component("DataLoader", batch_size=2, shuffle=True, num_workers=2),
        "inferer": {"name": "SimpleInferer"},
        "handlers": [
            {
                **component("CheckpointLoader", load_path="{MMAR_CKPT}", load_dict=["model"]),
                "disabled": "{dont_load_ckpt_model}",
            },
            component("LrScheduleHandler", print_lr=True),
            component("ValidationHandler", interval="{num_interval_per_valid}", epoch_level=True),
            {**component("StatsHandler", tag_name="train_loss", output_transform=LOSS), "rank": 0},
        ],
        "post_transforms": POST,
        "metrics": [
            {**component("Accuracy", output_transform=PAIR), "log_label": "train_acc", "is_key_metric": True},
        ],
        "trainer": component("SupervisedTrainer", max_epochs="{epochs}"),
    },
    "validate": {
        "pre_transforms": [{"ref": "LoadImaged"}, {"ref": "EnsureChannelFirstd"}, {"ref": "ToTensord"}],
        "dataset": data("CacheDataset", "validation", cache_rate=1.0),
        "dataloader": component("DataLoader", batch_size=1),
        "inferer": component("SlidingWindowInferer", roi_size=[16, 16, 16], sw_batch_size=2, overlap=0.25),
        "handlers": [
            component("StatsHandler", output_transform=NOTHING),
            component(
                "CheckpointSaver", save_dir="{MMAR_CKPT_DIR}", save_dict=["model", "train_conf"], save_key_metric=True
            ),
        ],
        "post_transforms": [{"ref": "Activationsd"}, {"ref": "AsDiscreted"}],
        "metrics": [
            {
                **component("MeanDice", include_background=False, output_transform=PAIR),
                "log_label": "val_mean_dice",
                "is_key_metric": True,
            },
            {**component("Accuracy", output_transform=PAIR), "log_label": "val_acc"},
        ],
        "evaluator": {"name": "SupervisedEvaluator"},
    },
}
EVALUATE40 = {
    "amp": False,
    "dont_load_ts_model": True,
    "dont_load_ckpt_model": False,
    "model": [
        {"ts_path": "{MMAR_TORCHSCRIPT}", "disabled": "{dont_load_ts_model}"},
        {"ckpt_path": "{MMAR_CKPT}", "disabled": "{dont_load_ckpt_model}"},
    ],
    "pre_transforms": [*TRAIN40["train"]["pre_transforms"][:3], component("ToTensord", keys=IMAGES)],
    "dataset": data("Dataset", "validation"),
    "dataloader": component("DataLoader", batch_size=1),
    "inferer": component("SlidingWindowInferer", roi_size=[16, 16, 16]),
    "handlers": [
        {
            **component("CheckpointLoader", load_path="{MMAR_CKPT}", load_dict=["model"]),
            "disabled": "{dont_load_ckpt_model}",
        },
        component("StatsHandler", output_transform=NOTHING),
        component("MetricsSaver", save_dir="{MMAR_EVAL_OUTPUT_PATH}", metrics=["val_mean_dice"],
                  metric_details=["val_mean_dice"], batch_transform="lambda x: x['image_meta_dict']",
                  summary_ops="*"),
    ],
    "post_transforms": POST,
    "metrics": TRAIN40["validate"]["metrics"],
    "evaluator": {"name": "SupervisedEvaluator"},
}  # fmt: skip
ENVIRONMENT = {
    "DATA_ROOT": "/data",
    "DATASET_JSON": "config/dataset.json",
    "PROCESSING_TASK": "segmentation",
    "MMAR_EVAL_OUTPUT_PATH": "eval",
    "MMAR_CKPT_DIR": "models",
    "MMAR_CKPT": "models/model.pt",
}
ITEMS = [{"image": "a.nii.gz", "label": "b.nii.gz"}]


def as_41(config):
    """Write a configuration of 4.0 in the grammar of 4.1: every object is named, and code is called."""
    found = copy.deepcopy(config)
    parts = [found[part] for part in ("train", "validate") if part in found] or [found]
    for part in parts:
        for item in part["handlers"] + part["metrics"]:
            text = item.get("args", {}).get("output_transform")
            fields = {LOSS: "['loss'], first=True", PAIR: "['pred', 'label']"}.get(text)
            if fields:
                item["args"]["output_transform"] = f"#monai.handlers.from_engine({fields})"
        key, *additional = part.pop("metrics")
        key.pop("is_key_metric", None)
        part["key_metric"] = key
        if additional:
            part["additional_metrics"] = additional
        part["dataset"].setdefault("args", {})["transform"] = "@pre_transforms"
        part["dataloader"]["args"]["dataset"] = "@dataset"
    if "train" in found:
        train = found["train"]
        train["optimizer"]["args"]["params"] = "#@model.parameters()"
        train["lr_scheduler"]["args"]["optimizer"] = "@optimizer"
        train["trainer"]["args"] |= {
            "network": "@model",
            "train_handlers": "@handlers",
            "key_train_metric": "@key_metric",
        }
        found["validate"]["handlers"][1]["args"]["save_dict"] = {"model": "@model", "train_conf": "@conf"}
        train["handlers"][0]["args"]["load_dict"] = {"model": "@model"}
    return found


class Folder:
    """An MMAR folder in which every value can be replaced before it is written."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.train = copy.deepcopy(TRAIN40)
        self.files = {
            "environment.json": dict(ENVIRONMENT),
            "dataset.json": {"training": ITEMS, "validation": ITEMS},
        }

    def set(self, path, value):
        """Set a value by its path: `mmar4.set("train.loss.name", "Dicee")`."""
        set_in(self.train, path, value)
        return self

    def write(self):
        for name, content in {"config_train.json": self.train, **self.files}.items():
            path = self.folder / "config" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                path.write_text(json.dumps(content, indent=2))
        return self.folder

    def run(self, **options):
        """Run the command; return the report as data and the exit code."""
        text, code = run(MigrateOptions(self.write(), form="json", **options))
        return json.loads(text), code

    def codes(self, **options):
        return [item["code"] for item in self.run(**options)[0]["diagnostics"]]

    def bundle(self, name="train.json", **options):
        """Write the bundle without asking MONAI, and return one of its configurations."""
        output = self.folder.parent / "bundle"
        self.run(output=output, validate=False, force=True, **options)
        return json.loads((output / "configs" / name).read_text())


@pytest.fixture
def mmar4(tmp_path):
    return Folder(tmp_path / "mmar")
