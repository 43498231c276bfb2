"""A plain loop leaves what an engine leaves: lines, curves, cases, pictures, facts."""

from __future__ import annotations

import csv
import io
import json
import math
import threading
import types
from pathlib import Path

import pytest
import torch

import monai_auxops as ma
from monai_auxops.report.command import report
from monai_auxops.report.events import read_events

NAMES = ["background", "gray", "white"]


def scores_of(label: torch.Tensor, wrong: int) -> torch.Tensor:
    scores = torch.nn.functional.one_hot(label[:, 0], 3).movedim(-1, 1).float()
    flat = scores.reshape(*scores.shape[:2], -1)
    flat[:, :, :wrong] = flat[:, :, :wrong].roll(1, 1)
    return scores


def trained(folder, errors=(30, 5, 20), stream=None) -> ma.Recorder:
    """Three epochs, of which the second is the best."""
    label = torch.arange(2 * 12 * 10).reshape(2, 1, 12, 10) % 3
    image, dice = torch.rand(2, 1, 12, 10), ma.DiceMaskedOutput("dice", class_names=NAMES)
    with ma.Recorder(folder, class_names=NAMES, epochs=len(errors), stream=stream or io.StringIO()) as run:
        for epoch, wrong in enumerate(errors, 1):
            scores = scores_of(label, wrong)
            each = dice(scores, label)["dice"]
            run.cases(epoch, {f"case_{i}": {"dice": value} for i, value in enumerate(each.tolist())})
            run.pictures(epoch, image, label, scores, each, ["case_0", "case_1"])
            run.log(epoch, {"loss": 1 / epoch}, split="train")
            run.log(epoch, dice, split="val")
            dice.reset()
    return run


def test_a_class_name_that_the_font_lacks_costs_no_picture(tmp_path):
    dice = ma.DiceMaskedOutput("dice", class_names=["gray", "腫瘍"], skip_background=True)
    label = torch.arange(2 * 12 * 10).reshape(2, 1, 12, 10) % 3
    with ma.Recorder(tmp_path, stream=io.StringIO()) as run:
        for epoch in (1, 2):
            dice(scores_of(label, 5), label)
            run.log(epoch, dice, split="val")
            dice.reset()
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")


def test_lines_and_the_best_epoch(tmp_path):
    text = io.StringIO()
    trained(tmp_path, stream=text)
    groups, names, *lines = text.getvalue().splitlines()
    assert groups.replace("─", "").split() == ["train", "val"]
    assert names.split() == ["epoch", "loss", "dice", "dice/background", "dice/gray", "dice/white"]
    assert [line.split()[0] for line in lines] == ["1/3", "2/3", "3/3"]
    assert [line.endswith("best") for line in lines] == [True, True, False]


def test_files_are_those_of_an_engine(tmp_path):
    run = trained(tmp_path)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["best"]["epoch"] == 2
    assert facts["best"]["metric"] == "val_dice"
    assert facts["best"]["higher_is_better"] is True
    assert facts["finished"] is not None
    with (tmp_path / "dice_cases.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["epoch"], row["run"]) for row in table] == [(e, run.run) for e in "112233"]
    best = json.loads((tmp_path / "best/best.json").read_text())
    assert (best["epoch"], best["metric"]) == (2, "val_dice")
    assert [case["place"] for case in best["cases"]] == ["worst", "best"]  # each of the two cases once
    assert (tmp_path / "results.png").is_file()
    series, *problems = read_events(tmp_path)
    assert not any(problems)
    assert {"val_dice", "val_dice/gray", "train_loss"} <= set(series)


def test_the_page_is_made_of_it(tmp_path):
    trained(tmp_path)
    assert report([tmp_path], tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert "case_0" in page


def test_an_unknown_number_of_epochs_is_no_fact(tmp_path):
    with ma.Recorder(tmp_path, stream=io.StringIO()) as run:
        run.log(1, {"loss": 0.5}, split="val")
    assert json.loads((tmp_path / "run.json").read_text())["training"] == {"epochs": None}
    assert report([tmp_path], tmp_path / "page.html") == 0
    assert "None" not in (tmp_path / "page.html").read_text().partition("<h2>Run</h2>")[2].partition("<script")[0]


def test_an_epoch_without_validation_is_printed_and_threads_end(tmp_path):
    before, text = threading.active_count(), io.StringIO()
    with ma.Recorder(tmp_path, stream=text) as run:
        run.log(1, {"loss": 0.5})
        run.log(2, {"loss": math.nan, "parts": {"ce": torch.tensor(0.25)}})
    lines = text.getvalue().splitlines()
    assert lines[1].split() == ["1", "0.5000"]
    assert lines[-1].split() == ["2", "nan", "0.2500"]
    assert threading.active_count() == before


def test_no_direction_no_best(tmp_path):
    text = io.StringIO()
    with ma.Recorder(tmp_path, key="val_loss", stream=text) as run:
        run.log(1, {"loss": 0.5}, split="val")
    assert "best" not in text.getvalue()
    assert json.loads((tmp_path / "run.json").read_text())["best"]["epoch"] is None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda run: run.log(1, {"a": "text"}), "expected 'a' to be a number, got str"),
        (lambda run: run.log(1, {"a": 1.0}, split="valid"), "expected split to be"),
        (lambda run: (run.log(2, {"a": 1.0}), run.log(1, {"a": 1.0})), "expected epoch 2 or a later one, got 1"),
    ],
)
def test_bad_input(tmp_path, call, said):
    with pytest.raises(ValueError, match=said):
        call(ma.Recorder(tmp_path, stream=io.StringIO()))


def test_a_picture_that_cannot_be_drawn_ends_nothing(tmp_path):
    with ma.Recorder(tmp_path, stream=io.StringIO()) as run:
        with pytest.warns(UserWarning, match="Recorder.*pictures left out"):
            run.pictures(1, torch.rand(1, 1, 8, 8), torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 8, 8), [0.5])
        run.log(1, {"dice": 0.5}, split="val")


PAGE = Path(__file__).parents[1] / "docs/recorder.md"


def blocks(language: str = "python") -> list[str]:
    """The examples of docs/recorder.md."""
    return [text.split("```")[0] for text in PAGE.read_text().split(f"```{language}\n")[1:]]


def test_the_bare_loop_of_the_docs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks()[:2]:
        exec(block, names)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["1", "2"]
    assert (tmp_path / "run/dice_cases.csv").is_file()
    assert (tmp_path / "run/best/best.json").is_file()


def test_the_lightning_module_of_the_docs(tmp_path, monkeypatch, capsys):
    """Run its hooks in the order in which Lightning runs them."""
    monkeypatch.chdir(tmp_path)
    lightning = types.SimpleNamespace(LightningModule=torch.nn.Module)
    names = {"lightning": lightning, "DiceMaskedOutput": ma.DiceMaskedOutput, "Recorder": ma.Recorder}
    exec(blocks("py")[0], names)
    module = names["Segmentation"]()
    module.network = torch.nn.Conv2d(1, 3, 1)
    batch = {"image": torch.rand(2, 1, 8, 8), "label": torch.randint(0, 3, (2, 1, 8, 8))}
    module.on_fit_start()
    for epoch, sanity in ((0, True), (0, False), (1, False)):
        module.current_epoch, module.trainer = epoch, types.SimpleNamespace(sanity_checking=sanity)
        module.validation_step(batch, 0)
        module.on_validation_epoch_end()
    module.on_fit_end()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["1", "2"]
