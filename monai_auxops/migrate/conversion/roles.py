"""Which file of an MMAR becomes which part of the bundle, and which command line belongs to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading.file_kinds import FileKind

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.mmar import Mmar
    from monai_auxops.migrate.reading.scripts import ScriptRun


@dataclass(frozen=True, slots=True)
class Roles:
    """The files that train.json, evaluate.json and inference.json are made of; empty if there is none."""

    train: str = ""
    evaluate: str = ""
    infer: str = ""

    @property
    def used(self) -> frozenset[str]:
        """The files that the bundle is made of."""
        return frozenset({self.train, self.evaluate, self.infer} - {""})


def choose(mmar: Mmar, runs: list[ScriptRun], log: Log, only: str = "") -> Roles:
    """Choose the files: those that the MMAR's scripts name, or those with Clara's usual names."""
    train = _training(mmar.of(FileKind.TRAIN))
    if only == "training":
        return Roles(train)
    broken = _broken(log) if train else set()
    files = [name for name in mmar.of(FileKind.EVALUATE) if name not in broken]
    evaluate = _file_of_runs(mmar, files, (run for run in runs if run.validates)) or _validation(files)
    infer = _file_of_runs(mmar, files, (run for run in runs if run.infers)) or _inference(files) or evaluate
    return Roles(train, evaluate, infer)


def _training(files: list[str]) -> str:
    """Return config_train.json, or the only training configuration."""
    usual = [name for name in files if PurePosixPath(name).name == "config_train.json"]
    return next(iter(usual or (files if len(files) == 1 else [])), "")


def _validation(files: list[str]) -> str:
    """Return config_validation.json, or the first that does not look like an inference."""
    usual = [name for name in files if PurePosixPath(name).name == "config_validation.json"]
    others = [name for name in files if not _is_inference(name)]
    return next(iter([*usual, *others, *files]), "")


def _inference(files: list[str]) -> str:
    return next((name for name in files if _is_inference(name)), "")


def _is_inference(name: str) -> bool:
    return PurePosixPath(name).name.startswith("config_infer")


def _file_of_runs(mmar: Mmar, files: list[str], runs: Iterable[ScriptRun]) -> str:
    """Return the file that the first of these runs names."""
    return next((name for run in runs for name in files if run.names(mmar.relative(name))), "")


def _broken(log: Log) -> set[str]:
    return {item.where.file for item in log.items if item.severity is Severity.FATAL}


def leave_out(roles: Roles, mmar: Mmar, log: Log) -> None:
    """Turn the problems of unused files into warnings, and report which files could not be read."""
    if not roles.train:
        return
    needed = roles.used | set(mmar.of(FileKind.ENVIRONMENT))
    broken = {name for name in _broken(log) - needed if name in mmar.seen and not _always_needed(name)}
    log.set_aside({*(set(mmar.seen) - needed), *broken})
    for name in sorted(broken):
        log.add("CT119", Where(name), "the file has errors and was left out; the bundle is made of the other files")


def _always_needed(name: str) -> bool:
    return PurePosixPath(name).name in ("environment.json", "config_train.json")


def script_of(roles: Roles, mmar: Mmar, runs: list[ScriptRun], name: str, role: str) -> ScriptRun | None:
    """Return the run whose ``--set`` belongs to a file in its role."""
    named = (run for run in runs if run.names(mmar.relative(name)))
    return next((run for run in named if _fits(run, roles, name, role)), None)


def _fits(run: ScriptRun, roles: Roles, name: str, role: str) -> bool:
    if role == "train":
        return run.is_default
    if role == "infer":
        return run.infers and name == roles.infer
    return run.validates and name == roles.evaluate
