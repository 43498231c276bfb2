"""The weights of an MMAR of Clara Train 4, which are PyTorch's and are copied."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.config import Clara4Config, Role, read_config
from monai_auxops.migrate.diagnostics import Where
from monai_auxops.migrate.reading.json_source import parse

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.project import Mmar4

_PATTERNS: Final = ("*.pt", "*.pth", "*.ts")
_TIMEOUT: Final = 300.0
_CONF: Final = "train_conf"


@dataclass(frozen=True, slots=True)
class Weights:
    """The files of weights, and the training configuration in a checkpoint if there is no other."""

    files: tuple[Path, ...] = ()
    train: Clara4Config | None = None

    @property
    def names(self) -> list[str]:
        """The names of the files."""
        return [path.name for path in self.files]


def find_weights(mmar: Mmar4) -> Weights:
    """Return the weights beside the configurations; an evaluation without a training asks its checkpoint."""
    folder = mmar.root / "models"
    found = sorted({path for pattern in _PATTERNS for path in folder.glob(pattern)})
    files = [path for path in found if _is_inside(path, folder)]
    for path in set(found) - set(files):
        mmar.log.add("CT801", Where(f"models/{path.name}"), f"{_why_not(path)}; it was not copied")
    return Weights(tuple(files), _train_of(mmar, files))


def _is_inside(path: Path, folder: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def _why_not(path: Path) -> str:
    return "it is a link out of this folder" if path.is_file() else "it is no file, or a link to nowhere"


def _train_of(mmar: Mmar4, files: Iterable[Path]) -> Clara4Config | None:
    """Return the training configuration that Clara saved in a checkpoint, read in a separate process."""
    main = mmar.main
    if main is None or Role.TRAIN in mmar.chosen or main.first("", "model") is not None:
        return None
    for path in files:
        if path.suffix == ".ts":
            continue
        answer = ask(["conf", str(path)])
        name = f"models/{path.name}#{_CONF}"
        if answer.get("conf") is None:
            mmar.log.add("CT804", Where(f"models/{path.name}"), str(answer.get("error") or f"it holds no {_CONF}"))
            continue
        root = parse(json.dumps(answer["conf"]).encode(), name, mmar.log)
        if root is not None and root.get("train") is not None:
            return read_config(root, name, Role.TRAIN, {}, None, mmar.log)
    return None


def ask(arguments: list[str]) -> dict[str, Any]:
    """Run the process that may load weights and return its last line."""
    command = [sys.executable, "-m", "monai_auxops.migrate.trial.weights", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        found: dict[str, Any] = json.loads((done.stdout.strip().splitlines() or ["{}"])[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"reading the weights took more than {_TIMEOUT:.0f} s"}
    except ValueError:
        found = {}
    last = (done.stderr.strip().splitlines() or ["the process ended without an answer"])[-1]
    return found or {"error": last}


def copy_weights(mmar: Mmar4, weights: Weights, staged: Path) -> None:
    """Copy the weights that load without running code; report the others and do not copy them."""
    for path in weights.files:
        answer = ask(["load", str(path)])
        if answer.get("error"):
            mmar.log.add("CT801", Where(f"models/{path.name}"), f"{answer['error']}; it was not copied")
            continue
        (staged / "models").mkdir(exist_ok=True)
        shutil.copyfile(path, staged / "models" / path.name)
        mmar.log.add("CT802", Where(f"models/{path.name}"), str(answer.get("said", "copied")))
