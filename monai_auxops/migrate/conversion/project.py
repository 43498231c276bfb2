"""An MMAR after reading: what the report shows and what the bundle is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.conversion.config import BoundConfig, ConvertedConfig, bind, build, collect
from monai_auxops.migrate.conversion.cross_checks import check_all
from monai_auxops.migrate.conversion.network import ANSWERS, Answers, answers_of, settle
from monai_auxops.migrate.conversion.roles import Roles, choose, leave_out, script_of
from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading import datalist, variables
from monai_auxops.migrate.reading.file_kinds import CLARA4, FileKind
from monai_auxops.migrate.reading.mmar import Mmar, read_file, read_folder, read_json
from monai_auxops.migrate.reading.scripts import ScriptRun, read_commands
from monai_auxops.migrate.reading.scripts import report as report_scripts
from monai_auxops.migrate.reading.unsafe_keys import refuse_unsafe_keys
from monai_auxops.migrate.rules.facts import Facts

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.convert import Converted
    from monai_auxops.migrate.reading.datalist import DataList
    from monai_auxops.migrate.reading.json_source import Node
    from monai_auxops.migrate.rules import RuleBook


@dataclass(slots=True)
class Project:
    """A converted MMAR."""

    source: Path
    log: Log
    mmar: Mmar
    configs: list[ConvertedConfig] = field(default_factory=list)
    train: ConvertedConfig | None = None
    evaluate: ConvertedConfig | None = None
    runs: list[ScriptRun] = field(default_factory=list)
    data: DataList | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    infer: ConvertedConfig | None = None
    roles: Roles = field(default_factory=Roles)
    data_is_missing: bool = True
    carried: str = ""

    @property
    def used(self) -> list[ConvertedConfig]:
        """The configurations that the bundle is made of, each file once."""
        found = {config.file: config for config in (self.train, self.infer, self.evaluate) if config is not None}
        return [config for config in self.configs if config.file in found]

    @property
    def entries(self) -> list[Converted]:
        """All occurrences of components, of all configurations."""
        return [entry for config in self.configs for entry in config.entries]


def read(
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
    _others(project)
    _unread_settings(project, given)
    _weights(project)
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


def _others(project: Project) -> None:
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
        _nothing(project)


def _nothing(project: Project) -> None:
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
    _data_folder(project)
    report_scripts(project.runs, binding.applied, project.log)
    _several(project)
    _lists_of_evaluations(project)


def _build_and_check(project: Project, config: BoundConfig) -> ConvertedConfig:
    base = Facts() if config.trains else _model_facts(project)
    keep = config.file == project.roles.train
    found = build(config, _facts(project, config, base, keep), project.log)
    check_all(found, project.log)
    return found


def _several(project: Project) -> None:
    """Report that a bundle is made of one training configuration."""
    trains = [config for config in project.configs if config.trains]
    for config in trains if len(trains) > 1 else ():
        if config is not project.train:
            used = f"; the bundle is made of {project.train.file}" if project.train is not None else ""
            project.log.add("CT113", Where(config.file), f"one of several training configurations{used}")


def _data_folder(project: Project) -> None:
    """Look for the images, so that the next command can tell what is missing."""
    if project.train is None:
        return
    facts, pipeline = project.train.facts["train"], project.train.first("train", "image_pipeline")
    folder = datalist.data_folder(facts.data_root, project.mmar.root)
    missing = datalist.missing_from(folder, project.data)
    project.data_is_missing = missing is not None
    if missing and pipeline is not None:
        project.log.add("CT523", pipeline.component.where, missing)


def _lists_of_evaluations(project: Project) -> None:
    """Check that the data list has what evaluation and inference read."""
    for config in (project.evaluate, project.infer):
        if config is None or project.data is None:
            continue
        key = str(config.variables.values.get("DATA_LIST_KEY") or "validation")
        if not project.data.counts.get(key):
            source = config.variables.sources.get("DATA_LIST_KEY", config.file)
            known = ", ".join(name for name, count in project.data.counts.items() if count)
            message = f'{config.file} reads the list "{key}", which the data list does not have'
            project.log.add("CT510", Where(source), message, f"it has {known}" if known else "")


def _model_facts(project: Project) -> Facts:
    return project.train.facts["validate"] if project.train is not None else Facts()


def _facts(project: Project, config: BoundConfig, base: Facts, keep: bool) -> dict[str, Facts]:
    """Return the final facts of each part: what the rows provide, what the data list knows, what follows from both."""
    facts = collect(config, base)
    found = _datalist(project, config, facts)
    if found is not None and (keep or project.data is None):
        project.data = found
    output = str(config.variables.values.get("MMAR_EVAL_OUTPUT_PATH", ""))
    if found is not None and config.trains:
        _files_per_image(config, facts["train"], found, project.log)
    label_format = found.label_format if found is not None else ()
    settled = {name: settle(value, project.answers, label_format) for name, value in facts.items()}
    first = next(iter(settled.values()))
    patch = first.patch_size or first.crop_size
    return {
        name: value.update(patch_size=value.patch_size or value.crop_size or patch, output_dir=output)
        for name, value in settled.items()
    }


def _files_per_image(config: BoundConfig, facts: Facts, data: DataList, log: Log) -> None:
    repeated = any(item.component.name == "RepeatChannel" for item in config.at("train", "pre_transforms"))
    if data.channels > 1 and data.channels != facts.in_channels and not repeated:
        message = f"an image of the data list has {data.channels} files, output_image_channels is {facts.in_channels}"
        log.add("CT525", config.at("train", "image_pipeline")[0].component.where, message)


def _datalist(project: Project, config: BoundConfig, facts: Mapping[str, Facts]) -> DataList | None:
    part = "train" if config.trains else ""
    pipeline = next(iter(config.at(part, "image_pipeline")), None)
    if pipeline is None or not facts[part].datalist:
        return None
    pipelines = [item for part in ("train", "validate") for item in config.at(part, "image_pipeline")]
    keys = {str(item.args["data_list_key"]): item.component.where for item in pipelines if not item.manual}
    return datalist.read(facts[part].datalist, keys, project.mmar.root, pipeline.component.where, project.log)


def _unread_settings(project: Project, given: Mapping[str, Any]) -> None:
    known = {name for config in project.configs for name in config.variables.read}
    known |= {name for config in project.configs for name, _ in config.root.items()}
    known |= {name for config in project.configs for name in config.settings}
    known |= set(ANSWERS)
    for name in given:
        if project.configs and name not in known and name not in variables.ENVIRONMENT:
            project.log.add("CT204", Where("--set"), f'nothing reads "{name}"')


def _weights(project: Project) -> None:
    if project.mmar.weights:
        files = ", ".join(project.mmar.weights[:6])
        project.log.add("CT115", Where("models"), f"{files}: not migrated")
