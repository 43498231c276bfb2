"""A small MMAR to change in one place, and where the shared material is."""

import copy
import json
from pathlib import Path

import pytest

from monai_auxops.migrate.conversion.project import Project
from monai_auxops.migrate.conversion.read_project import read_project
from monai_auxops.migrate.rules import RuleBook

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
SHARED = ROOT.parent / "shared"


def set_in(tree, path, value):
    """Set a value of nested dicts and lists by its path, or append it to the list that the path ends in."""
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        tree = tree[part]
    if last == len(tree) and isinstance(tree, list):
        tree.append(value)
    else:
        tree[last] = value


def component(name, /, **args):
    return {"name": name, "args": args}


def pipeline(key, **more):
    files = {"data_list_file_path": "{DATASET_JSON}", "data_file_base_dir": "{DATA_ROOT}", "data_list_key": key}
    return component("SegmentationImagePipeline", **files, output_crop_size=[32, 32, 32], output_batch_size=2, **more)


IMAGES = ["image", "label"]
TRAIN = {
    "epochs": 4,
    "num_training_epoch_per_valid": 2,
    "learning_rate": 1e-3,
    "train": {
        "loss": component("Dice"),
        "optimizer": {"name": "Adam"},
        "model": component("SegResnet", num_classes=3, blocks_down="1,1", blocks_up="1", init_filters=8),
        "pre_transforms": [
            component("LoadNifti", fields=IMAGES),
            component("ConvertToChannelsFirst", fields=IMAGES),
            component("CropFixedSizeRandomCenter", fields=IMAGES, size=[32, 32, 32]),
        ],
        "aux_ops": [component("DiceMaskedOutput", tags=["dice", "dice_a", "dice_b", "dice_c"])],
        "image_pipeline": pipeline("training"),
    },
    "validate": {
        "metrics": [component("ComputeAverage", name="mean_dice", field="dice", is_key_metric=True)],
        "pre_transforms": [{"ref": "LoadNifti"}, {"ref": "ConvertToChannelsFirst"}],
        "image_pipeline": pipeline("validation"),
        "inferer": component("TFScanWindowInferer", roi_size=[32, 32, 32]),
    },
}
EVALUATE = {
    "pre_transforms": [component("LoadNifti", fields="image"), component("ConvertToChannelsFirst", fields="image")],
    "label_transforms": [component("LoadNifti", fields="label"), component("ConvertToChannelsFirst", fields="label")],
    "post_transforms": [component("ArgmaxAcrossChannels", fields="model")],
    "val_metrics": [component("ComputeAverageDice", name="mean_dice", field="model")],
    "inferer": {"name": "TFSimpleInferer"},
    "model_loader": component("FrozenGraphModelLoader", model_file_path="{MMAR_CKPT_DIR}/model.trt.pb"),
    "writers": [component("WriteNifti", field="model", dtype="uint8", write_path="{MMAR_EVAL_OUTPUT_PATH}")],
}
ENVIRONMENT = {"DATA_ROOT": "/data", "DATASET_JSON": "config/dataset.json", "MMAR_CKPT_DIR": "models"}
ITEMS = [{"image": "a.nii.gz", "label": "b.nii.gz"}]
DATALIST = {"training": ITEMS, "validation": ITEMS}


class Mmar:
    """An MMAR folder in which every value can be replaced before it is written."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.train, self.evaluate = copy.deepcopy(TRAIN), copy.deepcopy(EVALUATE)
        self.files = {"environment.json": dict(ENVIRONMENT), "dataset.json": copy.deepcopy(DATALIST)}
        self.settings, self.env, self.own, self.raw = [], None, (), set()

    def set(self, path, value):
        """Set a value by its path: `mmar.set("train.loss.name", "Dicee")`."""
        set_in(self.train, path, value)
        return self

    def text(self, name, text):
        self.raw.add(name)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self

    def write(self):
        files = {"config_train.json": self.train, **self.files}
        for name, content in files.items():
            path = self.folder / "config" / name
            if content is not None and f"config/{name}" not in self.raw:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(content, indent=2))
        return self.folder

    def read(self, source=None) -> Project:
        self.write()
        return read_project(source or self.folder, self.settings, self.env, RuleBook(self.own))

    def codes(self):
        return [item.code for item in self.read().log.items]


@pytest.fixture
def mmar(tmp_path):
    return Mmar(tmp_path / "mmar")


def target_of(project, part, key, index=0):
    return project.train.at(part, key)[index].built[0]


@pytest.fixture(scope="session")
def shared_configs():
    folder = SHARED / "clara" / "configs"
    if not folder.is_dir():
        pytest.skip("the published Clara Train configurations are not beside this repository")
    return folder
