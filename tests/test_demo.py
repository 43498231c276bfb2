"""``make demo`` on a few patches: the lines, the picture, the last words."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from pathlib import Path

import pytest

from monai_auxops.cli import main

BUNDLE = Path(__file__).parents[1] / "bundles/brain_tissue_segmentation"


@pytest.fixture
def small(tmp_path):
    """The bundle with two patches to train on and one volume to validate."""
    folder = tmp_path / BUNDLE.name
    shutil.copytree(BUNDLE, folder, ignore=shutil.ignore_patterns("eval", "models"))
    path = folder / "configs/train.json"
    config = json.loads(path.read_text())
    config["train"]["dataset"]["data"] = "$[@case] * 2"
    config["validate"]["dataset"]["data"] = config["validate"]["dataset"]["data"].replace("range(4)", "range(1)")
    path.write_text(json.dumps(config))
    yield folder
    logging.disable(logging.NOTSET)
    warnings.resetwarnings()


def test_the_demo_trains_says_its_result_and_draws(small, capsys):
    assert main(["demo", str(small), "--epochs", "2"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Training brain_tissue_segmentation on real images")
    assert [line.split()[0] for line in text.splitlines()[3:5]] == ["1/2", "2/2"]
    assert "Best val_mean_dice 0." in text
    assert f"--logdir {small / 'eval'}" in text
    assert (small / "eval/demo.png").stat().st_size > 10_000
    assert (small / "models/model.pt").is_file()


def test_without_a_bundle_it_says_what_to_do(tmp_path, capsys):
    assert main(["demo", str(tmp_path)]) == 2
    assert "no bundle in" in capsys.readouterr().err
