"""The command, from files to numbers: against MONAI's own metrics, and with every kind of broken file."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from monai.metrics import DiceMetric, HausdorffDistanceMetric, MeanIoU, SurfaceDiceMetric, SurfaceDistanceMetric
from monai.networks.utils import one_hot
from PIL import Image

from monai_auxops.cli import main
from monai_auxops.counting.counts import count
from monai_auxops.evaluation.classes import Naming
from monai_auxops.evaluation.joint import count_joint
from monai_auxops.evaluation.measure import Settings, measure
from monai_auxops.evaluation.output import console_table
from monai_auxops.evaluation.pairing import CasePair
from monai_auxops.evaluation.run import INTERRUPTED, measure_all
from monai_auxops.report.statistics import describe_sample

SPACING = (0.7, 1.5, 3.0)


def save(path: Path, values: np.ndarray, spacing: tuple[float, ...] = SPACING, shift: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*spacing, 1.0])
    affine[0, 3] = shift
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def blobs(seed: int, classes: int = 4, shape: tuple[int, ...] = (18, 15, 9)) -> tuple[np.ndarray, np.ndarray]:
    """A label of boxes, and a prediction that errs at some voxels."""
    rng = np.random.default_rng(seed)
    label = np.zeros(shape, np.uint8)
    for value in range(1, classes):
        low = [int(rng.integers(0, n // 2)) for n in shape]
        label[tuple(slice(a, a + n // 3 + 1) for a, n in zip(low, shape, strict=True))] = value
    noise = rng.integers(0, classes, shape).astype(np.uint8)
    return label, np.where(rng.random(shape) < 0.1, noise, label).astype(np.uint8)


def run(tmp_path: Path, *options: str, code: int = 0) -> tuple[list[dict[str, str]], dict]:
    arguments = ["evaluate", "--pred", tmp_path / "pred", "--label", tmp_path / "label", "-o", tmp_path / "out"]
    assert main([*map(str, arguments), *options]) == code
    with (tmp_path / "out/cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads((tmp_path / "out/summary.json").read_text())


def test_numbers_are_those_of_monai(tmp_path):
    """On random volumes with a spacing, to 1e-6."""
    expected: dict[tuple[str, str], dict[str, float]] = {}
    for seed in range(4):
        label, prediction = blobs(seed)
        save(tmp_path / f"label/case_{seed}.nii.gz", label)
        save(tmp_path / f"pred/case_{seed}.nii.gz", prediction)
        y, x = (one_hot(torch.from_numpy(v).long()[None, None], 4) for v in (label, prediction))
        metrics = {
            "dice": DiceMetric(include_background=False, reduction="none")(x, y),
            "iou": MeanIoU(include_background=False, reduction="none")(x, y),
            "hd95_mm": HausdorffDistanceMetric(percentile=95, reduction="none")(x, y, spacing=SPACING),
            "assd_mm": SurfaceDistanceMetric(symmetric=True, reduction="none")(x, y, spacing=SPACING),
            "nsd": SurfaceDiceMetric([2.0] * 3, reduction="none")(x, y, spacing=SPACING),
        }
        for at in range(3):
            expected[f"case_{seed}", f"label {at + 1}"] = {n: float(v[0, at]) for n, v in metrics.items()}
    rows, _ = run(tmp_path, "--surface", "--tolerance", "2")
    assert {(row["case"], row["class"]) for row in rows} == set(expected)
    for row in rows:
        for name, value in expected[row["case"], row["class"]].items():
            assert float(row[name]) == pytest.approx(value, abs=1e-6), (row, name)
        assert float(row["label_ml"]) == pytest.approx(
            (int(row["tp"]) + int(row["fn"])) * math.prod(SPACING) / 1000, rel=1e-6
        )


@given(
    data=st.data(),
    shape=arrays.array_shapes(min_dims=2, max_dims=3, max_side=6),
    dtype=st.sampled_from([np.uint8, np.int16, np.int32, np.uint16]),
)
def test_the_table_counts_as_the_package_does(data, shape, dtype):
    label, prediction = (data.draw(arrays.arrays(dtype, shape, elements=st.integers(0, 4))) for _ in range(2))
    scores = one_hot(torch.from_numpy(prediction.astype(np.int64))[None, None], 5)
    expected = count(scores, torch.from_numpy(label.astype(np.int64))[None, None])
    table = count_joint(np.asfortranarray(label), prediction)
    assert [part.tolist() for part in table.counts([[value] for value in range(5)])] == [p.tolist() for p in expected]


@given(st.lists(st.integers(-3, 70_000), min_size=1, max_size=20), st.data())
def test_any_values_can_be_labels(values, data):
    label = np.array(data.draw(st.lists(st.sampled_from(values), min_size=5, max_size=30)))
    prediction = np.array(data.draw(st.lists(st.sampled_from(values), min_size=len(label), max_size=len(label))))
    counts = count_joint(label, prediction).counts([[value] for value in values])
    for at, value in enumerate(values):
        assert counts.tp[0, at] == np.sum((label == value) & (prediction == value))
        assert counts.fp[0, at] == np.sum((label != value) & (prediction == value))
        assert counts.fn[0, at] == np.sum((label == value) & (prediction != value))


def test_absent_missed_and_hallucinated_are_distinguished(tmp_path):
    label, prediction = np.zeros((3, 4, 5), np.uint8), np.zeros((3, 4, 5), np.uint8)
    label[0], prediction[0] = 1, 1  # found
    label[1] = 2  # missed
    prediction[2] = 3  # hallucinated
    save(tmp_path / "label/a.nii", label)
    save(tmp_path / "pred/a.nii", prediction)
    rows, summary = run(tmp_path, "--classes", "background", "found", "missed", "hallucinated", "absent")
    assert [(row["class"], row["status"], row["dice"]) for row in rows] == [
        ("found", "measured", "1"),
        ("missed", "missed", "0"),
        ("hallucinated", "hallucinated", ""),
        ("absent", "absent", ""),
    ]
    assert summary["classes"]["hallucinated"]["hallucinated"] == 1
    assert "dice" not in summary["classes"]["hallucinated"]
    assert summary["remarks"] == ["classes in no label and no prediction: absent"]


def test_regions_and_ignored_labels(tmp_path):
    label, prediction = np.array([[0, 1, 2, 9]], np.uint8), np.array([[0, 2, 2, 1]], np.uint8)
    save(tmp_path / "label/a.nii", label)
    save(tmp_path / "pred/a.nii", prediction)
    rows, _ = run(tmp_path, "--regions", "any=1,2", "--ignore", "9")
    assert [(row["class"], row["tp"], row["fp"], row["fn"]) for row in rows] == [
        ("label 1", "0", "0", "1"),
        ("label 2", "1", "1", "0"),
        ("any", "2", "0", "0"),
    ]


def test_negative_labels_are_not_annotated(tmp_path):
    save(tmp_path / "label/a.nii", np.array([[[0, 1, -1, -1]]], np.int16))
    save(tmp_path / "pred/a.nii", np.array([[[0, 1, 1, 0]]], np.int16))
    rows, summary = run(tmp_path, "--surface", "--classes", "air", "label 1")
    assert summary["remarks"][0] == "negative values, which are no class; voxels labeled so are not counted: -1"
    assert [(row["class"], row["dice"], row["tp"], row["fp"], row["fn"]) for row in rows] == [
        ("label 1", "1", "1", "0", "0")
    ]
    assert float(rows[0]["hd95_mm"]) == 0


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".png", ".tif"])
def test_formats(tmp_path, suffix):
    label, prediction = (values[:, :, 4] for values in blobs(0))
    for folder, values in (("label", label), ("pred", prediction)):
        path = tmp_path / folder / f"a{suffix}"
        path.parent.mkdir()
        if suffix in (".png", ".tif"):
            Image.fromarray(values.T).save(path)
        elif suffix == ".nii.gz":
            save(path, values)
        else:
            import itk

            itk.imwrite(itk.image_from_array(values.T.copy()), str(path))
    rows, _ = run(tmp_path)
    found = {row["class"]: (int(row["tp"]), int(row["fp"]), int(row["fn"])) for row in rows}
    assert found == {
        f"label {value}": (
            int(((label == value) & (prediction == value)).sum()),
            int(((label != value) & (prediction == value)).sum()),
            int(((label == value) & (prediction != value)).sum()),
        )
        for value in range(1, 4)
    }


def test_probabilities_decide_by_the_highest_or_by_a_threshold(tmp_path):
    label, _ = blobs(1, classes=3)
    scores = np.moveaxis(np.eye(3, dtype=np.float32)[label] * 0.6 + 0.1, -1, -1)
    save(tmp_path / "label/a.nii.gz", label)
    save(tmp_path / "pred/a.nii.gz", scores)
    rows, _ = run(tmp_path, "--probabilities")
    assert {row["dice"] for row in rows} == {"1"}
    save(tmp_path / "label/a.nii.gz", (label > 0).astype(np.uint8))
    save(tmp_path / "pred/a.nii.gz", np.where(label > 0, 0.4, 0.1).astype(np.float32))
    assert run(tmp_path, "--probabilities")[0][0]["status"] == "missed"
    assert run(tmp_path, "--probabilities", "--threshold", "0.3")[0][0]["dice"] == "1"


@pytest.mark.parametrize("change", [lambda label: label, lambda label: label - 0.5, lambda label: label * 255.0])
def test_a_threshold_of_probabilities_refuses_other_values(tmp_path, change):
    label = (blobs(1)[0] > 0).astype(np.uint8) * 2
    save(tmp_path / "label/a.nii.gz", label)
    save(tmp_path / "pred/a.nii.gz", change(label).astype(np.float32))
    (row,), _ = run(tmp_path, "--probabilities", code=1)
    assert "values outside 0 to 1, such as" in row["reason"]
    assert run(tmp_path, "--probabilities", "--threshold", "0")[1]["cases"] == 1


def test_labels_and_predictions_without_a_common_value_are_remarked(tmp_path, capsys):
    label = (blobs(1)[0] > 0).astype(np.uint8)
    save(tmp_path / "label/a.nii.gz", label)
    save(tmp_path / "pred/a.nii.gz", label * 255)
    run(tmp_path)
    assert "labels have the values 1 and predictions 255: none in common" in capsys.readouterr().err


def test_other_grids_are_an_error_or_are_resampled(tmp_path):
    label, _ = blobs(2)
    save(tmp_path / "label/a.nii.gz", label)
    save(tmp_path / "pred/a.nii.gz", label, shift=2 * SPACING[0])
    (row,), _ = run(tmp_path, code=1)
    assert str(tmp_path / "pred/a.nii.gz") in row["reason"]
    assert str(tmp_path / "label/a.nii.gz") in row["reason"]
    assert "different grids: voxels up to 1.4 mm apart" in row["reason"]
    save(tmp_path / "pred/a.nii.gz", np.roll(label, -2, 0), shift=2 * SPACING[0])
    rows, _ = run(tmp_path, "--resample")
    assert all(float(row["dice"]) > 0.8 for row in rows)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut", "EOFError"),
        ("float", "values that are not whole numbers, such as"),
        ("channels", "3 channels; expected a label map"),
        ("shape", "different grids: shapes [17, 15, 9] and [18, 15, 9]"),
        ("empty", "not a NIfTI file, or cut off within its header (0 bytes)"),
        ("header", "EOFError"),
    ],
)
def test_a_case_that_fails_is_a_row_with_its_reason(tmp_path, capsys, name, reason):
    label, prediction = blobs(0)
    for case in ("good", "bad"):
        save(tmp_path / f"label/{case}.nii.gz", label)
        save(tmp_path / f"pred/{case}.nii.gz", prediction)
    bad = tmp_path / "pred/bad.nii.gz"
    if name == "cut":
        bad.write_bytes(bad.read_bytes()[: bad.stat().st_size // 2])
    elif name == "header":  # ITK would read the rest as background
        bad.write_bytes(bad.read_bytes()[:200])
    elif name == "empty":
        bad.write_bytes(b"")
    else:
        other = {"float": prediction / 2, "channels": np.stack([prediction] * 3, -1), "shape": prediction[1:]}
        save(bad, other[name])
    rows, summary = run(tmp_path, code=1)
    (failed,) = [row for row in rows if row["status"] == "failed"]
    assert failed["case"] == "bad"
    assert reason in failed["reason"]
    assert summary["cases"] == 1
    assert not summary["complete"]
    assert failed["reason"] in capsys.readouterr().err


def test_names_that_do_not_fit_are_reported(tmp_path, capsys):
    label, prediction = blobs(0)
    save(tmp_path / "label/a.nii.gz", label)
    save(tmp_path / "pred/a.nii.gz", prediction)
    rows, _ = run(tmp_path, "--classes", "background", "liver", code=1)
    assert [row["class"] for row in rows] == ["liver", "label 2", "label 3"]
    assert "values without a name in --classes: 2, 3" in capsys.readouterr().err


def test_nothing_of_somebody_else_is_replaced(tmp_path, capsys):
    label, _ = blobs(0)
    for folder in ("label", "pred"):
        save(tmp_path / folder / "a.nii.gz", label)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/cases.csv").write_text("mine")
    arguments = ["evaluate", "--pred", tmp_path / "pred", "--label", tmp_path / "label", "-o", tmp_path / "out"]
    assert main([*map(str, arguments)]) == 2
    assert "contains cases.csv, which this command did not write" in capsys.readouterr().err
    assert (tmp_path / "out/cases.csv").read_text() == "mine"
    (tmp_path / "out/cases.csv").unlink()
    (tmp_path / "out/thesis.txt").write_text("mine")
    for _ in range(2):  # its own files it replaces
        run(tmp_path)
    assert (tmp_path / "out/thesis.txt").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [({"--pred": "nowhere"}, "no folder nowhere"), ({"--workers": "0"}, "expected at least 1, got 0")],
)
def test_what_cannot_be_done(tmp_path, capsys, change, message):
    for folder in ("label", "pred"):
        save(tmp_path / folder / "a.nii.gz", blobs(0)[0])
    options = {"--pred": str(tmp_path / "pred"), "--label": str(tmp_path / "label"), "-o": str(tmp_path / "out")}
    assert main(["evaluate", *(text for pair in (options | change).items() for text in pair)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_pair_nothing_is_written(tmp_path, capsys):
    for number in range(5):
        save(tmp_path / f"label/l{number}.nii.gz", blobs(0)[0])
        save(tmp_path / f"pred/i{number}.nii.gz", blobs(0)[0])
    arguments = ["--pred", tmp_path / "pred", "--label", tmp_path / "label", "-o", tmp_path / "out"]
    assert main(["evaluate", *map(str, arguments)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("no prediction and label belong together by their names:")
    assert lines[1].endswith("pred/i0.nii.gz: a prediction without a label")
    assert (len(lines), lines[-1]) == (8, "  and 4 more")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_evaluation_keeps_what_was_measured(tmp_path, monkeypatch):
    pairs = [CasePair(name, tmp_path / name, tmp_path / name) for name in "abc"]

    def interrupted(pair, settings):
        if pair.case == "b":
            raise KeyboardInterrupt
        return measure(pair, settings)

    monkeypatch.setattr("monai_auxops.evaluation.run.measure", interrupted)
    results = list(measure_all(pairs, Settings(Naming({}))))
    assert [result.pair.case for result in results] == ["a", "b", "c"]
    assert [result.reason == INTERRUPTED for result in results] == [False, True, True]


class Fatal:
    """Ends the process that unpickles it, as the kernel does where memory is short."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.mark.slow
