"""Print what each library does with the same fault: the right value, a wrong one, an error, or no answer at all.

``python benchmarks/faults.py [--row WORD] [--limit 20] [--markdown] [--verbose]``

Every cell is a forked process, or one per rank over gloo, with a time limit. What is right is worked out by hand from
lists of classes: for metrics that average over samples (ours, MONAI, torchmetrics) and for metrics that pool all voxels
(torcheval, Ignite), each by its own definition.

- ``ok``: right, or the error that a row asks for
- ``wrong``: a number that looks like a result and is none
- ``raises``: no number, the run ends
- ``hangs``: a rank waits beyond the limit and none has failed, so nothing ends it
- ``-``: the library has nothing for it
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ |= {"MONAI_AUXOPS_COUNTS": "vectorized", "MONAI_AUXOPS_TIMEOUT": "5"}  # no compiler; 30 s by default

import torch

from benchmarks.fault_rows.common import LIBRARIES, OURS, PACKAGES, Fault, Outcome
from benchmarks.fault_rows.counters import counter_faults
from benchmarks.fault_rows.engines import engine_faults
from benchmarks.fault_rows.processes import Answers, run_cell
from benchmarks.fault_rows.ranks import rank_faults
from benchmarks.fault_rows.resumes import resume_faults
from benchmarks.fault_rows.values import value_faults


def judge(fault: Fault, library: str, answers: Answers) -> Outcome:
    """One word for what happened: the worst of the ranks."""
    said = [answer for answer in answers if answer is not None]
    errors = [value for kind, value in said if kind == "error"]
    if errors:  # torchrun ends the ranks that still wait
        return Outcome("ok", "error") if fault.may_raise else Outcome("raises", errors[0].split(":")[0])
    if len(said) < len(answers):
        return Outcome("hangs")
    if all(fault.right(library, value) for _, value in said):
        return Outcome("ok")
    return Outcome("wrong", fault.wrong)


def table(faults: Sequence[Fault], limit: float, verbose: bool = False) -> dict[str, dict[str, Outcome]]:
    """Run everything."""
    found: dict[str, dict[str, Outcome]] = {}
    for fault in faults:
        found[fault.name] = {}
        for library in LIBRARIES:
            if library not in fault.by:
                found[fault.name][library] = Outcome("-")
                continue
            answers = run_cell(fault.by[library], fault.world, limit)
            found[fault.name][library] = judge(fault, library, answers)
            if verbose:
                print(f"{fault.name} | {library} | {answers}", file=sys.stderr)
    return found


def render(found: dict[str, dict[str, Outcome]], markdown: bool) -> str:
    """The table, for a terminal (red and green where it is one) or as Markdown."""
    colors = {"ok": 32, "wrong": 31, "raises": 33, "hangs": 31}
    if markdown:
        lines = [f"| fault | {' | '.join(LIBRARIES)} |", f"| --- |{' --- |' * len(LIBRARIES)}"]
        lines += [
            f"| {name} | {' | '.join(str(row[library]) for library in LIBRARIES)} |" for name, row in found.items()
        ]
        return "\n".join(lines)
    width = max(len(str(cell)) for row in found.values() for cell in row.values()) + 2
    lines = [" " * 40 + "".join(library.ljust(width) for library in LIBRARIES)]
    for name, row in found.items():
        cells = [str(row[library]).ljust(width) for library in LIBRARIES]
        if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
            cells = [
                f"\x1b[{colors.get(row[lib].kind, 0)}m{cell}\x1b[0m" for lib, cell in zip(LIBRARIES, cells, strict=True)
            ]
        lines.append(f"{name:40}" + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def only_ours(row: dict[str, Outcome]) -> bool:
    """Green for us, and for no peer that has something for it."""
    peers = [cell for library, cell in row.items() if library != OURS and cell.kind != "-"]
    return row[OURS].kind == "ok" and bool(peers) and all(cell.kind != "ok" for cell in peers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", help="only rows whose name holds this text")
    parser.add_argument("--limit", type=float, default=20, help="seconds after which a cell hangs")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="show what every rank said")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    every = (*value_faults(), *counter_faults(), *engine_faults(), *resume_faults(), *rank_faults())
    faults = [fault for fault in every if (options.row or "") in fault.name]
    found = table(faults, options.limit, options.verbose)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    print(f"{datetime.date.today()} · Python {platform.python_version()} · {versions}\n")
    print(render(found, options.markdown))
    red = [name for name, row in found.items() if row[OURS].kind != "ok"]
    ahead = [name for name, row in found.items() if only_ours(row)]
    silent = [name for name in ahead if any(cell.kind in ("wrong", "hangs") for cell in found[name].values())]
    print(
        f"\nours: {len(found) - len(red)} of {len(found)} rows ok; {len(ahead)} rows ok only for ours, "
        f"in {len(silent)} of them a peer gives a wrong number or hangs"
    )
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
