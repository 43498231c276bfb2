"""Bundles of an older MONAI: what changed is rewritten, and what is current stays byte for byte."""

import json

import pytest

from monai_auxops.migrate.command import run
from monai_auxops.migrate.options import MigrateOptions

TRAIN = {
    "imports": ["$import glob"],
    "network_def": {"_target_": "UNet", "dimensions": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8],
                    "strides": [2]},
    "network": "$@network_def.to(@device)",
    "loss": {"_target_": "DiceCELoss", "to_onehot_y": True, "softmax": True, "ce_weight": "@weights"},
    "own": {"_target_": "scripts.mine.Net", "dimensions": 3},
    "train": {
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": ["image", "label"]},
                {"_target_": "AddChanneld", "keys": "image", "_disabled_": "@off"},
                {"_target_": "RandSpatialCropd", "keys": "image", "roi_size": "$@patch"},
                {"_target_": "monai.transforms.Spacingd", "keys": "image", "pixdim": [1, 1, 1], "meta_keys": "m"},
            ],
        },
    },
}  # fmt: skip
CURRENT = '{"network_def":   {"_target_": "UNet", "spatial_dims": 3}, "run": []}\n'


@pytest.fixture
def old(tmp_path):
    configs = tmp_path / "old" / "configs"
    configs.mkdir(parents=True)
    (configs / "train.json").write_text(json.dumps(TRAIN))
    (configs / "inference.json").write_text(CURRENT)
    metadata = {"monai_version": "0.9.1", "optional_packages_version": {"nibabel": "3"}}
    (configs / "metadata.json").write_text(json.dumps(metadata))
    (tmp_path / "old" / "models").mkdir()
    (tmp_path / "old" / "models" / "model.pt").write_bytes(b"weights")
    return tmp_path / "old"


def migrated(old, **options):
    text, code = run(MigrateOptions(old, form="json", validate=False, **options))
    return json.loads(text), code


def test_what_changed_is_reported(old):
    report, code = migrated(old)
    assert code == 0
    assert [file["file"] for file in report["files"]] == ["configs/train.json"]
    assert [entry["clara"] for entry in report["files"][0]["entries"]] == [
        "UNet", "DiceCELoss", "AddChanneld", "RandSpatialCropd", "monai.transforms.Spacingd",
    ]  # fmt: skip
    assert report["files"][0]["entries"][0]["line"] == 1
    assert "CT807" in [item["code"] for item in report["diagnostics"]]


def test_what_changed_is_written(old, tmp_path):
    report, _ = migrated(old, output=tmp_path / "new")
    assert report["written"] == str(tmp_path / "new")
    found = json.loads((tmp_path / "new/configs/train.json").read_text())
    assert found["network_def"]["spatial_dims"] == 3
    assert "dimensions" not in found["network_def"]
    assert found["loss"]["weight"] == "@weights"
    assert found["own"] == TRAIN["own"]
    load, add, crop, space = found["train"]["preprocessing"]["transforms"]
    assert load == {"_target_": "LoadImaged", "keys": ["image", "label"]}
    assert add == {
        "_target_": "EnsureChannelFirstd", "keys": "image", "channel_dim": "no_channel", "_disabled_": "@off",
    }  # fmt: skip
    assert crop == {"_target_": "RandSpatialCropd", "keys": "image", "roi_size": "$@patch", "random_size": True}
    assert space == {"_target_": "monai.transforms.Spacingd", "keys": "image", "pixdim": [1, 1, 1]}
    metadata = json.loads((tmp_path / "new/configs/metadata.json").read_text())
    assert set(metadata) == {"monai_version", "required_packages_version"}


def test_what_is_current_stays_byte_for_byte(old, tmp_path):
    migrated(old, output=tmp_path / "new")
    assert (tmp_path / "new/configs/inference.json").read_text() == CURRENT
    assert (tmp_path / "new/models/model.pt").read_bytes() == b"weights"
    (old / "configs" / "train.json").write_text(CURRENT)
    report, _ = migrated(old, output=tmp_path / "same")
    before = (old / "configs" / "metadata.json").read_bytes()
    assert (tmp_path / "same" / "configs" / "metadata.json").read_bytes() == before
    assert report["files"] == []


def test_what_reads_metadata_still_has_it(old, tmp_path):
    text = CURRENT.replace('"run": []', '"a": "$monai.handlers.from_engine([\'image_meta_dict\'])", "run": []')
    (old / "configs" / "inference.json").write_text(text)
    migrated(old, output=tmp_path / "new")
    found = json.loads((tmp_path / "new/configs/train.json").read_text())
    assert found["train"]["preprocessing"]["transforms"][0]["image_only"] is False


def test_a_current_bundle_is_left_alone(old):
    (old / "configs" / "metadata.json").write_text('{"monai_version": "99.1.0"}')
    report, _ = migrated(old)
    assert [item["code"] for item in report["diagnostics"]][:1] == ["CT111"]


def test_nothing_is_written_into_the_bundle(old):
    report, code = migrated(old, output=old / "new")
    assert (code, "written" in report, (old / "new").exists()) == (2, False, False)


def test_the_report_as_text(old):
    text, code = run(MigrateOptions(old))
    assert code == 0
    assert "EnsureChannelFirstd" in text
