"""A stranger's MMAR, checkpoint or name: no code runs, nothing is written elsewhere, no report or terminal is altered.

What MONAI's parser interprets, markup and escape sequences have their tests in tests/migrate/test_hostile.py.
"""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest
import torch

from monai_auxops.migrate.command import MigrateOptions, run
from tests.migrate.conftest import Mmar, component

ROOT = Path(__file__).parents[2]
ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\r\b"


@pytest.fixture
def mmar(tmp_path):
    return Mmar(tmp_path / "mmar")


def outside(tmp_path: Path) -> Path:
    """A file that is nobody's business, beside the MMAR."""
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"training": [{"image": "SECRET"}], "validation": [{"image": "SECRET"}]}))
    return secret


def texts(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_a_data_list_outside_is_not_copied(mmar, tmp_path):
    outside(tmp_path)
    mmar.files["environment.json"]["DATASET_JSON"] = "../secret.json"
    run(MigrateOptions(mmar.write(), output=tmp_path / "out", validate=False))
    assert "SECRET" not in texts(tmp_path / "out")


def test_a_data_list_that_is_a_link_to_the_outside_is_not_copied(mmar, tmp_path):
    secret = outside(tmp_path)
    mmar.files["dataset.json"] = None
    mmar.write()
    (mmar.folder / "config" / "dataset.json").symlink_to(secret)
    run(MigrateOptions(mmar.folder, output=tmp_path / "out", validate=False))
    assert "SECRET" not in texts(tmp_path / "out")


@pytest.mark.parametrize("path", ["../../../../etc/cron.d/x", "/etc/cron.d/x", "..\\..\\x", "~/x", "a/../../../x"])
def test_no_write_path_leaves_the_output_folder(mmar, tmp_path, path):
    """Neither while migrating nor in what the bundle is told to write."""
    mmar.set("train.pre_transforms.3", component("SaveAsNifti", fields="image", out_dir=path))
    mmar.set("validate.metrics.0.args.report_path", path)
    mmar.files["environment.json"] |= {"MMAR_EVAL_OUTPUT_PATH": path, "MMAR_CKPT_DIR": path}
    mmar.files["config_validation.json"] = {
        "writers": [component("WriteNifti", field="model", write_path=path)],
        "val_metrics": [component("ComputeAverageDice", name="d", field="model", report_path=path)],
    }
    run(MigrateOptions(mmar.write(), output=tmp_path / "out", validate=False))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mmar", "out"]
    for file in (tmp_path / "out" / "configs").glob("*.json"):
        for key, value in strings(json.loads(file.read_text())):
            if key in ("report_path", "output_dir", "save_dir", "ckpt_dir", "folder_layout"):
                assert value.startswith("@") or (".." not in value and not value.startswith(("/", "~"))), (key, value)


def strings(value, key=""):
    """Every string of a configuration with its key."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from strings(child, name)
    elif isinstance(value, list):
        for child in value:
            yield from strings(child, key)
    elif isinstance(value, str):
        yield key, value


def test_an_output_folder_that_is_a_link_writes_nothing_behind_it(mmar, tmp_path):
    behind = tmp_path / "behind"
    behind.mkdir()
    (behind / "mine").write_text("mine")
    (tmp_path / "out").symlink_to(behind)
    for force in (False, True):
        run(MigrateOptions(mmar.write(), output=tmp_path / "out", validate=False, force=force))
        assert [path.name for path in behind.iterdir()] == ["mine"]


def test_a_link_to_itself_ends(mmar, tmp_path):
    mmar.write()
    (mmar.folder / "config" / "loop.json").symlink_to("loop.json")
    (mmar.folder / "config_all").symlink_to(mmar.folder)
    _, code = run(MigrateOptions(mmar.folder))
    assert code in (0, 1, 2)


@pytest.mark.parametrize("form", ["text", "diff"])
def test_escape_sequences_in_any_name_do_not_reach_the_terminal(mmar, form):
    mmar.set("train.pre_transforms.3", {"name": ESCAPES, "args": {ESCAPES: ESCAPES}})
    mmar.set("train.aux_ops.1", component("ComputeDice", tag=ESCAPES))
    mmar.files["environment.json"][ESCAPES] = ESCAPES
    mmar.files[f"dataset{ESCAPES[:4]}.json"] = {"training": ESCAPES}
    report, _ = run(MigrateOptions(mmar.write(), form=form))
    assert all(char.isprintable() or char == "\n" for char in report)


@pytest.mark.parametrize("path", ["os.system", "posix.system", "builtins.exec", "subprocess.run", "custom.os.system"])
def test_a_component_by_path_is_named_and_not_imported_or_called(mmar, tmp_path, path, monkeypatch):
    """Bring your own components: the path of a stranger becomes a stub to write by hand, never a ``_target_``."""
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("it was called"))
    mmar.set("train.pre_transforms.3", {"path": path, "args": {"command": "touch pwned"}})
    mmar.set("train.loss", {"path": path, "args": {"command": "touch pwned"}})
    run(MigrateOptions(mmar.write(), output=tmp_path / "out", validate=False))
    for file in (tmp_path / "out").rglob("*.json"):
        assert path not in [v for k, v in strings(json.loads(file.read_text())) if k == "_target_"], file


def test_every_checkpoint_is_loaded_with_weights_only():
    """Of a stranger's file only tensors and plain values: no call of torch.load without it, and no other unpickling.

    TorchScript, which holds a program for its own interpreter and no Python, is loaded by ``--check`` alone.
    """
    for file in [*ROOT.glob("monai_auxops/**/*.py"), *ROOT.glob("bundles/**/*.py"), *ROOT.glob("benchmarks/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.jit.load":
                assert file == ROOT / "monai_auxops/migrate/trial/weights.py"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert options.get("weights_only") == "True", f"{file}:{node.lineno}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "dill", "cloudpickle", "marshal", "shelve"}, f"{file}:{node.lineno}"


def test_states_of_aux_ops_need_no_more_than_weights_only(tmp_path):
    import monai_auxops as ma

    op = ma.DiceMaskedOutput(["mean", "a", "b"], class_names=["a", "b"], statistics=["global"])
    op(torch.rand(2, 2, 4), torch.randint(0, 2, (2, 1, 4)))
    torch.save(op.state_dict(), tmp_path / "op.pt")
    fresh = ma.DiceMaskedOutput(["mean", "a", "b"], class_names=["a", "b"], statistics=["global"])
    fresh.load_state_dict(torch.load(tmp_path / "op.pt", weights_only=True))
    assert fresh.aggregate() == op.aggregate()


def test_the_package_never_calls_a_shell():
    """Nor eval or exec on anything: what runs is started as a list of arguments."""
    for file in ROOT.glob("monai_auxops/**/*.py"):
        text = file.read_text()
        assert not re.search(r"shell=True|os\.system|os\.popen", text), file
        for node in ast.walk(ast.parse(text)):
            assert not (isinstance(node, ast.Call) and ast.unparse(node.func) in ("eval", "exec")), file
