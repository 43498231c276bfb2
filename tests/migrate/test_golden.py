"""Each folder of tests/golden: an MMAR, and the bundle and the reports that come of it.

`UPDATE_GOLDEN=1 pytest tests/migrate/test_golden.py` writes the expected files anew; read the difference first.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from monai_auxops.migrate.bundle import folder as bundle
from monai_auxops.migrate.command import MigrateOptions, run
from monai_auxops.migrate.conversion.read_project import read_project
from monai_auxops.migrate.rules import RuleBook
from monai_auxops.migrate.trial.validate import problems

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/source"))


def produced(case):
    project = read_project(Path("source"), [], None, RuleBook())
    files = {f"bundle/{name}": text for name, text in bundle.files(project).items()}
    files["report.txt"], _ = run(MigrateOptions(Path("source")))
    files["report.json"], _ = run(MigrateOptions(Path("source"), form="json"))
    return files


def stored(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_bundle_and_reports_are_as_stored(case, monkeypatch):
    monkeypatch.chdir(GOLDEN / case)
    files, expected = produced(case), GOLDEN / case / "expected"
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.rmtree(expected, ignore_errors=True)
        bundle.write(files, expected)
    assert files == stored(expected)


@pytest.mark.parametrize("case", CASES)
def test_monai_accepts_the_bundle(case):
    assert problems(GOLDEN / case / "expected" / "bundle") == []


@pytest.mark.parametrize("case", CASES)
def test_every_argument_of_the_source_is_accounted_for(case):
    report = json.loads((GOLDEN / case / "expected" / "report.json").read_text())
    for file in report["files"]:
        assert all(entry["outcome"] and entry["reason"] for entry in file["entries"])
