"""Golden files of TensorFlow 1.15 (``tests/golden_tf/make.py``), and ways to change copies of them."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden_tf"
NETWORKS = sorted(path.stem for path in GOLDEN.glob("*.zip"))
PROVABLE = [name for name in NETWORKS if name.startswith("segresnet")]


def unpack(name, folder):
    with zipfile.ZipFile(GOLDEN / f"{name}.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def golden(tmp_path):
    """Return a function that unpacks a network's files into a folder ``models``."""

    def unpacked(name):
        return unpack(name, tmp_path / name / "models")

    return unpacked


def arrays(folder):
    with np.load(folder / "io.npz") as found:
        return {name: found[name] for name in found}
