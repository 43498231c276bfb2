"""One command from an MMAR with TensorFlow weights to a bundle that predicts what TensorFlow predicted."""

import json
import shutil

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from monai_auxops.cli import main
from monai_auxops.migrate.command import MigrateOptions, run
from tests.migrate.conftest import Mmar, component
from tests.weights.conftest import arrays, unpack
from tests.weights.densenet import write_densenet121

SEGRESNET = {"num_classes": 3, "blocks_down": "1,2,1", "blocks_up": "1,1", "init_filters": 2, "use_vae": True}


def segmentation(mmar, model, channels, activation, size):
    """Let an MMAR have a network and images of a size."""
    model["args"]["final_activation"] = activation
    mmar.set("train.model", model)
    for part in ("train", "validate"):
        pipeline = mmar.train[part]["image_pipeline"]["args"]
        pipeline.update(output_crop_size=size, output_image_channels=channels)
    mmar.train["train"]["pre_transforms"][2]["args"]["size"] = size
    mmar.train["validate"]["inferer"]["args"]["roi_size"] = size
    return mmar


def prediction(bundle, x):
    """Return what the bundle's own network, with the weights that its inference loads, gives for an image."""
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser["bundle_root"] = str(bundle)
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(x))
    return parser, logits


@pytest.fixture
def vae(tmp_path):
    mmar = Mmar(tmp_path / "mmar")
    unpack("segresnet_3d_vae", mmar.folder / "models")
    segmentation(mmar, component("SegResnet", **SEGRESNET), 1, "sigmoid", [32, 32, 32])
    return mmar


def migrate(mmar, bundle=None, validate=False, **options):
    mmar.write()
    return run(MigrateOptions(mmar.folder, output=bundle, weights=True, form="json", validate=validate, **options))


def test_segresnet_comes_along_proven(vae, tmp_path):
    text, _ = migrate(vae, tmp_path / "bundle", validate=True)
    report = json.loads(text)
    assert report["carried"].startswith("weights: 45 tensors, proven: ")
    assert "CT122" in [item["code"] for item in report["diagnostics"]]
    assert "CT115" not in [item["code"] for item in report["diagnostics"]]
    model = next(entry for entry in report["files"][0]["entries"] if entry["section"] == "model")
    assert model["outcome"] == "exact"
    assert model["bundle"][0]["target"] == "monai_auxops.clara.SegResNet"
    stored = arrays(vae.folder / "models")
    _, logits = prediction(tmp_path / "bundle", stored["x"])
    np.testing.assert_allclose(logits.sigmoid().numpy(), stored["y"], atol=5e-6)
    assert "45 tensors, proven" in (tmp_path / "bundle" / "docs" / "README.md").read_text()


def test_without_the_option_the_report_says_how(vae):
    report = json.loads(run(MigrateOptions(vae.write(), form="json"))[0])
    advice = next(item["advice"] for item in report["diagnostics"] if item["code"] == "CT115")
    assert advice == "Pass --weights to convert them; they are refused unless proven equal to Clara's graph."


def test_a_bundle_migrated_before_gets_its_weights(vae, tmp_path, capsys):
    vae.write()
    bundle = tmp_path / "bundle"
    assert run(MigrateOptions(vae.folder, output=bundle, validate=False))[1] == 0
    before = (bundle / "configs" / "train.json").read_text()
    image = tmp_path / "image.nii.gz"
    voxels = np.random.default_rng(0).normal(size=(40, 36, 32)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), image)
    assert main(["weights", str(vae.folder), str(bundle), "--verify", str(image)]) == 0
    proven, written, verified = capsys.readouterr().out.strip().splitlines()[-3:]
    assert proven.startswith("weights: 45 tensors, proven: ")
    assert written == f"written: {bundle / 'models' / 'model.pt'}"
    assert "Dice 1.0000" in verified
    after = (bundle / "configs" / "train.json").read_text()
    assert json.loads(after)["network_def"]["upsampling"] == "repeat"
    assert json.loads(after) | {"network_def": 0} == json.loads(before) | {"network_def": 0}
    assert before.split('"network": ')[1] == after.split('"network": ')[1]
    assert main(["weights", str(vae.folder), str(bundle), "--verify", "nowhere.nii"]) == 1
    assert "No such file or no access: 'nowhere.nii'" in capsys.readouterr().err
    shutil.rmtree(bundle / "models")
    (bundle / "models").touch()
    assert main(["weights", str(vae.folder), str(bundle)]) == 1
    assert f"{bundle} cannot be written: " in capsys.readouterr().err


@pytest.mark.slow
def test_another_activation_is_refused(vae, tmp_path):
    vae.train["train"]["model"]["args"]["final_activation"] = "softmax"
    text, code = migrate(vae, tmp_path / "bundle")
    message = next(item["message"] for item in json.loads(text)["diagnostics"] if item["code"] == "CT123")
    assert message.startswith("Clara's graph ends in sigmoid, and the bundle applies softmax")
    assert code == 1
    assert not (tmp_path / "bundle" / "models").exists()


@pytest.mark.slow
def test_a_network_of_ones_own_runs_as_its_graph(tmp_path):
    mmar = Mmar(tmp_path / "mmar")
    unpack("unet", mmar.folder / "models")
    own = {"path": "my_net.UNet", "args": {"num_classes": 2}}
    segmentation(mmar, own, 1, "softmax", [32, 32])
    mmar.train["train"]["aux_ops"] = [component("DiceMaskedOutput", tags=["dice", "dice_a", "dice_b"])]
    text, code = migrate(mmar, tmp_path / "bundle", check=True)
    report = json.loads(text)
    assert report["carried"] == (
        "weights: 16 tensors, equivalent: the network is Clara's graph, run operation by operation"
    )
    assert report["checked"].startswith("2 iterations and a validation")
    assert code == 0
    stored = arrays(mmar.folder / "models")
    _, logits = prediction(tmp_path / "bundle", stored["x"])
    np.testing.assert_allclose(logits.softmax(1).numpy(), stored["y"], atol=5e-6)


@pytest.mark.slow
def test_densenet121_comes_along_proven(tmp_path):
    mmar = Mmar(tmp_path / "mmar")
    stored = write_densenet121(unpack("densenet121", mmar.folder / "models"))
    mmar.write()
    bundle = tmp_path / "bundle"
    (bundle / "configs").mkdir(parents=True)
    network = {"_target_": "DenseNet121", "spatial_dims": 2, "in_channels": 1, "out_channels": 4}
    for name in ("train", "inference"):
        (bundle / "configs" / f"{name}.json").write_text(json.dumps({"bundle_root": ".", "network_def": network}))
    assert main(["weights", str(mmar.folder), str(bundle)]) == 0
    _, logits = prediction(bundle, stored["x"])
    np.testing.assert_allclose(logits.numpy(), stored["y"], atol=5e-6)


@pytest.mark.slow
def test_engines_of_tensorrt_alone_are_refused_with_what_to_do(vae):
    shutil.rmtree(vae.folder / "models")
    vae.text("models/model.trt.pb", "x")
    text, code = migrate(vae)
    message = next(item["message"] for item in json.loads(text)["diagnostics"] if item["code"] == "CT123")
    assert message.startswith("model.trt.pb holds TensorRT engines")
    assert code == 1
