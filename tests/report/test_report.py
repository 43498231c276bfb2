"""The page: from real files to what a browser shows of them."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from monai_auxops.cli import main
from monai_auxops.report.events import Point, read_events
from monai_auxops.report.reading import read_run
from monai_auxops.report.thumbnails import picture_inside, worst_pictures

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = '</script><script>document.title="taken"</script><img src=x onerror=\'document.title="taken"\'>'
CURVES = {
    "train_dice": [0.2, 0.5, 0.6, 0.7],
    "train_dice/grey": [0.3, 0.6, 0.7, 0.8],
    "val_dice": [0.1, 0.6, 0.7, 0.4],
    "val_dice/grey": [0.2, math.nan, 0.7, 0.5],
}


def write_run(folder: Path, curves=CURVES, key="val_dice", **facts) -> Path:
    """A run of four epochs with three iterations each."""
    with SummaryWriter(str(folder)) as writer:
        assert writer.file_writer is not None
        for name, values in curves.items():
            for epoch, value in enumerate(values, 1):  # torch's own add_scalar would clean the name
                writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, simple_value=value)]), epoch)
        for iteration in range(1, 13):
            writer.add_scalar("train_loss", 1 / iteration, iteration)
            writer.add_scalar("running/train_dice", 0.5, iteration)
    known = {"seconds": {str(i): 2.0 for i in range(1, 5)}, "started": "2024-01-01", "best": {"metric": key}}
    (folder / "run.json").write_text(json.dumps(known | facts))
    return folder


def write_cases(folder: Path, *names: str, epoch: int = 3) -> None:
    lines = [f'{epoch},"{name.replace(chr(34), chr(34) * 2)}",,{0.1 * i:.6g}\n' for i, name in enumerate(names, 1)]
    (folder / "mean_cases.csv").write_text("epoch,file,label_file,val_mean\n" + "".join(lines))


class Parsed(HTMLParser):
    """The elements and their texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def page_of(*arguments: object, code: int = 0) -> str:
    assert main(["report", *map(str, arguments)]) == code
    return (Path(str(arguments[0])) / "report.html").read_text()


