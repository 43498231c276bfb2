"""A stranger's MMAR that tries to run code: through the migrator, through the bundle, through its reports."""

import json
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from monai_auxops.migrate.bundle import folder as bundle
from monai_auxops.migrate.bundle.stubs import stubs
from monai_auxops.migrate.command import MigrateOptions, run
from monai_auxops.migrate.encode import Expr, UnsafeKeyError, check_key, encode, is_evaluated, literal
from monai_auxops.migrate.report.html import html
from monai_auxops.migrate.report.model import model
from tests.migrate.conftest import component

EVIL = "$__import__('pathlib').Path('pwned').touch()"
TEXTS = [
    EVIL,
    "@network",
    "%train",
    "a#b",
    "x@##y",
    "$'",
    "$\\",
    "$import os",
    "é$",
    "$" * 3,
    "@a::b",
    "%%",
    "$\n1",
    "'",
    '"',
]


def through_monai(value):
    parser = ConfigParser({"network": 1, "value": {"inside": [encode(value)]}})
    return parser.get_parsed_content("value")["inside"][0]


@pytest.mark.parametrize("text", TEXTS)
def test_text_arrives_as_text(text):
    assert through_monai(text) == text


@given(st.text(alphabet=st.sampled_from("$@%#:'\"\\{}()a0 \n\té日\U0001f600"), max_size=12))
def test_any_text_arrives_as_text(text):
    assert through_monai(text) == text


def test_expressions_of_the_migrator_stay():
    assert encode(Expr("$1 + 1")) == "$1 + 1"
    assert through_monai(Expr("$1 + 1")) == 2


@pytest.mark.parametrize("key", ["_target_", "_requires_", "_mode_", "_disabled_", "_desc_", "a#b", "a::b", "+a", "$a"])
def test_keys_that_monai_acts_upon_are_refused(key, mmar):
    with pytest.raises(UnsafeKeyError):
        check_key(key)
    with pytest.raises(UnsafeKeyError):
        encode([{"a": {key: 1}}])
    mmar.set("train.loss", {"path": "my.Loss", "args": {"deep": [{key: "os.system"}]}})
    assert "CT602" in mmar.codes()


@pytest.mark.parametrize("tag", ["a#b", "a::b"])
def test_names_that_become_keys_are_refused(tag, mmar, tmp_path):
    mmar.set("train.aux_ops.0.args.tags", [tag]).set("validate.metrics.0.args.name", tag)
    _, code = run(MigrateOptions(mmar.write(), output=tmp_path / "out"))
    assert code == 2
    assert not (tmp_path / "out").exists()


def hostile(mmar):
    """Put code wherever a configuration holds text."""
    mmar.set("train.aux_ops.0.args.tags", [EVIL]).set("validate.metrics.0.args.field", EVIL)
    mmar.set("train.pre_transforms.3", component("SaveAsNifti", fields="image", out_dir=EVIL))
    mmar.set("train.pre_transforms.4", {"path": f"{EVIL}.{EVIL}", "args": {"text": EVIL, "deep": [{"more": EVIL}]}})
    mmar.set("train.pre_transforms.5", {"name": '"""\nimport os\nos._exit(3)\n"""', "args": {EVIL.lstrip("$"): 1}})
    mmar.set("train.image_pipeline.args.data_list_key", f"'{EVIL}").set("train.extra", EVIL)
    mmar.files["environment.json"] |= {"DATA_ROOT": EVIL, "DATASET_JSON": EVIL, "MMAR_EVAL_OUTPUT_PATH": EVIL}
    mmar.files["dataset.json"]["labels"] = {"0": EVIL, "1": "@network", "2": "%run"}
    mmar.text("commands/train.sh", f"touch pwned\npython -m nvmidl.apps.train --set 'epochs={EVIL}'\n")
    mmar.text("custom/my.py", "raise SystemExit('imported')")
    return mmar


def test_nothing_is_run_by_migrating_or_parsing(mmar, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = hostile(mmar).read()
    texts = bundle.files(project)
    parser = ConfigParser()
    for name in ("train", "inference", "metadata"):
        block = json.loads(texts[f"configs/{name}.json"])
        parser = ConfigParser(block)
        parser.parse(True)
        for item_id, item in list(parser.ref_resolver.items.items()):
            value = item.get_config()
            if isinstance(value, str) and value.startswith("$'"):
                parser.get_parsed_content(item_id)
    assert not (tmp_path / "pwned").exists()
    assert "custom.my" not in sys.modules


def test_parsed_values_are_the_text_of_the_source(mmar):
    block = json.loads(bundle.files(hostile(mmar).read())["configs/train.json"])
    parser = ConfigParser(block)
    assert parser.get_parsed_content("dataset_dir").endswith(EVIL)
    op = parser.get_parsed_content(f"train#key_metric#train_{EVIL}#tags")
    assert op == [EVIL]


def test_the_whole_bundle_is_written_without_harm(mmar, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, code = run(MigrateOptions(hostile(mmar).write(), output=tmp_path / "out"))
    assert code in (1, 2)
    assert not (tmp_path / "pwned").exists()


def test_stubs_hold_no_code_of_the_source(mmar):
    text = stubs(hostile(mmar).read())
    compile(text, "manual.py", "exec")
    assert "os._exit" not in text.replace("_", " ")
    assert "__import__(" not in text


def test_reports_show_markup_as_text(mmar):
    mmar.set("train.loss.name", "<script>alert(1)</script>")
    project = mmar.read()
    assert "<script>" not in html(model(project))
    assert "\\<script\\>" in bundle.files(project)["docs/README.md"]


def test_control_characters_do_not_reach_the_terminal(mmar):
    mmar.set("train.loss.name", "\x1b[2JDice")
    report, _ = run(MigrateOptions(mmar.write()))
    assert "\x1b" not in report


def test_deep_and_huge_values_end():
    assert literal("a" * 10) == f"'{'a' * 10}'"
    assert not is_evaluated("")
    assert encode(math.inf) == math.inf