def test_processes_measure_the_same_and_one_that_dies_costs_its_case(tmp_path):
    pairs = []
    for seed in range(3):
        label, prediction = blobs(seed)
        case = f"case_{seed}"
        label_path, path = (
            save(tmp_path / f"{kind}_{case}.nii.gz", v) for kind, v in (("y", label), ("x", prediction))
        )
        pairs.append(CasePair(case, path, label_path))
    settings = Settings(Naming({}))
    expected = {result.pair.case: result.joint.voxels.tolist() for result in measure_all(pairs, settings)}  # type: ignore[union-attr]
    fatal = CasePair("fatal", Fatal(), tmp_path)  # type: ignore[arg-type]
    results = {result.pair.case: result for result in measure_all([fatal, *pairs], settings, workers=2)}
    assert {name: r.joint.voxels.tolist() for name, r in results.items() if r.joint is not None} == expected
    assert "the process that measured it was killed" in results["fatal"].reason


def test_the_interval_holds_the_mean_and_shrinks_with_the_cases():
    rng = np.random.default_rng(1)
    few, many = (describe_sample(rng.normal(0.8, 0.1, n).tolist()) for n in (20, 500))
    for described in (few, many):
        low, high = described["ci95"]
        assert low < described["mean"] < high
        half = 1.96 * described["sd"] / math.sqrt(described["n"])  # of the normal distribution
        assert (high - low) / 2 == pytest.approx(half, rel=0.15)
    assert describe_sample([0.5])["ci95"] is None


