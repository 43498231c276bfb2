"""Classes, cases and comparisons: the numbers on the page are those of the files."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_auxops.cli import main
from monai_auxops.report.case_charts import strip_chart
from monai_auxops.report.classes import class_table
from monai_auxops.report.comparison import run_pairs
from monai_auxops.report.curves import ChartData, family_charts
from monai_auxops.report.reading import read_run
from monai_auxops.report.statistics import compare, describe_sample, sign_test
from tests.report.test_report import Parsed, data_in, page_of, write_run

NAN = math.nan


def write_table(folder: Path, columns: dict[str, list[float]], epoch: int = 3, name: str = "dice") -> None:
    rows = zip(*columns.values(), strict=True)
    with (folder / f"{name}_cases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "file", "label_file", *columns])
        writer.writerows([epoch, f"case_{at}.nii", "", *row] for at, row in enumerate(rows))


COLUMNS = {
    "val_dice": [0.5, 0.6, 0.9, 0.7],
    "val_dice/liver": [0.5, 0.8, 0.9, 0.7],
    "val_dice/tumor": [0.0, 0.4, NAN, NAN],
    "val_precision/liver": [0.5, 0.8, 0.9, 0.7],
    "val_precision/tumor": [NAN, 0.4, 0.0, NAN],
}


def test_a_class_is_described_at_the_best_epoch(tmp_path):
    folder = write_run(tmp_path)
    write_table(folder, COLUMNS)
    table = class_table(read_run(folder))
    assert table is not None
    assert [of_it.name for of_it in table.classes] == ["mean over classes", "liver", "tumor"]
    tumor = table.classes[2]
    assert (tumor.missed, tumor.hallucinated) == (1, 1)
    assert tumor.describe(True)["n"] == 2
    assert tumor.describe(True)["worst"] == "case_0.nii"
    text = Parsed(page_of(folder)).text
    mean, deviation = np.mean(COLUMNS["val_dice/liver"]), np.std(COLUMNS["val_dice/liver"], ddof=1)
    assert f"{mean:.4f} ± {deviation:.4f}" in text
    assert "Classes by val_dice, epoch 3" in text


def test_without_precision_nobody_knows_what_was_hallucinated(tmp_path):
    folder = write_run(tmp_path)
    write_table(folder, {name: values for name, values in COLUMNS.items() if "precision" not in name})
    table = class_table(read_run(folder))
    assert table is not None
    assert table.classes[2].hallucinated is None
    assert "These files do not tell" in Parsed(page_of(folder)).text


def test_every_number_of_the_table_is_the_files(tmp_path):
    folder = write_run(tmp_path)
    write_table(folder, COLUMNS)
    (table,) = data_in(page_of(folder))["tables"]
    names = [column["name"] for column in table["columns"]]
    with (folder / "dice_cases.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            (shown,) = [line for line in table["rows"] if line[0] == row["file"]]
            for name, value in zip(names[1:], shown[1:], strict=True):
                assert (NAN if value is None else value) == pytest.approx(float(row[name]), nan_ok=True)
    assert [row[1] for row in table["rows"]] == sorted(COLUMNS["val_dice"])  # worst first


def test_equal_columns_are_shown_once_and_other_tables_are_reported(tmp_path):
    folder = write_run(tmp_path)
    write_table(folder, COLUMNS | {"val_mean_dice": COLUMNS["val_dice"]})
    write_table(folder, {"val_auc": [0.5] * 3}, name="auc")
    run = read_run(folder)
    assert run.cases is not None
    assert "val_mean_dice" not in run.cases.columns
    remarks = " ".join(run.remarks)
    assert "val_mean_dice is not shown, because it equals val_dice in every case." in remarks
    assert "auc_cases.csv: not shown" in remarks


def test_classes_missed_in_every_case_are_all_shown(tmp_path):
    folder = write_run(tmp_path)
    write_table(folder, {"val_dice": [0.5, 0.6], "val_dice/a": [0.0, 0.0], "val_dice/b": [0.0, 0.0]})
    run = read_run(folder)
    assert run.cases is not None
    assert {"val_dice/a", "val_dice/b"} <= set(run.cases.columns)
    assert not [remark for remark in run.remarks if "equals" in remark]


def test_tables_of_the_same_cases_are_side_by_side(tmp_path):
    folder = write_run(tmp_path)
    write_table(folder, {"val_dice": [0.1, 0.2]})
    write_table(folder, {"val_hd": [5.0, 6.0]}, name="hd")
    run = read_run(folder)
    assert run.cases is not None
    assert [row["val_hd"] for row in run.cases.rows] == ["5.0", "6.0"]


@pytest.mark.parametrize("classes", [2, 10, 11, 105])
def test_many_classes_are_a_heat_map(tmp_path, classes):
    names = [f"organ_{at}" for at in range(classes)]
    folder = write_run(tmp_path, {"val_dice": [0.5, 0.6], **{f"val_dice/{name}": [0.5, 0.6] for name in names}})
    run = read_run(folder)
    charts = [chart for _, chart in family_charts(run, ChartData([run]))]
    drawn = [chart for chart in charts if chart["kind"] == "heat"]
    assert bool(drawn) == (classes > 10)
    if drawn:
        assert drawn[0]["rows"] == names


def test_a_page_of_many_dots_draws_outliers_alone(tmp_path):
    folder = write_run(tmp_path)
    rng = np.random.default_rng(0)
    write_table(folder, {f"val_dice/{at}": rng.normal(0.8, 0.02, 2000).tolist() for at in range(3)})
    table = class_table(read_run(folder))
    assert table is not None
    assert len(strip_chart(table)["dots"]) < 200


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_scipys(more, less):
    from scipy.stats import binomtest

    if more + less:
        assert sign_test(more, less) == pytest.approx(binomtest(more, more + less).pvalue)


def test_two_runs_are_compared_case_by_case(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = [0.5, 0.6, 0.7, 0.2], [0.6, 0.6, 0.9, 0.1]
    for name, values in (("a", first), ("b", second)):
        folder = write_run(tmp_path / name)
        write_table(folder, {"val_dice": values})
    (pairing,) = run_pairs([read_run(tmp_path / name) for name in "ab"])
    (paired,) = pairing.classes.values()
    assert (paired.first_wins, paired.second_wins) == (1, 2)
    assert paired.mean == pytest.approx(np.mean(second) - np.mean(first))
    assert main(["report", "a", "b"]) == 0
    page = (tmp_path / "report.html").read_text()
    text = Parsed(page).text
    assert "largest differences, val_dice" in text
    assert f"{paired.mean:+.4f}" in text
    assert page.count("--run:#3987e0'>a<") == page.count("--run:#e08a1e'>b<") >= 2  # a color each, everywhere


def test_less_can_be_better_in_a_comparison():
    paired = compare({"x": 3.0, "y": 5.0}, {"x": 2.0, "y": 6.0, "z": 1.0}, higher_is_better=False)
    assert paired is not None
    assert (paired.first_wins, paired.second_wins) == (1, 1)
    assert compare({"x": 1.0}, {"y": 1.0}, True) is None
    assert compare({"x": NAN}, {"x": 1.0}, True) is None


def test_classes_meet_whatever_joins_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a", {"val_dice": [0.1, 0.2], "val_dice_liver": [0.1, 0.2]})
    write_run(tmp_path / "b", {"val_dice": [0.1, 0.2], "val_dice/liver": [0.1, 0.2]})
    assert main(["report", "a", "b"]) == 0
    charts = data_in((tmp_path / "report.html").read_text())["charts"]
    both = [sorted({curve["name"] for curve in chart["curves"]}) for chart in charts if chart.get("runs")]
    assert both[:2] == [["a", "b"], ["a", "b"]]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_statistics_are_numpys(values):
    described = describe_sample(values)
    assert described["mean"] == pytest.approx(np.mean(values))
    assert described["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    low, high = described["ci95"]
    assert min(values) - 1e-12 <= low <= high <= max(values) + 1e-12


@pytest.mark.parametrize(("higher", "winner"), [(True, "b"), (False, "a")])
def test_a_difference_has_the_color_of_the_run_that_is_better(tmp_path, higher, winner):
    from monai_auxops.report.comparison import difference_chart

    for name, values in (("a", [0.1, 0.2]), ("b", [0.3, 0.4])):
        write_table(write_run(tmp_path / name, higher_is_better={"val_dice": higher}), {"val_dice": values})
    (pairing,) = run_pairs([read_run(tmp_path / name) for name in "ab"])
    chart = difference_chart(pairing)
    assert all(value > 0 for _, value, _ in chart["dots"])
    assert chart["sides"][1] == winner  # of positive differences
    assert chart["colors"][1] == "ab".index(winner)


def test_an_average_is_shown_as_the_value_that_it_repeats(tmp_path):
    curves = {"val_dice": [0.1, 0.2], "val_dice_grey": [0.3, 0.4], "val_mean_dice": [0.1, 0.2]}
    folder = write_run(tmp_path, curves, key="val_mean_dice", same={"val_mean_dice": "val_dice"})
    write_table(folder, {"val_mean_dice": [0.5, 0.7], "val_dice_grey": [0.6, 0.7]}, epoch=2)
    run = read_run(folder)
    table = class_table(run)
    assert table is not None
    assert [of_it.name for of_it in table.classes] == ["mean over classes", "grey"]
    assert "mean_dice" not in [title for title, _ in family_charts(run, ChartData([run]))]
    assert "val_mean_dice equals val_dice by definition" in Parsed(page_of(folder)).text
