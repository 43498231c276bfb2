"""The front door on every supported Python that this machine has: the constraints resolve, and reports run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MMAR = ROOT / "tests/golden/brats/source"


def interpreter(version: str) -> str:
    """Return the path of a Python of this version, or skip: on the PATH, or beside the one that runs the tests."""
    on_path = [shutil.which(f"python{version}"), *Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python")]
    for candidate in filter(None, on_path):
        answer = subprocess.run(
            [candidate, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True
        )
        if answer.stdout.strip() == f"({version.replace('.', ', ')})":
            return str(candidate)
    pytest.skip(f"no Python {version} on this machine")


def run(*command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment, cwd=ROOT)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
def test_reports_need_only_the_standard_library(version):
    python = interpreter(version)
    report = json.loads(run(python, "-S", "-m", "monai_auxops", "migrate", str(MMAR), "--format", "json"))
    assert report["total"]
    assert "DiceMaskedOutput" in run(python, "-S", "-m", "monai_auxops", "explain", "DiceMaskedOutput")
    assert "usage: monai-auxops" in run(python, "-S", "-m", "monai_auxops", "--help")


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
def test_the_constraints_resolve(version, tmp_path):
    python = interpreter(version)
    plan = tmp_path / "plan.json"
    pip = [python, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--report", str(plan)]
    done = subprocess.run([*pip, "-c", "constraints.txt", ".[demo,fast]"], capture_output=True, text=True, cwd=ROOT)
    if "NewConnectionError" in done.stderr:
        pytest.skip("no package index")
    assert done.returncode == 0, done.stderr[-2000:]
    names = {item["metadata"]["name"].lower() for item in json.loads(plan.read_text())["install"]}
    assert {"monai", "torch", "numpy", "pytorch-ignite"} <= names
