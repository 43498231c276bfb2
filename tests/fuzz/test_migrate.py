"""Hostile bytes: the migrator answers with its own diagnostics, soon, and in bounded memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_auxops.migrate.command import MigrateOptions, run
from monai_auxops.migrate.diagnostics import Log
from monai_auxops.migrate.reading import mmar as mmar_module
from monai_auxops.migrate.reading.json_source import parse

ROOT = Path(__file__).parents[2]
CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
EXAMPLES = settings(max_examples=int(os.environ.get("AUXOPS_EXAMPLES", "200")) // 2, deadline=None)
TRAIN = b'{"epochs": 1, "train": {"loss": {"name": "Dice"}, "model": {"name": "SegResnet"}, "aux_ops": %s}}'


def migrated(folder: Path, content: bytes, name: str = "config_train.json", **options) -> tuple[str, int]:
    path = folder / "mmar" / "config" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return run(MigrateOptions(folder / "mmar", output=folder / "out", validate=False, force=True, **options))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus(path, tmp_path):
    report, code = migrated(tmp_path, path.read_bytes())
    assert code in (0, 1, 2)
    assert all(char.isprintable() or char == "\n" for char in report)


HOSTILE = {
    "10,000 lists deep": b"[" * 10_000,
    "10,000 objects deep": b'{"a":' * 10_000,
    "10,000 deep and closed": TRAIN % (b"[" * 10_000 + b"]" * 10_000),
    "NUL": TRAIN.replace(b"Dice", b"Di\0ce") % b"[]",
    "only NUL": b"\0" * 1000,
    "invalid UTF-8": TRAIN.replace(b"Dice", b"Di\xff\xfece") % b"[]",
    "lone surrogate": TRAIN.replace(b"Dice", rb"\ud800") % b"[]",
    "UTF-16": (TRAIN % b"[]").decode().encode("utf-16"),
    "UTF-16 without a mark": (TRAIN % b"[]").decode().encode("utf-16-be"),
    "UTF-8 with a mark": b"\xef\xbb\xbf" + TRAIN % b"[]",
    "duplicate keys": b'{"train": {"loss": {"name": "Dice"}, '
    + b'"loss": {"name": "Dice"}, ' * 2000
    + b'"model": {}}}',
    "a number of 100,000 digits": TRAIN % (b"9" * 100_000),
    "a large exponent": TRAIN.replace(b"1,", b"1e999999,", 1) % b"[-1e-999999]",
    "a number of no float": TRAIN.replace(b"1,", b"9" * 299 + b",", 1) % b"[]",
    "a ref to itself": TRAIN % b'[{"ref": "a", "name": "a"}, {"ref": "a"}]',
    "refs in a circle": TRAIN % b'[{"ref": "b", "name": "a"}, {"ref": "a", "name": "b"}]',
    "a variable of itself": b'{"A": "{A}{A}{A}", "train": {"loss": {"name": "{A}"}, "model": {"name": "{A}"}}}',
    "nothing": b"",
    "no object": b"[1]",
    "one quote": b'"',
    "an open comment": b"/*" * 50_000,
    "100,000 comments": b"//\n" * 100_000 + TRAIN % b"[]",
    "100,000 mistakes": b"{" + b'"a": ture,' * 100_000 + b'"train": {}}',
    "20,000 aux-ops": TRAIN % (b"[" + b'{"name": "ComputeDice"},' * 20_000 + b"{}]"),
    "a long name": TRAIN.replace(b"Dice", b"D" * 1_000_000) % b"[]",
    "wrong kinds": b'{"train": {"loss": [], "model": 1, "pre_transforms": {}, "aux_ops": "x", "image_pipeline": null}}',
}


@pytest.mark.timeout(100)  # the longest takes 8 s on an idle core
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_end_soon_with_a_report(content, tmp_path):
    report, code = migrated(tmp_path, content)
    assert code in (0, 1, 2)
    assert "CT" in report
    assert len(report) < 20_000_000


@pytest.mark.parametrize("name", ["environment.json", "dataset.json"])
@pytest.mark.parametrize("content", [b"\xff", b"[" * 5000, b'{"A": "{B}", "B": "{A}{A}"}', b'{"training": 1}'], ids=str)
def test_hostile_files_beside_a_good_one(content, name, tmp_path):
    migrated(tmp_path, TRAIN % b"[]")
    _, code = migrated(tmp_path, content, name)
    assert code in (0, 1, 2)


BOMBS = json.dumps({f"V{i}": f"{{V{i + 1}}}" * 10 for i in range(30)} | {"V30": "x" * 100})


@pytest.mark.timeout(20)
def test_a_bomb_of_variables_is_bounded(tmp_path):
    """Ten times more at each of thirty levels: 10**32 characters, if anybody wrote them."""
    migrated(tmp_path, BOMBS.encode(), "environment.json")
    report, code = migrated(tmp_path, TRAIN.replace(b"Dice", b"{V0}") % b"[]")
    assert code in (0, 1, 2)
    assert len(report) < 10_000_000


def test_100_mb_are_refused_in_little_memory(tmp_path):
    """In a process of its own, whose memory is limited to less than the file would take."""
    path = tmp_path / "config_train.json"
    with path.open("wb") as file:
        file.write(b'{"a": "')
        for _ in range(100):
            file.write(b"x" * 2**20)
        file.write(b'"}')
    command = [sys.executable, "-m", "monai_auxops", "migrate", str(path)]
    limit = 512 * 2**20

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, preexec_fn=limited)
    assert done.returncode == 2
    assert f"larger than {mmar_module.MAX_BYTES // 2**20} MB" in done.stdout
    assert "Traceback" not in done.stderr


WORDS = rb"""{ } [ ] : , " ' \ \u 0 - 1e9 NaN nul # /* */ // "train" "ref" "name" "args" {A} $ @"""
FRAGMENTS = st.sampled_from([*WORDS.split(), b"\n", b"\0", b"\xff", b"\xef\xbb\xbf"])
KEYS = ["name", "path", "args", "ref", "disabled", "fields", "tags", "tag", "field"]
NAMES = ["ComputeDice", "DiceMaskedOutput", "LoadNifti", "Dice", "ComputeAverage", "SegResnet", "{A}", "a.B#c"]
PARTS = ["aux_ops", "pre_transforms", "loss", "model", "optimizer", "image_pipeline", "metrics", "inferer"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([*NAMES, "$1", "@a"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)
COMPONENTS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(NAMES) | VALUES},
        optional={"args": st.dictionaries(st.sampled_from(KEYS), VALUES), "ref": st.sampled_from(NAMES) | VALUES},
    ),
    max_size=4,
)
SECTIONS = st.dictionaries(st.sampled_from(PARTS), COMPONENTS | VALUES)
CONFIGS = st.fixed_dictionaries(
    {"train": SECTIONS}, optional={"validate": SECTIONS, "epochs": VALUES, "learning_rate": VALUES, "A": VALUES}
)


@EXAMPLES
@given(st.lists(FRAGMENTS, max_size=30).map(b"".join) | st.binary(max_size=60))
def test_the_reader_takes_any_bytes(data):
    log = Log()
    node = parse(data, "f.json", log)
    assert node is not None or log.items


@EXAMPLES
@given(config=CONFIGS)
def test_the_whole_migration_takes_any_values(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    report, code = migrated(folder, json.dumps(config).encode("utf-8", "surrogatepass"), form="json")
    assert code in (0, 1, 2)
    json.loads(report)