def data_in(page: str) -> dict:
    match = re.search(r"<script type='application/json' id='data'>(.*?)</script>", page, re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def curves_in(page: str) -> dict[tuple[str, str], dict[int, float | None]]:
    """Each curve of the page by its name and split: the value of each step."""
    data = data_in(page)
    lines = [curve for chart in data["charts"] if chart["kind"] == "lines" for curve in chart["curves"]]
    return {(c["name"], c["split"]): dict(zip(data["steps"][c["x"]], c["y"], strict=True)) for c in lines}


def test_curves_come_with_gaps_and_the_best_epoch(tmp_path):
    page = page_of(write_run(tmp_path / "unet"))
    data, curves = data_in(page), curves_in(page)
    assert data["charts"][0]["best"] == {"step": 3, "word": "best"}
    assert curves["grey", "val"][2] is None
    assert curves["grey", "val"][3] == pytest.approx(0.7)
    assert curves["mean", "train"][4] == pytest.approx(0.7)
    assert len(curves["train_loss", "value"]) == 12
    assert "running/" not in page
    assert "best val_dice" in Parsed(page).text


def test_the_page_is_one_small_file_that_asks_nothing_of_the_network(tmp_path):
    page = page_of(write_run(tmp_path / "unet"))
    assert len(page.encode()) < 5_000_000
    parsed = Parsed(page)
    assert not [t for t, a in parsed.tags if t in ("link", "iframe", "base", "form") or "src" in a]
    assert not [
        a["href"] for _, a in parsed.tags if ":" in (a.get("href") or "") or (a.get("href") or "").startswith("/")
    ]
    policy = next(a["content"] for t, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy)
    assert "http" not in str(policy)


def test_nothing_from_a_run_becomes_part_of_the_page(tmp_path):
    plain, hostile = tmp_path / "plain", tmp_path / "hostile"
    for folder, text in ((plain, re.sub("[^a-z/]", "x", HOSTILE)), (hostile, HOSTILE)):
        write_run(
            folder,
            {f"val_{text}": [0.5, 0.6], f"val_{text}/{text}": [0.1, 0.2], **CURVES},
            device=text,
            training={text: text},
            versions={text: text},
            aux_ops={text: {text: text}},
            config=text,
        )
        write_cases(folder, f"{text}.nii")
        (folder / "confusion_matrix.csv").write_text(f'epoch,label,"{text}"\n3,"{text}",5\n'.replace('="taken"', "=1"))
    parsed = [Parsed(page_of(folder)) for folder in (plain, hostile)]
    assert [t for t, _ in parsed[0].tags] == [t for t, _ in parsed[1].tags]
    assert [sorted(a) for _, a in parsed[0].tags] == [sorted(a) for _, a in parsed[1].tags]


def test_a_file_cut_off_in_the_middle_shows_what_can_be_read(tmp_path, capsys):
    folder = write_run(tmp_path / "unet")
    (path,) = folder.glob("*tfevents*")
    path.write_bytes(path.read_bytes()[:500])
    series, problems, _ = read_events(folder)
    assert series["train_dice"].values.tolist() == pytest.approx([0.2, 0.5, 0.6, 0.7])
    assert "val_dice/grey" not in series
    assert problems == [f"{path.name}: truncated or damaged; its last 8 bytes cannot be read."]
    assert "truncated or damaged" in Parsed(page_of(folder, code=1)).text
    assert "truncated or damaged" in capsys.readouterr().err


def test_a_damaged_record_ends_the_file(tmp_path):
    folder = write_run(tmp_path / "unet")
    (path,) = folder.glob("*tfevents*")
    data = bytearray(path.read_bytes())
    data[400] ^= 0xFF
    path.write_bytes(data)
    series, problems, _ = read_events(folder)
    assert "train_dice" in series
    assert len(problems) == 1


def test_a_whole_file_has_no_problem(tmp_path):
    assert read_events(write_run(tmp_path))[1:] == ([], [])


def test_a_resumed_training_overwrites_its_steps(tmp_path):
    for value in (0.1, 0.9):
        with SummaryWriter(str(tmp_path), filename_suffix=f".{value}") as writer:
            writer.add_scalar("val_dice", value, 1, walltime=time.time() + value)
    curve = read_events(tmp_path)[0]["val_dice"]
    assert (curve.steps.tolist(), curve.values.round(3).tolist()) == ([1], [0.9])


def test_both_notations_of_a_scalar(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("old", 0.25, 1)
        writer.add_scalar("new", 0.25, 1, new_style=True)
    series = read_events(tmp_path)[0]
    assert series["old"].point(0)[:2] == series["new"].point(0)[:2] == (1, 0.25)


def test_curves_of_folders_below(tmp_path):
    for split in ("train", "val"):
        with SummaryWriter(str(tmp_path / split)) as writer:
            writer.add_scalar("dice", 0.5, 1)
            writer.add_scalar("dice", 0.75, 2)
    assert set(read_events(tmp_path)[0]) == {"train/dice", "val/dice"}
    run = read_run(tmp_path)
    assert run.best == Point(2, 0.75, pytest.approx(time.time(), abs=60))
    assert (run.judge.word, run.judge.said) == ("highest", False)  # nobody said that it decides


def test_several_runs_are_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a", training={"learning rate": 0.1, "epochs": 4})
    write_run(tmp_path / "b", {"val_dice": [0.3, 0.9]}, training={"learning rate": 0.01, "epochs": 4})
    assert main(["report", "a", "b"]) == 0
    page = (tmp_path / "report.html").read_text()
    text = Parsed(page).text
    assert "What differs" in text
    assert "0.01" in text
    assert {curve["name"] for curve in data_in(page)["charts"][0]["curves"]} == {"a", "b"}


def test_the_metric_that_decides_can_be_named(tmp_path, capsys):
    folder = write_run(tmp_path / "unet")
    assert "best train_dice/grey" in Parsed(page_of(folder, "--metric", "train_dice/grey")).text
    page_of(folder, "--metric", "train_dice/gray", code=2)
    assert "is named 'train_dice/gray'; did you mean 'train_dice/grey'?" in capsys.readouterr().err


def test_without_facts_nothing_says_what_a_step_is(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("val_dice", 0.5, 1)
        for iteration in range(1, 26):
            writer.add_scalar("Loss", 1 / iteration, iteration)
    run = read_run(tmp_path)
    assert (run.epochs, run.unit) == (None, "step")
    assert set(run.by_epoch()) == {"val_dice", "Loss"}
    assert "The unit of steps is unknown" in " ".join(run.remarks)


def test_worst_cases_with_the_pictures_of_the_run(tmp_path):
    folder = write_run(tmp_path / "unet")
    write_cases(folder, "a.nii", "b.nii")
    (folder / "worst_cases").mkdir()
    Image.new("RGB", (6, 2)).save(folder / "worst_cases/1.png")
    (folder / "worst_cases.csv").write_text("epoch,place,file,value,picture\n3,1,a.nii,0.1,worst_cases/1.png\n")
    parsed = Parsed(page_of(folder))
    assert "Cases 2, epoch 3" in parsed.text
    assert "of epoch 3" in parsed.text
    (image,) = (attributes for tag, attributes in parsed.tags if tag == "img" and "src" in attributes)
    assert str(image["src"]).startswith("data:image/png;base64,")


def test_pictures_of_the_nearest_epoch_that_was_drawn(tmp_path):
    folder = write_run(tmp_path / "unet")
    write_cases(folder, "a.nii")
    Image.new("RGB", (6, 2)).save(folder / "1.png")
    (folder / "worst_cases.csv").write_text(
        "epoch,place,file,value,picture\n2,1,a.nii,0.7,1.png\n4,1,a.nii,0.8,1.png\n"
    )
    parsed = Parsed(page_of(folder))
    assert sum("src" in attributes for tag, attributes in parsed.tags if tag == "img") == 1
    assert "of epoch 2" in parsed.text
    assert "0.7000 · a.nii" in parsed.text


@pytest.mark.parametrize("picture", ["../secret.png", "worst_cases/text.png", "/etc/passwd", "nowhere.png"])
def test_only_pictures_of_the_run_get_into_the_page(tmp_path, picture):
    folder = write_run(tmp_path / "unet")
    write_cases(folder, "a.nii")
    (folder / "worst_cases").mkdir()
    Image.new("RGB", (6, 2)).save(tmp_path / "secret.png")
    (folder / "worst_cases/text.png").write_text("no picture")
    (folder / "worst_cases.csv").write_text(f"epoch,place,file,value,picture\n3,1,a.nii,0.1,{picture}\n")
    assert picture_inside(folder, picture) is None
    assert worst_pictures(read_run(folder), 8) == []


def test_a_saved_prediction_is_drawn(tmp_path):
    folder = write_run(tmp_path / "unet")
    rng = np.random.default_rng(0)
    volumes = {"case_1.nii.gz": rng.random((8, 6, 4)), "truth.nii.gz": rng.integers(0, 2, (8, 6, 4))}
    for name, volume in volumes.items():
        nibabel.save(nibabel.Nifti1Image(volume.astype(np.float32), np.eye(4)), tmp_path / name)
    (folder / "case_1").mkdir()
    shutil.copy(tmp_path / "truth.nii.gz", folder / "case_1/case_1_seg.nii.gz")
    rows = [f"3,{tmp_path / 'case_1.nii.gz'},{tmp_path / 'truth.nii.gz'},0.5", f"3,{tmp_path / 'case_2.nii.gz'},,0.6"]
    (folder / "mean_cases.csv").write_text("\n".join(["epoch,file,label_file,val_mean", *rows]) + "\n")
    (picture,) = worst_pictures(read_run(folder), 8)
    assert picture.address.startswith("data:image/png;base64,")
    assert picture.remark == "saved prediction case_1_seg.nii.gz"


def test_a_torn_table_shows_its_whole_rows(tmp_path):
    folder = write_run(tmp_path / "unet")
    write_cases(folder, "a.nii", "b.nii")
    path = folder / "mean_cases.csv"
    path.write_text(path.read_text()[:-8])
    text = Parsed(page_of(folder, code=1)).text
    assert "mean_cases.csv: 1 of 2 rows cannot be read." in text
    assert "a.nii" in text


def test_what_is_missing_is_reported(tmp_path):
    (tmp_path / "mean_cases.csv").write_text("epoch,file,label_file,val_mean\n1,a.nii,,0.5\n")
    text = Parsed(page_of(tmp_path)).text
    assert "No curves" in text
    assert "No versions and settings" in text
    assert "a.nii" in text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path / "nowhere", "no folder"),
        (lambda path: path, "expected TensorBoard event files"),
    ],
)
def test_nothing_to_show(tmp_path, capsys, make, message):
    assert main(["report", str(make(tmp_path))]) == 2
    assert message in capsys.readouterr().err


