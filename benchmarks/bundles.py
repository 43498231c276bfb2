"""Attach aux-ops to every bundle of a folder, and print what an epoch without and with them shows.

``python -m benchmarks.bundles FOLDER [-o TABLE.md] [--only NAME …]``

Each bundle is copied; nothing in FOLDER changes. Generated data stands in for the bundle's own, as with
``monai-auxops attach BUNDLE --check``. A line is printed as soon as its bundle is done.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from monai_auxops.attach.evidence import Answers
from monai_auxops.attach.folder import configs_of, inside_bundle
from monai_auxops.attach.plan import Plan, make_plans
from monai_auxops.attach.problem import AttachError
from monai_auxops.attach.table import ValueRow, compare
from monai_auxops.attach.trial import run_both
from monai_auxops.attach.write import write_plans

HEAD = "| bundle | files | attached, parsed | one epoch | weights | old metrics | the bundle's metric, ours |\n"
RULE = "| --- | --- | --- | --- | --- | --- | --- |\n"


@dataclass(frozen=True)
class Line:
    """What is known of one run of a bundle; an empty text where it did not come so far."""

    bundle: str
    files: str = ""
    attached: str = ""
    trained: str = ""
    weights: str = ""
    metrics: str = ""
    values: str = ""

    def markdown(self) -> str:
        cells = (self.bundle, self.files, self.attached, self.trained, self.weights, self.metrics, self.values)
        return "| " + " | ".join(cell.replace("|", "·") or "–" for cell in cells) + " |\n"


def lines_of(bundle: Path) -> list[Line]:
    """A line for the training and one for each evaluation of a bundle, or the one that says why there is none."""
    try:
        configs = configs_of(bundle)
        with inside_bundle(bundle):
            plans = make_plans(bundle, configs, (), Answers())
            write_plans(configs, [plan for plan in plans if not plan.refused], force=True)
    except AttachError as error:
        return [Line(bundle.name, attached=f"refused: {error}")]
    return [line_of(bundle, configs, plan) for plan in plans]


def line_of(bundle: Path, configs: Path, plan: Plan) -> Line:
    files = " + ".join(path.name for path in plan.run.config.files)
    if plan.refused:
        return Line(bundle.name, files, f"left alone: {plan.refused}")
    try:
        rows = compare(plan, *run_both(bundle, configs, plan, True, {}))
    except AttachError as error:
        return Line(bundle.name, files, "yes", str(error))
    weights, old, pairs = rows[0], rows[1 : len(rows) - len(plan.pairs)], rows[len(rows) - len(plan.pairs) :]
    changed = [row.what for row in old if not row.good]
    metrics = f"{len(old)} equal" if not changed else f"changed: {', '.join(changed)}"
    return Line(bundle.name, files, "yes", "yes", weights.verdict, metrics, "; ".join(map(value_of, pairs)))


def value_of(row: ValueRow) -> str:
    names = row.what.partition(": ")[2]
    return f"{names.replace(' | ', ' ')} {row.theirs} {row.ours}: {row.verdict}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--only", nargs="+", default=[])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "monai", "pytorch-ignite"))
    text = f"{datetime.date.today()} · Python {platform.python_version()} · {versions} · CPU, generated data\n\n"
    text += HEAD + RULE
    sys.stdout.write(text)
    for bundle in sorted(path for path in options.folder.iterdir() if path.is_dir()):
        if options.only and bundle.name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            copied = Path(shutil.copytree(bundle, Path(folder) / bundle.name))
            for path in (copied, *copied.rglob("*")):
                path.chmod(path.stat().st_mode | 0o200)  # FOLDER may be read-only
            lines = [line.markdown() for line in lines_of(copied)]
        sys.stdout.writelines(line.replace(str(folder) + "/", "") for line in lines)
        sys.stdout.flush()
        text += "".join(line.replace(str(folder) + "/", "") for line in lines)
        if options.output is not None:
            options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
