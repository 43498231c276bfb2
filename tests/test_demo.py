"""``make demo`` on a few patches: the lines, the picture, the last words; and nothing that was there is lost."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from pathlib import Path

import pytest

from monai_auxops.cli import main

BUNDLES = Path(__file__).parents[1] / "bundles"


@pytest.fixture
def small(tmp_path):
    """The bundle with two patches to train on and one volume to validate."""
    folder = copied("brain_tissue_segmentation", tmp_path)
    change(folder, lambda config: config["train"]["dataset"].update(data="$[@case] * 2"))
    change(folder, lambda config: shorten(config["validate"]["dataset"]))
    yield folder
    logging.disable(logging.NOTSET)
    warnings.resetwarnings()


def copied(name: str, tmp_path: Path) -> Path:
    folder = tmp_path / name
    ignored = shutil.ignore_patterns("eval*", "models", "__pycache__")
    shutil.copytree(BUNDLES / name, folder, ignore=ignored)
    return folder


def change(folder: Path, edit) -> None:
    path = folder / "configs/train.json"
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config))


def shorten(dataset) -> None:
    dataset["data"] = dataset["data"].replace("range(4)", "range(1)")


def test_the_demo_trains_says_its_result_and_draws(small, capsys):
    assert main(["demo", str(small), "--epochs", "2"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Training brain_tissue_segmentation on real images")
    assert [line.split()[0] for line in text.splitlines()[3:5]] == ["1/2", "2/2"]
    assert "Best val_" in text
    assert f"--logdir {small / 'eval'}" in text
    assert (small / "eval/demo.png").stat().st_size > 10_000
    assert (small / "models/model.pt").is_file()


def test_a_second_demo_and_a_folder_with_something_in_it(small, capsys):
    (small / "eval").mkdir()
    (small / "eval/thesis.txt").write_text("keep")
    assert main(["demo", str(small), "--epochs", "1"]) == 0
    assert f"--logdir {small / 'eval_2'}" in capsys.readouterr().out
    assert (small / "eval_2/models/model.pt").is_file()
    assert main(["demo", str(small), "--epochs", "1", "-o", str(small / "eval")]) == 2
    assert "eval is not empty; choose a new folder" in capsys.readouterr().err
    assert [path.name for path in (small / "eval").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("config", "arguments", "said"),
    [
        ("{}", [], "as a training configuration"),
        ("{", [], "as a training configuration"),
        ('{"train": {"handlers": []}, "validate": {"handlers": []}}', [], "has no train#trainer"),
        ("{}", ["--epochs", "0"], "expected at least 1 epoch, got 0"),
    ],
)
def test_what_is_no_bundle_is_refused_before_anything_is_written(tmp_path, capsys, config, arguments, said):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/train.json").write_text(config)
    assert main(["demo", str(tmp_path), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["configs"]
    logging.disable(logging.NOTSET)
    warnings.resetwarnings()


def test_without_a_bundle_it_says_what_to_do(tmp_path, capsys):
    assert main(["demo", str(tmp_path)]) == 2
    assert "no bundle in" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["brain_extraction", "slice_view_classification"])
def test_the_other_bundles(tmp_path, capsys, name):
    folder = copied(name, tmp_path)
    assert main(["demo", str(folder), "--epochs", "1"]) == 0
    out = capsys.readouterr().out
    assert "Best val_" in out
    is_segmentation = name == "brain_extraction"
    assert (folder / "eval/demo.png").is_file() == is_segmentation
    assert is_segmentation or "Picture:     none (" in out
    logging.disable(logging.NOTSET)
    warnings.resetwarnings()