def test_a_page_that_cannot_be_written(tmp_path, capsys):
    write_run(tmp_path / "unet")
    assert main(["report", str(tmp_path / "unet"), "-o", str(tmp_path / "unet")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_no_torch_is_loaded(tmp_path):
    folder = write_run(tmp_path / "unet")
    code = "import sys; from monai_auxops.cli import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_draws_every_chart_and_runs_no_foreign_script(tmp_path):
    folder = write_run(tmp_path / "unet", {f"val_{HOSTILE}": [0.1, 0.2], **CURVES}, device=HOSTILE)
    write_cases(folder, f"{HOSTILE}.nii")
    (folder / "confusion_matrix.csv").write_text("epoch,label,run,a,b\n3,a,,2,1\n3,b,,0,0\n")  # b is in no label
    number = len(data_in(page_of(folder))["charts"])
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    done = subprocess.run(
        [str(CHROMIUM), *options, "--virtual-time-budget=8000", f"--user-data-dir={tmp_path}/profile",
         (folder / "report.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    drawn = Parsed(done.stdout)
    assert drawn.count("svg") == number
    assert ">67%<" in done.stdout
    assert ">null<" not in done.stdout
    assert "<title>unet</title>" in done.stdout
    assert not [a for t, a in drawn.tags if "onerror" in a]


def test_the_classes_of_a_matrix_are_the_colors_of_the_pictures(tmp_path):
    folder = write_run(tmp_path / "unet")
    (folder / "best").mkdir()
    Image.new("RGB", (8, 2)).save(folder / "best/1.png")
    best = {"epoch": 3, "cases": [{"place": "worst", "file": "a.nii", "name": "1"}], "matrix": [[1, 0], [0, 0]]}
    (folder / "best/best.json").write_text(json.dumps(best | {"classes": ["background", "<b>"]}))
    page = page_of(folder)
    assert "<small>label, prediction:</small><span style='--key:#4c9be8'>&lt;b&gt;</span>" in page
    assert "<small>errors:</small><span style='--key:#e69f00'>missed</span>" in page
    assert "<h2>Confusion and time</h2>" in page
    (folder / "best/best.json").write_text(json.dumps(best | {"classes": None, "matrix": None}))
    page = page_of(folder)
    assert "label, prediction:" not in page
    assert "<h2>Time</h2>" in page


def test_what_is_no_overlap_has_no_missed_classes(tmp_path):
    folder = write_run(tmp_path / "net", {"val_accuracy": [0.25, 0.5, 0.75, 0.5]}, key="val_accuracy")
    (folder / "accuracy_cases.csv").write_text("epoch,file,label_file,val_accuracy\n3,0,,1\n3,1,,0.5\n")
    text = Parsed(page_of(folder)).text
    assert "Values by val_accuracy, epoch 3" in text
    assert "0.5000 · case 1" in text
    assert "hallucinated" not in text
