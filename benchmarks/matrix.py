"""Run the engine tests with other versions of MONAI and Ignite, and print which passed.

``python -m benchmarks.matrix [--tests tests/engines tests/reliability/test_resume.py]``

Each version is installed alone (``pip install --no-deps --target``) into a folder of its own in front of the installed
packages: everything else, torch first, stays what is installed. What the command did not run says so.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = (  # "": what is installed
    {"monai": "", "pytorch-ignite": ""},
    {"monai": "", "pytorch-ignite": "==0.4.11"},
    {"monai": "<1.6", "pytorch-ignite": ""},
    {"monai": "<1.6", "pytorch-ignite": "==0.4.11"},
)
NOT_RUN = ("other Pythons and versions of torch", "a GPU")
TELL = "from importlib.metadata import version as v; print(v('monai'), v('pytorch-ignite'), v('torch'))"


def target(package: str, wanted: str, folder: Path) -> str:
    """The folder with that version, empty text where what is installed is meant."""
    if not wanted:
        return ""
    place = folder / f"{package}{wanted}".replace("<", "below-").replace("=", "")
    if not place.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place)]
        subprocess.run([*command, package + wanted], check=True)
        shutil.rmtree(place / "tests", ignore_errors=True)  # some wheels bring their own, which would hide ours
    return str(place)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", nargs="+", default=["tests/engines", "tests/reliability/test_resume.py"])
    options = parser.parse_args()
    print(f"{datetime.date.today()} · Python {platform.python_version()} · torch {metadata.version('torch')}\n")
    print("| MONAI | Ignite | torch | result |\n| --- | --- | --- | --- |")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for wanted in VERSIONS:
            paths = [target(package, version, Path(folder)) for package, version in wanted.items()]
            environment = os.environ | {
                "PYTHONPATH": os.pathsep.join(path for path in (*paths, str(ROOT)) if path),
                "MONAI_AUXOPS_COUNTS": "vectorized",
            }

            def python(*arguments: str, environment: dict[str, str] = environment) -> subprocess.CompletedProcess[str]:
                command = [sys.executable, *arguments]
                return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

            found = python("-c", TELL).stdout.split()
            done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", *options.tests)
            summary = re.findall(r"(\d+ (?:passed|failed|skipped|errors?))", done.stdout.strip().splitlines()[-1])
            print(f"| {' | '.join(found)} | {', '.join(summary) or 'did not start'} |", flush=True)
            failed += done.returncode != 0
            print("\n".join(line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))), end="")
    print(f"\nnot run: {'; '.join(NOT_RUN)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
