"""Files find their partners by name, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from monai_auxops.evaluation.pairing import find_pairs


def folders(root: Path, predictions: list[str], labels: list[str]) -> tuple[Path, Path]:
    for folder, names in (("pred", predictions), ("label", labels)):
        for name in names:
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    return root / "pred", root / "label"


@pytest.mark.parametrize(
    ("prediction", "label", "case"),
    [
        ("a.nii.gz", "a.nii.gz", "a"),
        ("a.nii.gz", "a.nrrd", "a"),
        ("a_0000.nii.gz", "a.nii.gz", "a"),
        ("a.nii.gz", "a_0000.nii.gz", "a"),
        ("a_seg.nii.gz", "a_label.mha", "a"),
        ("A/A_seg.nii.gz", "A.nii.gz", "A"),
        ("BraTS_01.nii.gz", "BraTS_01/seg.nii.gz", "BraTS_01"),
        ("x/a_0000_seg.NII.GZ", "y/a.nii", "a"),
        ("slice.v2.png", "slice.v2_mask.png", "slice.v2"),
        ("a.seg.nrrd", "a.nii.gz", "a"),
        ("u\u0308.nii.gz", "\u00fc.nii.gz", "\u00fc"),  # macOS stores the two parts of an accented letter
    ],
)
def test_names_that_belong_together(tmp_path, prediction, label, case):
    pairing = find_pairs(*folders(tmp_path, [prediction], [label]))
    assert [(pair.case, pair.prediction.name) for pair in pairing.pairs] == [(case, Path(prediction).name)]
    assert pairing.problems == []


def test_two_files_for_one_case_are_not_guessed_between(tmp_path):
    pairing = find_pairs(*folders(tmp_path, ["a_seg.nii.gz", "a_pred.nii.gz", "b.nii"], ["a.nii.gz", "b.nii"]))
    assert [pair.case for pair in pairing.pairs] == ["b"]
    (problem,) = pairing.problems
    assert problem.startswith("a: not measured, because there is more than one file for the case")
    assert "a_seg.nii.gz" in problem
    assert "a_pred.nii.gz" in problem


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [
        (["1/seg.nii", "2/seg.nii", "3/seg.nii"], ["1/seg.nii", "2/seg.nii", "4/seg.nii"]),
        (["1/scan.nii", "3/scan.nii"], ["1/scan.nii", "4/scan.nii"]),
        (["1/scan_seg.nii", "3/scan_seg.nii"], ["1/scan.nii", "4/scan.nii"]),
        (["1/pred.nii", "3/pred.nii"], ["1/label.nii", "4/label.nii"]),
        (["1.nii", "3/seg.nii"], ["1.nii", "4/seg.nii"]),
    ],
)
def test_the_last_files_of_a_name_are_not_one_case(tmp_path, predictions, labels):
    pairing = find_pairs(*folders(tmp_path, predictions, labels))
    assert all(
        pair.prediction.parent.name == pair.label.parent.name or "1." in pair.label.name for pair in pairing.pairs
    )
    assert len(pairing.pairs) == len(predictions) - 1
    assert len(pairing.problems) == 2


def test_two_formats_of_one_case_are_two_files(tmp_path):
    pairing = find_pairs(*folders(tmp_path, ["a.nii", "a.nii.gz"], ["a.nii.gz"]))
    assert pairing.pairs == []
    assert "more than one file" in pairing.problems[0]


def test_the_file_with_the_very_name_wins_and_the_other_is_named(tmp_path):
    pairing = find_pairs(*folders(tmp_path, ["a.nii.gz", "a_seg.nii.gz"], ["a.nii.gz"]))
    assert [pair.prediction.name for pair in pairing.pairs] == ["a.nii.gz"]
    assert "a second prediction for the case a" in pairing.problems[0]


def test_other_channels_of_nnunet_are_other_files(tmp_path):
    pairing = find_pairs(*folders(tmp_path, ["a_0000.nii.gz", "a_0001.nii.gz"], ["a.nii.gz"]))
    assert [pair.prediction.name for pair in pairing.pairs] == ["a_0000.nii.gz"]
    assert "a_0001.nii.gz: a prediction without a label" in pairing.problems[0]


def test_numbered_slices_keep_their_numbers(tmp_path):
    names = [f"slice_{i:04}.png" for i in range(3)]
    assert [pair.case for pair in find_pairs(*folders(tmp_path, names, names)).pairs] == [n[:-4] for n in names]


def test_what_has_no_partner_is_listed(tmp_path):
    pairing = find_pairs(*folders(tmp_path, ["a.nii", "b.nii"], ["b.nii", "c.nii"]))
    assert [pair.case for pair in pairing.pairs] == ["b"]
    assert [text.partition(": ")[2] for text in pairing.problems] == [
        "a prediction without a label",
        "a label without a prediction",
    ]


def test_other_files_and_hidden_ones_are_no_images(tmp_path):
    pairing = find_pairs(*folders(tmp_path, ["a.nii", "plans.json", "._a.nii", ".x/b.nii"], ["a.nii"]))
    assert len(pairing.pairs) == 1
    assert pairing.problems == []


def test_a_folder_without_an_image(tmp_path):
    with pytest.raises(ValueError, match=r"no image in .*label: expected files that end in \.nii\.gz"):
        find_pairs(*folders(tmp_path, ["a.nii"], ["a.txt"]))


def test_links_are_followed_and_one_to_nowhere_is_a_case(tmp_path):
    pred, label = folders(tmp_path, ["a.nii"], ["a.nii", "more/b.nii", "c.nii"])
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.nii").write_bytes(b"")
    (pred / "more").symlink_to(tmp_path / "elsewhere")
    (pred / "circle").symlink_to(pred)
    (pred / "c.nii").symlink_to(tmp_path / "nowhere")
    pairing = find_pairs(pred, label)
    assert [pair.case for pair in pairing.pairs] == ["a", "c", "more/b"]
    assert pairing.problems == []


def test_pictures_of_an_evaluation_are_no_predictions(tmp_path):
    pred, label = folders(tmp_path, ["1.png", "out/pictures/1.png", "pictures/2.png"], ["1.png", "2.png"])
    (pred / "out/summary.json").write_text('{"made_by": "monai-auxops evaluate"}')
    pairing = find_pairs(pred, label)
    assert [str(pair.prediction.relative_to(pred)) for pair in pairing.pairs] == ["1.png", "pictures/2.png"]
    assert pairing.problems == []
