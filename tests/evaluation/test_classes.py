"""Names of classes, as a command line or another tool's file says them."""

from __future__ import annotations

import json

import pytest

from monai_auxops.evaluation.classes import Naming, Target, read_naming, targets

METADATA = {"network_data_format": {"outputs": {"pred": {"channel_def": {"0": "background", "1": "spleen"}}}}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (METADATA, Naming({0: "background", 1: "spleen"})),
        ({"labels": {"0": "background", "1": "liver"}}, Naming({0: "background", 1: "liver"})),
        (
            {"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}},
            Naming({0: "background", 2: "core"}, (Target("whole", (1, 2)),), (3,)),
        ),
    ],
)
def test_files_of_other_tools(tmp_path, content, expected):
    (tmp_path / "names.json").write_text(json.dumps(content))
    assert read_naming([str(tmp_path / "names.json")]) == expected


@pytest.mark.parametrize(
    ("classes", "regions", "message"),
    [
        (["liver=x"], [], "expected a whole number as a label value, got 'x'"),
        (["a", "a"], [], "got a more than once"),
        (["liver=1", "tumor=1"], [], "expected one name for the value 1, got liver and tumor"),
        (["a"], ["a=1"], "got a more than once"),
        ([], ["WT"], "expected NAME=VALUE,VALUE, got 'WT'"),
        (["nowhere.json"], [], "cannot read nowhere.json"),
    ],
)
def test_what_cannot_be_meant(classes, regions, message):
    with pytest.raises(ValueError, match=message):
        read_naming(classes, regions)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"background": 0, "liver": 1.5}, "expected a whole number as a label value, got 1.5"),
        ({"background": 0, "liver": True}, "expected a whole number as a label value, got True"),
        ({"background": 0, "liver": 1, "tumor": 1}, "expected one name for the value 1, got liver and tumor"),
    ],
)
def test_a_file_that_would_lose_a_class(tmp_path, labels, message):
    (tmp_path / "names.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(ValueError, match=message):
        read_naming([str(tmp_path / "names.json")])


def test_a_file_without_names(tmp_path):
    (tmp_path / "names.json").write_text("[1]")
    with pytest.raises(ValueError, match="expected labels"):
        read_naming([str(tmp_path / "names.json")])


def test_background_is_measured_where_asked_for():
    naming = read_naming(["background", "liver"])
    assert [target.name for target in targets(naming, [0, 1])] == ["liver"]
    assert [target.name for target in targets(naming, [0, 1], background=True)] == ["background", "liver"]
