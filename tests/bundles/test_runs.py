"""Shortened trainings of the real bundles on the real images, by MONAI's command line, as a user runs them."""

import re

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TRAIN = "configs/train.json"
EVALUATE = "['configs/train.json','configs/evaluate.json']"
MULTI_GPU = "['configs/train.json','configs/multi_gpu_train.json']"

TORCHRUN = ("-m", "torch.distributed.run", "--standalone")

SHORT = ["--epochs", "1", "--train#handlers#2#iteration_log", "True"]  # and each iteration prints
FEW = ["--train#dataset#data", "$[@case] * 8"]
SHORTER = {"brain_extraction": FEW, "brain_tissue_segmentation": FEW, "slice_view_classification": []}
SHOWN = {  # on the console and in TensorBoard
    "brain_extraction": {
        *("train_dice", "train_accuracy", "train_brain_share"),
        *("val_dice", "val_accuracy", "val_brain_share"),
    },
    "brain_tissue_segmentation": {
        *("train_dice", "train_dice_grey", "train_dice_white"),
        *("val_mean_dice", "val_dice_grey", "val_dice_white"),  # val_dice is val_mean_dice, and is shown once
    },
    "slice_view_classification": {
        *("train_accuracy", "train_view_accuracy", "train_central_auc", "train_mean_auc"),
        *("val_accuracy", "val_view_accuracy", "val_central_auc", "val_mean_auc"),
    },
}
PLOTTED = {"brain_tissue_segmentation": {"train_negloss", "val_negloss", "val_dice"}}  # and not printed
RESULT = {
    "brain_extraction": "colin27_t1_2mm_brain.nii.gz",
    "brain_tissue_segmentation": "mni152_t1_2mm_tissue.nii.gz",
    "slice_view_classification": "predictions.csv",
}


@pytest.mark.timeout(600)
def test_train_evaluate_infer_export(name, bundle, monai_bundle):
    said = monai_bundle("run", "--config_file", TRAIN, *SHORT, *SHORTER[name])
    printed = printed_values(said)
    assert set(printed) == SHOWN[name] | {"train_loss"}
    plots = tensorboard(bundle / "eval")
    plotted = {tag for tag in plots if not tag.startswith("running/")} - {"train_loss"}  # of each 50th iteration
    assert plotted == SHOWN[name] | PLOTTED.get(name, set())
    for tag in SHOWN[name]:
        assert plots[tag] == pytest.approx(printed[tag], abs=6e-5), tag

    evaluated = printed_values(monai_bundle("run", "--config_file", EVALUATE))
    for tag in (tag for tag in SHOWN[name] if tag.startswith("val_")):
        assert evaluated[tag] == pytest.approx(printed[tag], abs=2e-4), tag
    assert (bundle / "eval/metrics.csv").is_file()

    monai_bundle("run", "--config_file", "configs/inference.json")
    assert (bundle / "eval" / RESULT[name]).stat().st_size > 0

    monai_bundle(
        *("ckpt_export", "--net_id", "network_def", "--config_file", "configs/inference.json"),
        *("--meta_file", "configs/metadata.json", "--ckpt_file", "models/model.pt"),
        *("--filepath", "models/model.ts"),
    )
    assert isinstance(torch.jit.load(bundle / "models/model.ts"), torch.jit.ScriptModule)


@pytest.mark.timeout(600)
def test_two_processes(name, bundle, monai_bundle):
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if torch.cuda.device_count() < 2 else {}  # else a GPU for each
    launcher = (*TORCHRUN, "--nproc_per_node=2")
    said = monai_bundle("run", "--config_file", MULTI_GPU, *SHORT, *SHORTER[name], launcher=launcher, **hidden)
    printed = printed_values(said)
    assert set(printed) == SHOWN[name] | {"train_loss"}
    assert said.count(" Metrics -- ") == 2, "the first process alone prints: once for training, once for validation"
    weights = torch.load(bundle / "models/model.pt", weights_only=True)
    assert not any(key.startswith("module.") for key in weights)
    evaluated = printed_values(monai_bundle("run", "--config_file", EVALUATE))
    for tag in (tag for tag in SHOWN[name] if tag.startswith("val_")):
        assert evaluated[tag] == pytest.approx(printed[tag], abs=2e-4), f"{tag} of two processes is that of one"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_one_process_with_nccl(name, bundle, monai_bundle):
    said = monai_bundle("run", "--config_file", MULTI_GPU, *SHORT, *SHORTER[name], launcher=TORCHRUN)
    assert set(printed_values(said)) == SHOWN[name] | {"train_loss"}
    assert (bundle / "models/model.pt").is_file()


def printed_values(text):
    """The last value of each ``tag: number`` on the lines of StatsHandler."""
    lines = "\n".join(line for line in text.splitlines() if " -- " in line)
    return {tag: float(value) for tag, value in re.findall(r"(\w+): (-?[\d.]+|nan)(?: |$)", lines, re.MULTILINE)}


def tensorboard(folder):
    """The last value of each scalar in the event files, under the name of its metric: ``val/dice`` is val_dice."""
    values = {}
    for file in folder.glob("events.*"):
        events = EventAccumulator(str(file)).Reload()
        values |= {name_of(tag): events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]}
    assert all(np.isfinite(value) for value in values.values()), values
    return values


def name_of(tag):
    return tag if tag.startswith("running/") else tag.replace("/", "_", 1)
