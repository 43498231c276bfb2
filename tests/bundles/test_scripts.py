"""What bundles bring in their ``scripts``, and that held-out data is held out, against plain NumPy."""

import importlib
import itertools

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from monai_auxops import BuildContext


def parsed(folder):
    parser = ConfigParser()
    parser.read_config(str(folder / "configs/train.json"))
    return parser


@pytest.mark.parametrize("name", ["brain_tissue_segmentation"], indirect=True)
def test_best_thresholds_are_the_best(inside, monkeypatch):
    thresholds = importlib.import_module("scripts.thresholds")
    monkeypatch.setattr(thresholds, "LEVELS", 16)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, (1, 6, 6, 6))
    image = np.clip(label + rng.normal(0, 0.7, label.shape), -1, 3)
    edges = np.linspace(image.min(), image.max(), 17)

    def dice(predicted, tissue):
        return 2 * (predicted & (label == tissue)).sum() / (predicted.sum() + (label == tissue).sum())

    best = max(
        dice((image >= low) & (image < high), 1) + dice(image >= high, 2)
        for low, high in itertools.combinations_with_replacement(edges[:-1], 2)
    )
    op, pair = thresholds.BestThresholds(), [torch.as_tensor(x)[None] for x in (image, label)]
    context = BuildContext(torch.zeros(1, 3, 6, 6, 6), pair[1], image=pair[0])
    found = {tag: value.item() for tag, value in op.get_output_tensors(context.predictions, pair[1], context).items()}
    assert found["threshold_dice"] == pytest.approx(best / 2, abs=1e-6)
    assert found["threshold_dice_grey"] + found["threshold_dice_white"] == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("name", ["brain_tissue_segmentation"], indirect=True)
def test_the_disturbance_of_the_held_out_half_is_always_the_same(inside):
    first, second = (parsed(inside).get_parsed_content("validate#dataset") for _ in range(2))
    assert len(first) == 4
    for one, again in zip(first, second, strict=True):
        assert torch.equal(one["image"], again["image"])
    assert not torch.equal(first[0]["image"], first[1]["image"])


@pytest.mark.parametrize("name", ["brain_tissue_segmentation", "brain_extraction"], indirect=True)
def test_training_and_held_out_half_share_no_voxel(inside):
    parser = parsed(inside)
    seen = np.zeros(nib.load(parser.get_parsed_content("case#label")).shape, int)
    held_out = "disturbed_transforms" if "disturbed_transforms" in parser["validate"] else "deterministic_transforms"
    for crop in (parser["train#deterministic_transforms"][0], parser[f"validate#{held_out}"][0]):
        seen[tuple(slice(*ends) for ends in zip(crop["roi_start"], crop["roi_end"], strict=True))] += 1
    assert seen.min() == seen.max() == 1


@pytest.mark.parametrize("name", ["slice_view_classification"], indirect=True)
def test_labeled_slices(inside):
    labeled_slices = importlib.import_module("scripts").labeled_slices
    image, mask = "data/colin27_t1_2mm.nii.gz", "data/colin27_brain_2mm.nii.gz"
    brain = nib.load(image).get_fdata() * nib.load(mask).get_fdata()
    slices = labeled_slices(image, mask)
    for view, (word, axis) in enumerate([("axial", 2), ("coronal", 1), ("sagittal", 0)]):
        mine = [x for x in slices if x["label"][0] == view]
        positions = [int(x["image"].meta["filename_or_obj"].rsplit(":", 1)[1]) for x in mine]
        area = (brain > 0).sum(tuple({0, 1, 2} - {axis}))
        assert positions == [i for i, pixels in enumerate(area) if pixels >= 250]
        for i, x in zip(positions, mine, strict=True):
            assert f":{word}:" in x["image"].meta["filename_or_obj"]
            np.testing.assert_array_equal(x["image"][0], np.take(brain, i, axis))
        central = [i for i, x in zip(positions, mine, strict=True) if x["label"][1] == 1]
        assert central == list(range(central[0], central[-1] + 1))
        assert len(central) == pytest.approx(len(mine) / 2, abs=1)
        assert central[0] - positions[0] == pytest.approx(positions[-1] - central[-1], abs=1)


@pytest.mark.parametrize("name", ["slice_view_classification"], indirect=True)
def test_label_format_loss(inside):
    loss = importlib.import_module("scripts").LabelFormatLoss([3, 1])
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 4)), np.array([[0, 1], [1, 0], [2, 1], [1, 1], [0, 0]])
    of_view = np.log(np.exp(logits[:, :3]).sum(1)) - logits[range(5), labels[:, 0]]
    probability = 1 / (1 + np.exp(-logits[:, 3]))
    of_central = -np.log(np.where(labels[:, 1] == 1, probability, 1 - probability))
    expected = of_view.mean() + of_central.mean()
    assert loss(torch.as_tensor(logits), torch.as_tensor(labels)).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["slice_view_classification"], indirect=True)
def test_view_accuracy(inside):
    op = importlib.import_module("scripts").ViewAccuracy()
    op(torch.tensor([[2.0, 1, 0, 9], [0, 1, 2, -9]]), torch.tensor([[0, 0], [1, 0]]))
    assert op.aggregate() == {"view_accuracy": 0.5}