def test_the_page_says_what_the_files_say(tmp_path):
    for seed in range(3):
        label, prediction = blobs(seed)
        save(tmp_path / f"label/case_{seed}.nii.gz", label)
        save(tmp_path / f"image/case_{seed}_0000.nii.gz", label.astype(np.float32) * 100)
        save(tmp_path / f"pred/case_{seed}.nii.gz", prediction)
    (tmp_path / "pred/case_9.nii.gz").write_bytes(b"cut")
    save(tmp_path / "label/case_9.nii.gz", label)
    names = ["--classes", "background", "liver", "<b>tumor</b>", "vessel", "--regions", "any=1,2,3"]
    _, summary = run(tmp_path, *names, "--surface", "--images", str(tmp_path / "image"), code=1)
    page = (tmp_path / "out/report.html").read_text()
    for name, of_it in summary["classes"].items():
        for key in ("dice", "hd95_mm"):
            assert f"{of_it[key]['mean']:.4f} ± {of_it[key]['sd']:.4f}" in page, (name, key)
    assert "<b>tumor" not in page
    assert "case_9" in page
    assert "Cases <small>4 in 13 rows, worst first." in page  # three cases of four classes, and the one that failed
    assert page.count("data:image/png;base64,") == 3
    drawn = json.loads((tmp_path / "out/pictures/best.json").read_text())
    assert [case["place"] for case in drawn["cases"]] == ["worst", "median", "best"]
    assert all((tmp_path / f"out/pictures/{number}.png").is_file() for number in (1, 2, 3))


