"""A bundle trains with all that ``attach --report`` writes, and leaves what the page shows."""

import pytest

from monai_auxops.attach.command import AttachOptions, attach
from tests.attach.conftest import training
from tests.attach.test_check import in_process  # noqa: F401

STATS = {"_target_": "StatsHandler", "output_transform": "$monai.handlers.from_engine('loss', first=True)"}
BOARD = {"_target_": "TensorBoardStatsHandler", "log_dir": "@output_dir", "iteration_log": False}


@pytest.mark.usefixtures("in_process")
def test_the_report_trains(bundle):
    config = training() | {"output_dir": str(bundle.folder.parent / f"{bundle.folder.name}_eval")}
    validation = config["train"]["trainer"]["train_handlers"][0]
    config["train"]["trainer"]["train_handlers"] = [validation, STATS, BOARD]
    config["validate"]["evaluator"]["val_handlers"] = [{**STATS, "iteration_log": False}, BOARD]
    bundle.write("train.json", config)
    said, good = attach(AttachOptions(bundle.folder, report=True, check="synthetic"))
    assert good
    assert "val_mean_dice | val_dice" in said
    left = bundle.folder.parent / f"{bundle.folder.name}_eval"
    assert (left / "run.json").is_file()
    assert "ComputeDice" in (left / "run.json").read_text()
