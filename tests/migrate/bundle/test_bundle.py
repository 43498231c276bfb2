"""Writing: complete or not at all, never over something, the same bytes each time; and MONAI's own judgment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from monai_auxops.migrate import command
from monai_auxops.migrate.bundle import folder as bundle
from monai_auxops.migrate.bundle.metadata import PACKAGES, TESTED
from monai_auxops.migrate.command import MigrateOptions, run
from monai_auxops.migrate.trial import validate
from tests.migrate.conftest import DATALIST, EVALUATE, component


def written(mmar, output, **options):
    report, code = run(MigrateOptions(mmar.write(), output=output, form="json", **options))
    return json.loads(report), code


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_report_writes_nothing(mmar):
    before = content(mmar.write())
    run(MigrateOptions(mmar.folder))
    assert content(mmar.folder) == before
    assert names(mmar.folder.parent) == ["mmar"]


def test_the_same_input_gives_the_same_bytes(mmar, tmp_path):
    mmar.files["config_validation.json"] = EVALUATE
    for name in ("one", "two"):
        assert written(mmar, tmp_path / name, validate=False)[1] == 0
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_what_a_bundle_holds(mmar, tmp_path):
    report, code = written(mmar, tmp_path / "out")
    assert code == 0
    assert report["next"][1] == "python -m monai.bundle run --config_file configs/train.json --dataset_dir DATA"
    configs = ("train", "evaluate", "inference", "multi_gpu_train", "metadata", "datalist")
    expected = {f"configs/{name}.json" for name in configs} | {"configs/logging.conf", "docs/README.md", "LICENSE"}
    assert set(content(tmp_path / "out")) == expected
    assert json.loads((tmp_path / "out/configs/datalist.json").read_text()) == DATALIST


BOTH, FOLDER = "--dataset_dir DATA --datalist DATA/dataset.json", "--dataset_dir DATA"
DEFINED = {"DATASET_JSON": "config/dataset.json"}


@pytest.mark.parametrize(
    ("file", "content", "options"),
    [("dataset.json", None, BOTH), ("environment.json", None, BOTH), ("environment.json", DEFINED, FOLDER)],
)
def test_every_command_says_where_data_that_was_missing_is(mmar, tmp_path, file, content, options):
    mmar.files[file] = content
    report, _ = written(mmar, tmp_path / "out", validate=False)
    command = report["next"][1]
    assert command.endswith(f"configs/train.json {options}")
    shown = (tmp_path / "out" / "docs" / "README.md").read_text().partition("```bash\n")[2].partition("```")[0]
    commands = [line for line in shown.splitlines() if "monai.bundle" in line]
    assert command in commands
    assert len(commands) == 5
    assert all(line.endswith(options) for line in commands)


def test_the_folder_of_the_images_is_checked_as_the_list_is(mmar, tmp_path):
    data = tmp_path / "data"
    mmar.files["environment.json"]["DATA_ROOT"] = str(data)
    assert "CT523" in mmar.codes()
    data.mkdir()
    assert "CT523" in mmar.codes()
    (data / "a.nii.gz").touch()
    assert "CT523" not in mmar.codes()
    report, _ = written(mmar, tmp_path / "out", validate=False)
    assert report["next"][1].endswith("configs/train.json")


def test_nothing_is_overwritten_without_force(mmar, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    report, code = written(mmar, tmp_path / "out", validate=False)
    assert (code, [item["code"] for item in report["diagnostics"]]) == (2, ["CT703", "CT523"])
    assert names(tmp_path / "out") == ["mine"]
    assert written(mmar, tmp_path / "out", validate=False, force=True)[1] == 0
    assert not (tmp_path / "out" / "mine").exists()


def test_a_file_in_the_place_of_the_folder(mmar, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert written(mmar, tmp_path / "out", validate=False)[1] == 2
    assert written(mmar, tmp_path / "out", validate=False, force=True)[1] == 0
    assert (tmp_path / "out").is_dir()


def test_an_empty_folder_is_taken(mmar, tmp_path):
    (tmp_path / "out").mkdir()
    assert written(mmar, tmp_path / "out", validate=False)[1] == 0


@pytest.mark.parametrize("fails", ["write", "publish"])
def test_a_failure_leaves_nothing(mmar, tmp_path, monkeypatch, fails):
    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(bundle, fails, broken)
    with pytest.raises(OSError, match="disk full"):
        written(mmar, tmp_path / "out", validate=False)
    assert names(tmp_path) == ["mmar"]


def test_a_bundle_that_monai_refuses_is_not_written(mmar, tmp_path, monkeypatch):
    monkeypatch.setattr(validate, "validate", lambda _: ["network_def names Nothing, which does not exist"])
    report, code = written(mmar, tmp_path / "out")
    assert (code, report["diagnostics"][0]["code"]) == (2, "CT702")
    assert names(tmp_path) == ["mmar"]


def test_errors_that_are_fatal_write_nothing(mmar, tmp_path):
    mmar.text("config/config_train.json", "{")
    assert written(mmar, tmp_path / "out")[1] == 2
    assert not (tmp_path / "out").exists()


def test_no_path_of_the_mmar_leaves_the_bundle(mmar, tmp_path):
    mmar.set("validate.metrics.0.args.report_path", "../../../etc").set("train.pre_transforms.3", component("../../x"))
    mmar.files["environment.json"]["DATASET_JSON"] = "../../outside.json"
    (tmp_path.parent / "outside.json").write_text(json.dumps(DATALIST))
    written(mmar, tmp_path / "out", validate=False)
    assert names(tmp_path) == ["mmar", "out"]
    assert not (tmp_path / "out" / "configs" / "datalist.json").exists()
    train = json.loads((tmp_path / "out" / "configs" / "train.json").read_text())
    assert train["validate"]["key_metric"]["mean_dice"]["report_path"] == "@output_dir"


def test_metadata_names_the_tested_versions():
    lines = (Path(__file__).parents[3] / "constraints.txt").read_text().splitlines()
    newest = [line.partition(";")[0].strip() for line in lines if 'python_version < "3.11"' not in line]
    tested = dict(line.split("==") for line in newest if "==" in line)
    assert {
        **{name: tested[name] for name in TESTED},
        **{name: tested.get(name) for name in PACKAGES},
    } == {**TESTED, **PACKAGES, "monai-auxops": None}


def problems(folder, name, change):
    path = folder / "configs" / name
    block = json.loads(path.read_text())
    change(block)
    path.write_text(json.dumps(block))
    return validate.problems(folder)


def test_monai_finds_mistakes(mmar, tmp_path):
    written(mmar, tmp_path / "out", validate=False)
    assert validate.problems(tmp_path / "out") == []
    assert "pytorch_version" in problems(tmp_path / "out", "metadata.json", lambda b: b.pop("pytorch_version"))[0]
    found = problems(tmp_path / "out", "train.json", lambda b: b["network_def"].update(_target_="Nothing"))
    assert any("names Nothing" in item for item in found)
    found = problems(tmp_path / "out", "train.json", lambda b: b["train"]["trainer"].update(network="@none"))
    assert any("refers to none" in item for item in found)
    found = problems(tmp_path / "out", "train.json", lambda b: b["train"].pop("inferer"))
    assert any("train_inferer is missing" in item for item in found)
    (tmp_path / "out" / "configs" / "train.json").write_text("{")
    assert any("train.json" in item for item in validate.problems(tmp_path / "out"))


def test_validation_in_a_process_of_its_own(mmar, tmp_path):
    written(mmar, tmp_path / "out", validate=False)
    assert validate.validate(tmp_path / "out") == []
    assert "took more than 0 s" in validate.validate(tmp_path / "out", timeout=0.01)[0]
    assert validate.validate(tmp_path / "none") != []


def test_the_schema_is_optional(mmar, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert validate._metadata(tmp_path / "none") == []


def test_verify_metadata_of_monai(mmar, tmp_path):
    written(mmar, tmp_path / "out", validate=False)
    schema = tmp_path / "schema.json"
    schema.write_bytes(validate.SCHEMA.read_bytes())
    meta = tmp_path / "out" / "configs" / "metadata.json"
    args = ["verify_metadata", "--meta_file", str(meta), "--filepath", str(schema)]
    done = subprocess.run([sys.executable, "-m", "monai.bundle", *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_bundle_needs_a_training_configuration(mmar):
    project = mmar.read()
    project.train = None
    with pytest.raises(ValueError, match="training configuration"):
        bundle.files(project)


def test_an_unsafe_name_that_no_check_saw(mmar, tmp_path, monkeypatch):
    monkeypatch.setattr(command.bundle, "files", lambda _: (_ for _ in ()).throw(command.UnsafeKeyError("a#b")))
    assert written(mmar, tmp_path / "out")[1] == 2
