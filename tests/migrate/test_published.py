"""NVIDIA's published configurations, and one of them trained from end to end on the CT that came with them."""

import json
import os
import subprocess
import sys

import pytest

from monai_auxops.migrate.bundle.folder import files
from monai_auxops.migrate.command import MigrateOptions, run
from monai_auxops.migrate.conversion.read_project import read_project
from monai_auxops.migrate.report.model import totals
from monai_auxops.migrate.rules import RuleBook
from monai_auxops.migrate.trial.validate import problems
from tests.migrate.conftest import SHARED

FOLDER = SHARED / "clara" / "configs"
NAMES = sorted(
    path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.json") if path.name != "environment.json"
)
ANSWERS = ["activation=softmax"]
"""What no file says of the network in OWN_CODE, whose default stands in its TensorFlow code."""
OWN_CODE, INVALID = "trn_BYOC_Arch_loss.json", "trn1_AMP.json"


@pytest.mark.parametrize("name", NAMES or [pytest.param("", marks=pytest.mark.skip(reason="published files not here"))])
def test_published_configurations_migrate(name):
    project = read_project(FOLDER / name, ANSWERS, None, RuleBook())
    own = [entry for entry in project.entries if entry.component.path]
    figures = totals(entry for entry in project.entries if entry not in own)
    assert figures["migrated_percent"] >= 95
    assert bool(own) == name.endswith(OWN_CODE)
    fatal = [item.code for item in project.log.items if item.severity.value == "fatal"]
    assert fatal == (["CT102"] if name.endswith(INVALID) else [])


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(("config_validation.json", INVALID))])
def test_published_bundles_satisfy_monai(name, tmp_path):
    options = MigrateOptions(FOLDER / name, output=tmp_path / "bundle", settings=tuple(ANSWERS), validate=False)
    _, code = run(options)
    assert code == (1 if name.endswith(OWN_CODE) else 0)
    assert problems(tmp_path / "bundle") == []


def test_a_folder_of_published_files(shared_configs):
    report, code = run(MigrateOptions(shared_configs / "Performance"))
    assert code == 2
    assert "configDemo/trn1_AMP.json:7:14" in report
    assert 'did you mean "true"' in report


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for path in folder.glob("events*"):
        events = EventAccumulator(str(path)).Reload()
        found |= {tag: len(events.Scalars(tag)) for tag in events.Tags()["scalars"]}
    return found


def test_trn_base_trains_from_end_to_end(shared_configs, tmp_path):
    data = SHARED / "data" / "spleen"
    if not data.is_dir():
        pytest.skip("the spleen CT of Clara Train's examples is not beside this repository")
    items = [{"image": "image.nii.gz", "label": "label.nii.gz"}]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": items, "validation": items}))
    output, source = tmp_path / "bundle", shared_configs / "GettingStarted" / "config" / "trn_base.json"
    settings = ("epochs=4", f"DATA_ROOT={data}", f"DATASET_JSON={tmp_path / 'dataset.json'}")
    assert run(MigrateOptions(source, output=output, settings=settings, validate=False))[1] == 0
    coarse = {
        f"{part}#preprocessing#transforms#{n}#pixdim": [5.0, 5.0, 5.0] for part in ("train", "validate") for n in (2, 3)
    }
    (output / "configs" / "coarse.json").write_text(
        json.dumps(coarse | {"train#dataloader#num_workers": 0, "validate#dataloader#num_workers": 0})
    )
    command = [
        sys.executable,
        "-m",
        "monai.bundle",
        "run",
        "--config_file",
        "['configs/train.json','configs/coarse.json']",
    ]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=output, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    text = done.stdout + done.stderr
    assert "train_negloss: " in text
    assert "mean_dice: " in text
    found = scalars(output / "eval")
    assert (found["train_loss"], found["train/negloss"]) == (4, 4)
    assert (found["mean_dice"], found["negloss"]) == (2, 2)
    assert (output / "models" / "model.pt").is_file()
    assert (output / "models" / "model_final.pt").is_file()


def test_evaluations_know_their_network(shared_configs):
    source = shared_configs / "GettingStarted" / "config" / "trn_base.json"
    project = read_project(source, ["DATASET_JSON="], None, RuleBook())
    assert "configs/evaluate.json" in files(project)
