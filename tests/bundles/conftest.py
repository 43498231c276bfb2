"""A bundle copied to a folder of its own, and MONAI's command line run in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = ("brain_extraction", "brain_tissue_segmentation", "slice_view_classification")


REMARKS = (  # of aux-ops on data that cannot be as their options say: none of it is true here
    *("not class indices", "neither 0 nor 1", "above the classes", "outside 0 to 1", "within 0 to 1"),
    *("labels overlap", "look one-hot", "outputs of the same size", "nothing to measure"),
)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def bundle(name, tmp_path):
    """A copy to write into: no test leaves a model in the repository."""
    without = shutil.ignore_patterns("models", "eval", "__pycache__")
    return Path(shutil.copytree(BUNDLES / name, tmp_path / name, ignore=without))


@pytest.fixture
def monai_bundle(bundle):
    """``python -m monai.bundle ...`` in the bundle's folder; returns what it printed."""

    def run(*arguments, launcher=(), seconds=200, **environment):
        command = [sys.executable, *launcher, "-m", "monai.bundle", *arguments]
        done = subprocess.run(
            command,
            cwd=bundle,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        assert [remark for remark in REMARKS if remark in done.stderr] == []
        return done.stdout

    return run


@pytest.fixture
def inside(bundle, monkeypatch):
    """This process stands in the bundle's folder, as its relative paths and its ``scripts`` expect."""
    monkeypatch.chdir(bundle)
    monkeypatch.syspath_prepend(str(bundle))
    forget_scripts()
    yield bundle
    forget_scripts()


def forget_scripts():
    """Each bundle may have a package of this name."""
    for module in [m for m in sys.modules if m.split(".")[0] == "scripts"]:
        del sys.modules[module]
