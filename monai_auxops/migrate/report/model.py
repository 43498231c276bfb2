"""The report as plain data, which is also its JSON form."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.codes import CODES, Severity
from monai_auxops.migrate.conversion.config import setting_value
from monai_auxops.migrate.diagnostics import Diagnostic, Outcome
from monai_auxops.migrate.reading.file_kinds import FileKind
from monai_auxops.migrate.rules.settings import SETTINGS, Setting

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import ConvertedConfig
    from monai_auxops.migrate.conversion.convert import Converted
    from monai_auxops.migrate.conversion.project import Project

Model = dict[str, Any]


def model(project: Project, strict: bool = False, output: Path | None = None, given: Sequence[str] = ()) -> Model:
    """Return everything that the report says; ``given`` are the flags that the next command repeats."""
    return {
        "source": project.source.name,
        "files": [_file(project, config) for config in project.configs],
        "other_files": _others(project),
        "weights": project.mmar.weights,
        **({"carried": project.carried} if project.carried else {}),
        "total": totals(entry for config in project.used or project.configs for entry in config.entries),
        "chosen": project.train is not None or len(project.configs) < 2,
        "diagnostics": [_diagnostic(item) for item in project.log.sorted()],
        "checked": next((item.message for item in project.log.items if item.code == "CT706"), ""),
        "exit_code": exit_code(project, strict),
        "next": next_steps(project, output or Path("my_bundle"), given),
    }


def totals(entries: Iterable[Converted]) -> Model:
    """Return counts by outcome and the share that needs no manual work."""
    counts = Counter(entry.outcome for entry in entries)
    total = sum(counts.values())
    migrated = total - counts[Outcome.MANUAL]
    return {
        "components": total,
        "migrated_percent": round(100 * migrated / total, 1) if total else 0.0,
        **{outcome.value: counts[outcome] for outcome in Outcome},
    }


def exit_code(project: Project, strict: bool) -> int:
    """Return 0 if all is migrated, 1 if something needs manual work, 2 if something could not be read."""
    worst = project.log.worst()
    if worst is Severity.FATAL:
        return 2
    outcomes = {entry.outcome for config in project.used or project.configs for entry in config.entries}
    needs_work = worst is Severity.ERROR or Outcome.MANUAL in outcomes
    return int(needs_work or (strict and Outcome.APPROXIMATE in outcomes))


def _file(project: Project, config: ConvertedConfig) -> Model:
    return {
        "file": config.file,
        "kind": "training" if config.trains else "evaluation",
        "used": config in project.used or project.train is None,
        **totals(config.entries),
        "settings": list(_settings(config)),
        "entries": [_entry(entry) for entry in config.entries],
    }


_UNREADABLE: Final = "The value cannot be read; this is Clara's default."


def _settings(config: ConvertedConfig) -> Iterable[Model]:
    for row in SETTINGS:
        given = config.variables
        names = [name for name in (row.name, *row.also) if name in given.values or config.root.get(name)]
        if names:
            value = config.settings[row.name] if row.to else None
            outcome, reason = row.outcome.value, row.reason
            if row.outcome is not Outcome.DROPPED and not _is_readable(row, config, names[0]):
                outcome, reason = Outcome.MANUAL.value, _UNREADABLE if row.to else "The value cannot be read."
            source = given.sources.get(names[0], "")
            yield {"name": names[0], "value": value, "to": row.to, "from": source, "outcome": outcome, "reason": reason}


def _is_readable(row: Setting, config: ConvertedConfig, name: str) -> bool:
    """Tell whether a setting's value is of its type; CT206 reports one that is not."""
    try:
        row.kind(setting_value(config.root, config.variables, name))
    except ValueError:
        return False
    return True


def _entry(entry: Converted) -> Model:
    place = entry.component.place
    return {
        "path": entry.component.where.path,
        "line": entry.component.where.line,
        "column": entry.component.where.column,
        "part": place.part or "evaluation",
        "section": place.key,
        "clara": entry.component.path or entry.component.name or "?",
        "outcome": entry.outcome.value,
        "reason": entry.bound.reason,
        "notes": list(entry.notes),
        "why": entry.why,
        "args": _shown_value(_args(entry)),
        "bundle": [{"target": built.target, "args": _shown_value(built.args)} for built in entry.built],
        "not_needed": dict(entry.bound.unused),
    }


def _args(entry: Converted) -> Mapping[str, Any]:
    return {name: entry.args[name] for name in sorted(entry.bound.given)} if entry.rule else entry.args


def _shown_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _shown_value(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_shown_value(child) for child in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def printable(value: Any) -> Any:
    """Return the report without control characters, which an untrusted file could send to a terminal."""
    if isinstance(value, dict):
        return {printable(key): printable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [printable(child) for child in value]
    if isinstance(value, str) and not value.isprintable():
        return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value)
    return value


def _others(project: Project) -> list[Model]:
    used = (FileKind.TRAIN, FileKind.EVALUATE, FileKind.TRAIN4, FileKind.EVALUATE4, FileKind.INFER4)
    found = project.mmar.files.items()
    return [{"file": name, "kind": kind.value} for name, (kind, _) in found if kind not in used]


def _diagnostic(item: Diagnostic) -> Model:
    return {
        "code": item.code,
        "severity": item.severity.value,
        "title": CODES[item.code].title,
        "file": item.where.file,
        "line": item.where.line,
        "column": item.where.column,
        "path": item.where.path,
        "message": item.message,
        "hint": item.hint,
        "advice": CODES[item.code].advice,
    }


def next_steps(project: Project, output: Path, given: Sequence[str] = ()) -> list[str]:
    """Return the commands to run next, with the flags of this one."""
    fatal = [item for item in project.log.items if item.severity is Severity.FATAL and item.code != "CT707"]
    if project.train is not None:
        return [] if fatal else [migrate_command(project.source, Path("my_bundle"), given)]
    broken = {item.where.file for item in fatal}
    files = [config.file for config in project.configs if config.trains and config.file not in broken]
    evaluation = project.evaluate.file if project.evaluate is not None else None
    return commands_for_each(files, evaluation, project.mmar.paths, output, given)


def commands_for_each(
    files: list[str], evaluation: str | None, paths: Mapping[str, Path], output: Path, given: Sequence[str]
) -> list[str]:
    """Return the commands that write a bundle for each of several training files, below one folder."""
    flags = [*given, *evaluation_flags(None if evaluation is None else paths[evaluation], given)]
    named = zip(files, folder_names(files), strict=True)
    return [migrate_command(paths[file], output / name, flags) for file, name in named]


def folder_names(files: list[str]) -> list[str]:
    """Return a folder name for each file: the file's own, preceded by its folder if that alone is not unique."""
    stems = [Path(file).stem for file in files]
    return stems if len(set(stems)) == len(stems) else [Path(file).with_suffix("").as_posix() for file in files]


def evaluation_flags(evaluation: Path | None, given: Sequence[str]) -> list[str]:
    """Return the flags that name the validation of a single training file, unless they are given."""
    if evaluation is None or {"--evaluation", "--only"} & set(given):
        return []
    return ["--evaluation", str(evaluation)]


def migrate_command(path: Path, output: Path, given: Sequence[str]) -> str:
    """Return the command that writes the bundle of a folder or a file."""
    return shlex.join(["monai-auxops", "migrate", str(path), *given, "-o", str(output)])