def test_two_evaluations_are_compared(tmp_path):
    for seed in range(3):
        label, prediction = blobs(seed)
        for folder, values in (("label", label), ("pred", prediction), ("better", label)):
            save(tmp_path / folder / f"case_{seed}.nii.gz", values)
    for folder in ("pred", "better"):
        command = [
            "evaluate",
            "--pred",
            tmp_path / folder,
            "--label",
            tmp_path / "label",
            "-o",
            tmp_path / f"{folder}_out",
        ]
        assert main([*map(str, command)]) == 0
    outputs = [str(tmp_path / f"{folder}_out") for folder in ("pred", "better")]
    assert main(["report", *outputs, "-o", str(tmp_path / "both.html")]) == 0
    page = (tmp_path / "both.html").read_text()
    assert "better_out better" in page
    assert "Dice, mean of 3 classes&#x27; means</td><td class='n'>1.0000</td><td class='n'>3</td>" in page


def test_evaluations_with_other_classes_say_why_they_are_not_compared(tmp_path):
    label, prediction = blobs(0)
    for folder, values in (("label", label), ("pred", prediction)):
        save(tmp_path / folder / "case.nii.gz", values)
    for name, classes in (("a", ["air", "x", "y", "z"]), ("b", [])):
        command = ["evaluate", "--pred", tmp_path / "pred", "--label", tmp_path / "label", "-o", tmp_path / name]
        assert main([*map(str, command), *(["--classes", *classes] if classes else [])]) == 0
    assert main(["report", str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "both.html")]) == 0
    page = (tmp_path / "both.html").read_text()
    assert "a and b: not compared case by case, because no case has a value of the same class in both." in page
    assert "Case by case" not in page


