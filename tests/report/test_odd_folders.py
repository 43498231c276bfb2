"""Folders of other tools or killed runs: the page shows what it can, names the rest, and never ends in a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monai_auxops.cli import main
from tests.report.test_report import HOSTILE, Parsed, write_run

CASES = "epoch,file,label_file,run,val_dice\n3,a.nii,,r,0.5\n"


def text(folder: Path, name: str, content: str | bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


# What is put into the folder of a whole run, whether something is damaged (exit code 1), and what the page says.
ODD = {
    "run.json is a list": ("run.json", "[1, 2]", 1, "expected an object, got list"),
    "run.json is a number": ("run.json", "3", 1, "expected an object, got int"),
    "run.json is cut": ("run.json", '{"best": ', 1, "run.json: cannot be read"),
    "run.json is of another tool": ("run.json", '{"best": 0.7, "seconds": 12.5, "training": [1]}', 0, ""),
    "seconds are no numbers": ("run.json", '{"started": "x", "seconds": {"a": "b", "2": null}}', 0, ""),
    "best.json is a list": ("best/best.json", "[]", 0, ""),
    "best.json is cut": ("best/best.json", "{", 1, "best.json: cannot be read"),
    "best.json has odd cases": ("best/best.json", '{"cases": [1, {"name": "../x"}, {}]}', 0, ""),
    "best.json has an odd matrix": ("best/best.json", '{"cases": [], "classes": [1], "matrix": ["x"]}', 0, ""),
    "a table of somebody": ("my_cases.csv", "epoch,case,dice\n3,a,0.5\n", 0, "a"),
    "a table without epochs": ("my_cases.csv", "case,dice\na,0.5\n", 0, "it has no column named epoch"),
    "a table with semicolons": (
        "my_cases.csv",
        "epoch;case;dice\n3;a;0,5\n",
        0,
        "separated by semicolons; save it with",
    ),
    "a table with tabs": (
        "my_cases.csv",
        "epoch\tcase\tdice\n3\ta\t0.5\n",
        0,
        "separated by tabs; save it with commas",
    ),
    "a table in UTF-16": (
        "my_cases.csv",
        "epoch,case,dice\n3,a,0.5\n".encode("utf-16"),
        0,
        "not UTF-8 text; save it as",
    ),
    "epoch is not first": ("my_cases.csv", "file,epoch,dice\na,3,0.5\n", 0, "a"),
    "epoch is a superscript": ("my_cases.csv", "epoch,file,dice\n²,a,0.5\n3,b,0.5\n", 1, "1 of 2 rows cannot be read"),
    "an empty table": ("my_cases.csv", "", 0, ""),
    "a table of a header": ("my_cases.csv", "epoch,file,dice\n", 0, ""),
    "a field too long": ("my_cases.csv", f'epoch,file,dice\n3,"{"a" * 200_000}",0.5\n3,b,0.5\n', 1, "1 of 2 rows"),
    "a NUL": ("my_cases.csv", b"epoch,file,dice\n3,a\0b,0.5\n", 0, ""),
    "no UTF-8": ("my_cases.csv", b"epoch,file,dice\n3,a\xe9,0.5\n", 0, ""),
    "values are words": ("my_cases.csv", "epoch,file,dice\n3,a,good\n", 0, "a"),
    "a quote that never ends": ("my_cases.csv", 'epoch,file,dice\n3,"a,0.5\n3,b,0.5\n', 1, "1 of 2 rows"),
    "a matrix cut after a comma": ("confusion_matrix.csv", "epoch,label,a,b\n3,a,1,\n3,b,2,", 0, ""),
    "a matrix with inf": ("confusion_matrix.csv", "epoch,label,a,b\n3,a,inf,1\n3,b,2,nan\n", 0, ""),
    "a matrix without classes": ("confusion_matrix.csv", "epoch,label\n3,a\n", 0, ""),
    "foreign worst cases": ("worst_cases.csv", "epoch,what\n3,this\n", 0, ""),
    "a picture with a NUL": ("worst_cases.csv", b"epoch,place,file,value,picture\n3,1,a,0.5,a\0b.png\n", 0, ""),
    "a picture's name of 5,000 letters": (
        "worst_cases.csv",
        f"epoch,place,file,value,picture\n3,1,a,0.5,{'a' * 5000}.png\n",
        0,
        "",
    ),
    "garbage as events": ("events.out.tfevents.9", b"garbage" * 9, 1, "truncated or damaged"),
    "empty events": ("events.out.tfevents.9", b"", 0, ""),
    "a foreign metrics.csv": ("metrics.csv", "a,b\n1,2\n", 0, ""),
    "a foreign summary.json": ("summary.json", '{"made_by": "somebody"}', 0, ""),
    "summary.json is a list": ("summary.json", "[]", 0, ""),
    "HTML in a table": ("my_cases.csv", f'epoch,file,dice\n3,"{HOSTILE.replace(chr(34), "")}",0.5\n', 0, "taken"),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_run_with_something_odd_in_its_folder(tmp_path, kind):
    folder = write_run(tmp_path / "unet")
    name, content, code, said = ODD[kind]
    text(folder, name, content)
    assert main(["report", str(folder)]) == code
    parsed = Parsed((folder / "report.html").read_text())
    assert said in parsed.text
    assert "train_dice" in parsed.text or "dice" in parsed.text


@pytest.mark.parametrize(
    "name", ["my_cases.csv", "run.json", "events.out.tfevents.1", "confusion_matrix.csv", "best/best.json"]
)
def test_a_folder_in_the_place_of_a_file(tmp_path, name):
    folder = write_run(tmp_path / "unet")
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir(parents=True)
    assert main(["report", str(folder)]) == 0


def test_links_that_lead_nowhere_or_in_circles(tmp_path):
    folder = write_run(tmp_path / "unet")
    (folder / "x_cases.csv").symlink_to("nowhere")
    (folder / "loop").symlink_to(folder)
    assert main(["report", str(folder)]) == 0


def test_of_a_table_only_the_rows_of_the_best_epoch_are_kept(tmp_path):
    from monai_auxops.report.tables import Wanted, read_table

    lines = [f"{epoch},case_{at},{epoch / 10}\n" for epoch in range(1, 60) for at in range(20)]
    (tmp_path / "x_cases.csv").write_text("epoch,file,val_dice\n" + "".join(lines))
    table = read_table(tmp_path / "x_cases.csv", Wanted(epoch=17), [], [])
    assert table is not None
    assert (table.epoch, len(table.rows)) == (17, 20)
    earlier = read_table(tmp_path / "x_cases.csv", Wanted(epoch=1000), [], [])
    assert earlier is not None
    assert earlier.epoch == 59


def test_rows_of_other_runs_are_left_out_and_reported(tmp_path):
    folder = write_run(tmp_path / "unet", run="new")
    text(folder, "x_cases.csv", CASES.replace(",r,", ",new,") + "3,b.nii,,old,0.1\n")
    assert main(["report", str(folder)]) == 0
    parsed = Parsed((folder / "report.html").read_text())
    assert "has rows of 2 runs" in parsed.text
    assert "b.nii" not in parsed.text


def test_a_thousand_metrics_and_long_curves_make_a_small_page(tmp_path):
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard import SummaryWriter

    from monai_auxops.report.curves import MAX_POINTS

    with SummaryWriter(str(tmp_path)) as writer:
        assert writer.file_writer is not None
        for step in range(1, 101):
            values = [Summary.Value(tag=f"val/m{at}", simple_value=step / (at + 1)) for at in range(1000)]
            writer.file_writer.add_summary(Summary(value=values), step)
    (tmp_path / "run.json").write_text(json.dumps({"started": "2001-01-01", "seconds": {"100": 1.0}}))
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert len(page.encode()) < 3_000_000
    match = page.partition("id='data'>")[2].partition("</script>")[0]
    points = sum(len(curve["y"]) for chart in json.loads(match)["charts"] for curve in chart["curves"])
    assert points <= MAX_POINTS


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("val_cases.csv", b"epoch;file;dice\n1;a;0,5\n", "not shown, because its columns are"),
    ("val_cases.csv", "epoch,file,dice\n1,a,0.5\n".encode("utf-16"), "not shown, because it is not UTF-8"),
    ("metrics.csv", b"epoch;step;dice\n0;1;0,5\n", "cannot be read (ValueError: its columns are"),
    ("metrics.csv", "epoch,step,dice\n0,1,0.5\n".encode("utf-16"), "cannot be read (ValueError: it is not"),
])  # fmt: skip
def test_the_only_file_names_why_it_is_not_read(tmp_path, capsys, name, content, reason):
    (tmp_path / name).write_bytes(content)
    assert main(["report", str(tmp_path)]) == 2
    assert f"{name}: {reason}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["val_cases.csv", "metrics.csv"])
def test_the_mark_of_a_spreadsheet_changes_nothing(tmp_path, name):
    rows = "epoch,file,val_dice\n0,a,0.5\n1,a,0.75\n"
    pages = []
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / name).write_text(rows, encoding=encoding)
        assert main(["report", str(tmp_path)]) == 0
        pages.append(Parsed((tmp_path / "report.html").read_text()).text)
    assert pages[0] == pages[1]
    assert "0.75" in pages[0]
