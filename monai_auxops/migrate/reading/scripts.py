"""An MMAR's shell scripts, read as data: which file they run, what they set, on how many GPUs. Nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading.variables import parse_settings

_APP: Final = re.compile(r"(?:nvmidl|medical\.tlt2\.src|medl)\.apps\.(?:\w+\.)?(\w+)")
_GPUS: Final = re.compile(
    r"(?:mpirun|mpiexec)\b.*?\s-(?:np|n)\s+(\d+)|torch\.distributed\.\w+.*?--nproc_per_node[= ](\d+)"
)
_ASSIGNED: Final = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)$")
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """One command line of an MMAR: the app, the configuration that ``-c`` names, what ``--set`` gives, and the GPUs.

    ``left_out`` holds the items of ``--set`` that only a shell could fill in.
    """

    script: str
    app: str
    config: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    gpus: int = 1

    @property
    def fine_tunes(self) -> bool:
        """Tell whether the run starts from the weights of another run."""
        loads = str(self.settings.get("dont_load_ckpt_model", True)) == "False"
        return loads or "MMAR_CKPT" in self.settings or "finetune" in self.script

    @property
    def is_default(self) -> bool:
        """Tell whether this is the MMAR's usual training: a script named train…, one GPU, new weights."""
        named = PurePosixPath(self.script).name.startswith("train")
        return named and self.app == "train" and self.gpus == 1 and not self.fine_tunes

    @property
    def infers(self) -> bool:
        """Tell whether the run is an ``infer.sh``, which writes predictions, not a ``validate.sh``."""
        return self.app == "evaluate" and not self.settings.get("do_validation", "validat" in self.script)

    @property
    def validates(self) -> bool:
        """Tell whether the run computes metrics."""
        return self.app == "evaluate" and not self.infers

    def names(self, file: str) -> bool:
        """Tell whether the run's ``-c`` is this configuration, a path relative to the MMAR."""
        given, wanted = PurePosixPath(self.config), PurePosixPath(file)
        return given == wanted or (given.is_absolute() and given.parts[-len(wanted.parts) :] == wanted.parts)


def read_commands(root: Path, log: Log) -> list[ScriptRun]:
    """Return the runs of all scripts of an MMAR, ``train.sh`` first."""
    scripts = sorted((root / "commands").glob("*.sh"), key=lambda path: (path.name != "train.sh", path.name))
    return [run for path in scripts for run in _runs(path, log)]


def _runs(path: Path, log: Log) -> Iterator[ScriptRun]:
    try:
        text = path.read_bytes()[:_MAX_BYTES].decode("utf-8", errors="replace")
    except OSError:
        return
    known = {"MMAR_ROOT": "."}
    for line in text.replace("\r", "").replace("\\\n", " ").splitlines():
        assigned = _ASSIGNED.match(line)
        if assigned is not None:
            known.setdefault(assigned.group(1), _fill_variables(assigned.group(2).strip().strip("\"'"), known))
        elif _APP.search(line) and not line.lstrip().startswith("#"):
            yield _run(f"commands/{path.name}", line, known, log)


def _run(script: str, line: str, known: Mapping[str, str], log: Log) -> ScriptRun:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    words = [_fill_variables(word, known) for word in words]
    app, gpus = _APP.search(line), _GPUS.search(line)
    items = _items(words)
    closed = [item for item in items if "$" not in item and "`" not in item]
    numbers = [int(number) for number in gpus.groups() if number] if gpus else []
    return ScriptRun(
        script,
        app.group(1) if app else "",
        _relative(_after(words, "-c")),
        {name: _relative(value) for name, value in parse_settings(closed, log).items()},
        tuple(item for item in items if item not in closed),
        next(iter(numbers), 1),
    )


def _fill_variables(text: str, known: Mapping[str, str]) -> str:
    """Fill in the shell variables whose value is known: those that the script assigns, and MMAR_ROOT."""

    def value(match: re.Match[str]) -> str:
        return known.get(match.group(1) or match.group(2), match.group())

    return _VARIABLE.sub(value, text)


def _relative(value: Any) -> Any:
    """Return a path below MMAR_ROOT as the configurations write it."""
    return value.removeprefix("./") if isinstance(value, str) else value


def _after(words: list[str], flag: str) -> str:
    at = words.index(flag) + 1 if flag in words else len(words)
    return words[at] if at < len(words) else ""


def _items(words: list[str]) -> list[str]:
    """Return the items after ``--set``."""
    rest = words[words.index("--set") + 1 :] if "--set" in words else []
    end = next((index for index, word in enumerate(rest) if word.startswith("-")), len(rest))
    return [word for word in rest[:end] if "=" in word]


def report(runs: list[ScriptRun], applied: Mapping[str, str], log: Log) -> None:
    """Report what the scripts set and which configuration received it; ``applied`` maps scripts to files."""
    for run in runs:
        items = [*(f"{name}={value}" for name, value in run.settings.items()), *run.left_out]
        if not items:
            continue
        fate = f"applied to {applied[run.script]}" if run.script in applied else "not applied"
        left = f"; only a shell knows {', '.join(run.left_out)}" if run.left_out else ""
        log.add("CT116", Where(run.script), f"--set {' '.join(items)}: {fate}{left}")