def test_the_console_has_room_for_surfaces():
    numbers = {"n": 20, "mean": 12.5, "sd": 10.25, "median": 0.5, "ci95": [0.25, 0.75]}
    measured = dict.fromkeys(["dice", "hd95_mm", "assd_mm", "nsd"], numbers)
    none, some = {"missed": 0, "hallucinated": 0}, {"missed": 1, "hallucinated": 2, **measured}
    text = console_table({"liver": some, "tumor": none})
    assert max(map(len, text.splitlines())) <= 80
    overlap, surfaces = text.split("\n\n")
    shown = " ".join(overlap.splitlines()[1].split())
    assert shown == "liver 20 1 2 12.5000 ± 10.2500 0.5000 0.2500 to 0.7500"
    assert surfaces.splitlines()[1].split() == ["liver", *["12.5000", "±", "10.2500"] * 3]
    assert surfaces.splitlines()[2].split() == ["tumor", "–", "–", "–"]
    wide, narrow = console_table({"腫瘍": some, "liver": some}).splitlines()[1:3]
    assert wide.replace("腫瘍", "1234") == narrow.replace("liver", "1234 ")  # two columns for each of the characters


def test_the_headline_averages_classes_without_regions(tmp_path):
    for name, prediction in (("a", [0, 1, 1, 2]), ("b", [0, 1, 2, 2])):
        save(tmp_path / f"label/{name}.nii", np.array([[0, 1, 1, 2]], np.uint8))
        save(tmp_path / f"pred/{name}.nii", np.array([prediction], np.uint8))
    _, summary = run(tmp_path, "--regions", "any=1,2")
    assert summary["regions"] == ["any"]
    assert summary["classes"]["any"]["dice"]["mean"] == 1
    mean = ((1 + 2 / 3) / 2 + (1 + 2 / 3) / 2) / 2
    page = (tmp_path / "out/report.html").read_text()
    assert f"<b>{mean:.4f}</b><span class='soft'>Dice, mean of 2 classes&#x27; means, without regions</span>" in page
    drawn = json.loads((tmp_path / "out/pictures/best.json").read_text())["cases"]
    worst = {"place": "worst", "file": "b", "value": pytest.approx(2 / 3)}
    assert [{key: case[key] for key in worst} for case in drawn] == [worst, {"place": "best", "file": "a", "value": 1}]


def test_a_table_of_an_earlier_version_is_read(tmp_path):
    label, prediction = blobs(0)
    save(tmp_path / "label/a.nii", label)
    save(tmp_path / "pred/a.nii", prediction)
    run(tmp_path, "--surface")
    for name in ("cases.csv", "summary.json"):
        path = tmp_path / "out" / name
        path.write_text(path.read_text().replace("assd_mm", "asd_mm").replace('"regions": [],', ""))
    assert main(["report", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out/report.html").read_text()
    assert "ASSD, mm" in page
    assert "asd_mm" in page  # the column of the file
