"""An MMAR's shell scripts, read as data: what they set, on how many GPUs, from which weights. Nothing is run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading.variables import parse_settings

_APP: Final = re.compile(r"(?:nvmidl|medical\.tlt2\.src)\.apps\.(\w+)")
_GPUS: Final = re.compile(r"(?:mpirun|mpiexec)\b.*?\s-(?:np|n)\s+(\d+)")
_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """One command line of an MMAR."""

    script: str
    app: str
    settings: dict[str, Any]
    gpus: int = 1

    @property
    def fine_tunes(self) -> bool:
        """Tell whether the run starts from the weights of another."""
        return "MMAR_CKPT" in self.settings or "finetune" in self.script

    @property
    def is_default(self) -> bool:
        """Tell whether this is how the MMAR was meant to be trained."""
        return self.app == "train" and self.gpus == 1 and not self.fine_tunes


def read_commands(root: Path, log: Log) -> list[ScriptRun]:
    """Return the runs of all scripts of an MMAR, `train.sh` first."""
    scripts = sorted((root / "commands").glob("*.sh"), key=lambda path: (path.name != "train.sh", path.name))
    return [run for path in scripts for run in _runs(path, log)]


def _runs(path: Path, log: Log) -> list[ScriptRun]:
    try:
        text = path.read_bytes()[:_MAX_BYTES].decode("utf-8", errors="replace")
    except OSError:
        return []
    lines = text.replace("\r", "").replace("\\\n", " ").splitlines()
    found = (_run(f"commands/{path.name}", line, log) for line in lines if not line.lstrip().startswith("#"))
    return [run for run in found if run is not None]


def _run(script: str, line: str, log: Log) -> ScriptRun | None:
    app = _APP.search(line)
    if app is None:
        return None
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    gpus = _GPUS.search(line)
    return ScriptRun(script, app.group(1), _settings(script, words, log), int(gpus.group(1)) if gpus else 1)


def _settings(script: str, words: list[str], log: Log) -> dict[str, Any]:
    """Return the items after `--set`; those that the shell would have filled in are left out."""
    if "--set" not in words:
        return {}
    rest = words[words.index("--set") + 1 :]
    end = next((index for index, word in enumerate(rest) if word.startswith("-")), len(rest))
    items = [word for word in rest[:end] if "=" in word]
    if items:
        log.add("CT116", Where(script), f"--set {' '.join(items)}")
    return parse_settings((word for word in items if "$" not in word and "`" not in word), log)
