"""CONTRIBUTING's five-minute path works as written: its op joins a copy of the package, and the tests accept it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEST = '''"""VolumeError against NumPy."""

import numpy as np
import pytest
import torch

from monai_auxops import VolumeError


@pytest.mark.parametrize("tag", ["volume_error", "mine"])
def test_volume_error(tag):
    scores, label = torch.randn(3, 2, 5, 5), torch.randint(0, 2, (3, 1, 5, 5))
    label[2] = 0
    op = VolumeError(tag)
    op(scores, label)
    predicted, labeled = ((x.numpy() > 0).reshape(3, -1).sum(1) for x in (scores.argmax(1), label))
    expected = np.abs(predicted - labeled)[:2] / labeled[:2]
    assert op.aggregate()[tag] == pytest.approx(expected.mean())
'''


def example() -> str:
    """Return the first Python block of CONTRIBUTING, with the import that its first step names."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    public, own = "from monai_auxops import AuxiliaryOperation", "from monai_auxops.ops.base import AuxiliaryOperation"
    assert public in block
    assert own in text
    return '"""How far the predicted volume is from the labeled one."""\n\n' + block.replace(public, own)


def insert(path: Path, before: str, line: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, line + before, 1), encoding="utf-8")


@pytest.mark.slow
def test_the_example_joins_the_package(tmp_path):
    for name in ("monai_auxops", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "golden*"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "monai_auxops"
    (package / "ops/volume_error.py").write_text(example(), encoding="utf-8")
    (tmp_path / "tests/ops/test_volume_error.py").write_text(TEST, encoding="utf-8")
    own = "from monai_auxops.ops.volume_error import VolumeError\n"
    insert(package / "ops/__init__.py", "\n__all__", own)
    insert(package / "ops/__init__.py", "]", '    "VolumeError",\n')
    insert(package / "__init__.py", '    "ComputeAUC": ', '    "VolumeError": "ops",\n')
    insert(package / "__init__.py", "\n\ndef _load", "    from monai_auxops.ops import VolumeError as VolumeError\n")
    files = ["tests/test_api.py", "tests/migrate/test_rules.py", "tests/ops/test_volume_error.py"]
    command = [sys.executable, "-m", "pytest", "-q", *files, "monai_auxops/ops/volume_error.py"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-3000:]
