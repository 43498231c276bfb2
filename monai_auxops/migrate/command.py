"""``monai-auxops migrate``: read, report, and write what was asked for."""

from __future__ import annotations

import json
import runpy
import shlex
import shutil
import tempfile
from pathlib import Path

from monai_auxops.migrate import packages
from monai_auxops.migrate.bundle import folder as bundle
from monai_auxops.migrate.bundle.data import data_options
from monai_auxops.migrate.bundle.readme import TRAIN, multi_gpu_command
from monai_auxops.migrate.clara4.command import migration
from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.conversion.project import Project
from monai_auxops.migrate.conversion.read_project import read_project
from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.encode import UnsafeKeyError
from monai_auxops.migrate.options import MigrateOptions, repeated
from monai_auxops.migrate.reading.mmar import Mmar
from monai_auxops.migrate.report.diff import diff
from monai_auxops.migrate.report.html import html
from monai_auxops.migrate.report.model import Model, model, printable
from monai_auxops.migrate.report.text import Text
from monai_auxops.migrate.rules import Rule, RuleBook


def run(options: MigrateOptions) -> tuple[str, int]:
    """Return the report and the exit code; a bundle is written if -o asks for one and nothing is fatal."""
    project = _read(options)
    newer = migration(project, options)
    if newer is not None:
        newer.run()
        report = newer.complete(model(newer.project, options.strict))
        return _render(report, options), report["exit_code"]
    with tempfile.TemporaryDirectory(prefix="monai-auxops-weights-") as folder:
        models = _weights(project, Path(folder)) if options.weights else None
        written = _write(project, options, models) if options.output is not None else None
        failed = options.check and _check(project, options, models)
    if packages.missing() and (written is not None or options.check):
        project.log.add("CT708", Where("environment"), packages.advice(packages.missing()))
    report = model(project, options.strict, options.output, repeated(options))
    if written is not None:
        report["written"] = str(written)
        report["next"] = _train_command(project, written)
    return _render(report, options), max(report["exit_code"], int(failed))


def _read(options: MigrateOptions) -> Project:
    """Read the MMAR; a source that cannot be read becomes a diagnostic."""
    log = Log()
    if not options.source.exists():
        log.add("CT112", Where(str(options.source)), "no such file or folder")
        return Project(options.source, log, Mmar(options.source))
    book = _rules(options.rules, log)
    settings, evaluation = options.settings, options.evaluation
    project = read_project(options.source, settings, options.env, book, evaluation=evaluation, only=options.only)
    for item in log.items:
        project.log.add(item.code, item.where, item.message, item.hint)
    return project


def _rules(path: Path | None, log: Log) -> RuleBook:
    """Load the rules of a file that the user named; the file is executed."""
    if path is None:
        return RuleBook()
    try:
        own = runpy.run_path(str(path)).get("RULES")
    except Exception as error:
        log.add("CT704", Where(str(path)), f"{type(error).__name__}: {error}")
        return RuleBook()
    if not isinstance(own, list | tuple) or not all(isinstance(rule, Rule) for rule in own):
        log.add("CT704", Where(str(path)), "the file must define RULES, a list of rules")
        return RuleBook()
    return RuleBook(own)


def _weights(project: Project, folder: Path) -> Path | None:
    """Return the folder of the migrated weights, or None if there are none."""
    from monai_auxops.migrate.weights import carry_weights

    return folder / "models" if carry_weights(project, folder) else None


def _write(project: Project, options: MigrateOptions, models: Path | None) -> Path | None:
    """Write the complete bundle, or nothing."""
    output = options.output
    if output is None or not _writable(project, output, options.force):
        return None
    try:
        texts = bundle.files(project)
    except UnsafeKeyError as error:
        project.log.add("CT602", Where(project.source.name), f"MONAI would interpret the key {error}")
        return None
    staged = bundle.staging(output)
    try:
        bundle.write(texts, staged)
        if models is not None:
            shutil.copytree(models, staged / "models")
        if options.validate and not packages.missing() and not _valid(project, staged):
            return None
        bundle.publish(staged, output)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return output


def _writable(project: Project, output: Path, force: bool) -> bool:
    """Tell whether there is something to write and a folder for it."""
    if project.train is None and project.configs and not any(config.trains for config in project.configs):
        project.log.add("CT519", Where(project.configs[0].file), "no training configuration defines the network")
    trains = [config.file for config in project.configs if config.trains]
    if project.train is None and trains:
        message = f"{len(trains)} training configurations, none named config_train.json; nothing was written"
        project.log.add("CT707", Where(project.source.name), message)
    try:
        bundle.check_free(output, force)
    except bundle.BundleExistsError:
        project.log.add("CT703", Where(str(output)), "the folder is not empty; nothing was written")
    return project.train is not None and project.log.worst() is not Severity.FATAL


def _valid(project: Project, staged: Path) -> bool:
    from monai_auxops.migrate.trial.validate import validate

    problems = validate(staged)
    for problem in problems:
        project.log.add("CT702", Where("bundle"), problem)
    return not problems


def _check(project: Project, options: MigrateOptions, models: Path | None) -> bool:
    from monai_auxops.migrate.trial.trial import check_project

    if packages.missing():
        return True
    return check_project(project, options.trust_code, models)


def _train_command(project: Project, folder: Path) -> list[str]:
    gpus = max((run.gpus for run in project.runs), default=1)
    several = project.train is not None and project.train.variables.values.get("multi_gpu") is True
    start = multi_gpu_command(max(gpus, 2)) if several else TRAIN
    train = " ".join([start, *data_options(project)])
    return [f"cd {shlex.quote(str(folder))}", train, "monai-auxops report eval"]


def _render(report: Model, options: MigrateOptions) -> str:
    if options.diff:
        return diff(printable(report), options.width)
    if options.form == "json":
        return json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    if options.form == "html":
        return html(report)
    return Text(options.width, options.color, options.verbose).render(printable(report))
