"""Read an MMAR and convert its configurations; every problem is in the project's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.conversion.config import BoundConfig, ConvertedConfig, bind, build
from monai_auxops.migrate.conversion.cross_checks import check_all
from monai_auxops.migrate.conversion.data_facts import check_lists_of_evaluations, look_for_images, settled_facts
from monai_auxops.migrate.conversion.network import ANSWERS, answers_of
from monai_auxops.migrate.conversion.project import Project
from monai_auxops.migrate.conversion.roles import choose, leave_out, script_of
from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading import variables
from monai_auxops.migrate.reading.file_kinds import CLARA4, FileKind
from monai_auxops.migrate.reading.mmar import Mmar, read_file, read_folder, read_json
from monai_auxops.migrate.reading.scripts import read_commands
from monai_auxops.migrate.reading.scripts import report as report_scripts
from monai_auxops.migrate.reading.unsafe_keys import refuse_unsafe_keys
from monai_auxops.migrate.rules.facts import Facts

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.node import Node
    from monai_auxops.migrate.rules import RuleBook


def read_project(
    source: Path,
    settings: Sequence[str],
    env: Path | None,
    rules: RuleBook,
    *,
    evaluation: Path | None = None,
    only: str = "",
) -> Project:
    """Read and convert an MMAR folder or one configuration; every problem is in the project's log."""
    log = Log()
    given = variables.parse_settings(settings, log)
    mmar = read_folder(source, log) if source.is_dir() else read_file(source, log, evaluation)
    runs = read_commands(mmar.root, log)
    roles = choose(mmar, runs, log, only)
    project = Project(source, log, mmar, runs=runs, roles=roles, answers=answers_of(given, log))
    environment = _environment(mmar, env, log)
    project.environment = {**variables.first_level(environment), **given}
    _convert(project, _Binding(project, given, environment, rules))
    _report_other_files(project)
    _report_unread_settings(project, given)
    _report_weights(project)
    leave_out(roles, mmar, log)
    return project


def _environment(mmar: Mmar, env: Path | None, log: Log) -> Node | None:
    if env is not None:
        return read_json(env, env.name, log)
    found = mmar.of(FileKind.ENVIRONMENT)
    exact = [name for name in found if name.endswith("environment.json")]
    return mmar.files[(exact or found)[0]][1] if found else None


class _Binding:
    """Binds the files of a project: each with the variables of the script that runs it."""

    def __init__(self, project: Project, given: Mapping[str, Any], environment: Node | None, rules: RuleBook) -> None:
        self.project, self.given, self.environment, self.rules = project, given, environment, rules
        self.applied: dict[str, str] = {}

    def bind(self, name: str, role: str) -> BoundConfig:
        """Bind one file in its role: train, evaluate or infer."""
        project = self.project
        root = project.mmar.files[name][1]
        refuse_unsafe_keys(root, project.log)
        run = script_of(project.roles, project.mmar, project.runs, name, role)
        if run is not None:
            self.applied[run.script] = name
        script, scripted = (run.script, run.settings) if run is not None else ("", {})
        values = variables.collect(self.given, self.environment, root, project.log, script, scripted)
        return bind(root, name, values, self.rules, project.log)


def _report_other_files(project: Project) -> None:
    """Report what the other files are."""
    bundles = project.mmar.of(FileKind.BUNDLE)
    if bundles:
        project.log.add("CT111", Where(project.source.name), f"{', '.join(bundles[:4])}: a MONAI bundle already")
    newer = [name for kind in CLARA4 for name in project.mmar.of(kind)]
    alone = not project.configs and not newer
    for name, (kind, _) in project.mmar.files.items():
        if kind in (FileKind.AUTOML, FileKind.AIAA, FileKind.FEDERATED, FileKind.TRAINER):
            project.log.add("CT118" if alone else "CT110", Where(name), kind.value)
        elif alone and project.mmar.paths[name] == project.source and not bundles:
            project.log.add("CT118", Where(name), kind.value)
    if alone and not bundles and project.log.worst() is not Severity.FATAL:
        _report_nothing(project)


def _report_nothing(project: Project) -> None:
    """Report a source without a training or validation configuration."""
    inside = sorted(path.parent.name for path in project.source.glob("*/config")) if project.source.is_dir() else []
    hint = f"name one of the MMARs in it: {', '.join(inside[:6])}" if inside else ""
    what = "training or validation configuration" if project.mmar.files else "JSON file"
    project.log.add("CT112", Where(project.source.name), f"no {what} in the folder or its config folder", hint)


def _convert(project: Project, binding: _Binding) -> None:
    """Convert every configuration: the chosen training first, since the evaluations borrow its model's facts."""
    roles, mmar = project.roles, project.mmar
    trains = sorted(mmar.of(FileKind.TRAIN), key=lambda name: name != roles.train)
    converted = {name: _build_and_check(project, binding.bind(name, "train")) for name in trains}
    project.train = converted.get(roles.train)
    for name in mmar.of(FileKind.EVALUATE):
        role = "infer" if name == roles.infer != roles.evaluate else "evaluate"
        converted[name] = _build_and_check(project, binding.bind(name, role))
    project.configs = [converted[name] for name in (*mmar.of(FileKind.TRAIN), *mmar.of(FileKind.EVALUATE))]
    project.evaluate = converted.get(roles.evaluate)
    project.infer = converted.get(roles.infer)
    if roles.infer and roles.infer == roles.evaluate:
        project.infer = _build_and_check(project, binding.bind(roles.infer, "infer"))
    look_for_images(project)
    report_scripts(project.runs, binding.applied, project.log)
    _report_several_trainings(project)
    check_lists_of_evaluations(project)


def _build_and_check(project: Project, config: BoundConfig) -> ConvertedConfig:
    base = Facts() if config.trains else _model_facts(project)
    keep = config.file == project.roles.train
    found = build(config, settled_facts(project, config, base, keep), project.log)
    check_all(found, project.log)
    return found


def _report_several_trainings(project: Project) -> None:
    """Report that a bundle is made of one training configuration."""
    trains = [config for config in project.configs if config.trains]
    for config in trains if len(trains) > 1 else ():
        if config is not project.train:
            used = f"; the bundle is made of {project.train.file}" if project.train is not None else ""
            project.log.add("CT113", Where(config.file), f"one of several training configurations{used}")


def _model_facts(project: Project) -> Facts:
    return project.train.facts["validate"] if project.train is not None else Facts()


def _report_unread_settings(project: Project, given: Mapping[str, Any]) -> None:
    known = {name for config in project.configs for name in config.variables.read}
    known |= {name for config in project.configs for name, _ in config.root.items()}
    known |= {name for config in project.configs for name in config.settings}
    known |= set(ANSWERS)
    for name in given:
        if project.configs and name not in known and name not in variables.ENVIRONMENT:
            project.log.add("CT204", Where("--set"), f'nothing reads "{name}"')


def _report_weights(project: Project) -> None:
    if project.mmar.weights:
        files = ", ".join(project.mmar.weights[:6])
        project.log.add("CT115", Where("models"), f"{files}: not migrated")
