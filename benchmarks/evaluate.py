"""How long ``monai-auxops evaluate`` takes beside reading its files, and its peak memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SHAPE, CLASSES = (240, 240, 155), 4

READ = """
import sys, time
from pathlib import Path
from monai_auxops.evaluation.formats import read_volume
start = time.perf_counter()
for path in sorted(Path(sys.argv[1]).rglob("*.nii.gz")):
    read_volume(path)
print(time.perf_counter() - start)
"""
EVALUATE = """
import sys, time
from pathlib import Path
from monai_auxops.evaluation.command import evaluate
from monai_auxops.evaluation.options import EvaluateOptions
folder = Path(sys.argv[1])
start = time.perf_counter()
code = evaluate(EvaluateOptions(folder / "pred", folder / "label", folder / "out"))
print(time.perf_counter() - start)
sys.exit(code)
"""


def evaluate(cases: int = 100) -> dict[str, Any]:
    """Print and return seconds for reading all files, for evaluating them, the ratio, and the peak memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        write_cases(Path(folder), cases)
        seconds = {"read": timed(READ, folder), "evaluate": timed(EVALUATE, folder)}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # of the larger of the two
    result = {"cases": cases, **seconds, "ratio": seconds["evaluate"] / seconds["read"], "peak_mib": peak}
    print(json.dumps(result, indent=1))
    return result


def timed(code: str, folder: str) -> float:
    """Run ``code`` in a process of its own; the imports are not part of what it measures."""
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def write_cases(folder: Path, cases: int) -> None:
    """Write label maps of nested ellipsoids, and predictions that are shifted by a few voxels."""
    import nibabel
    import numpy as np

    random = np.random.default_rng(0)
    axes = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in SHAPE)]
    for kind in ("label", "pred"):
        (folder / kind).mkdir()
    for case in range(cases):
        center = random.uniform(-0.2, 0.2, 3)
        distance = sum((axis - c) ** 2 for axis, c in zip(axes, center, strict=True)) ** 0.5
        label = np.digitize(-distance, -np.array([0.6, 0.4, 0.2])).astype(np.uint8)
        for kind, values in (("label", label), ("pred", np.roll(label, random.integers(-4, 5, 3), (0, 1, 2)))):
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / kind / f"case_{case}.nii.gz")


if __name__ == "__main__":
    evaluate(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
