"""What holds of every migration, over the golden and over generated configurations."""

import json

import pytest
from hypothesis import HealthCheck, given, settings

from monai_auxops.migrate.bundle.folder import files
from monai_auxops.migrate.codes import CODES, Severity
from monai_auxops.migrate.command import MigrateOptions, run
from monai_auxops.migrate.conversion.read_project import read_project
from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules import RULES, RuleBook, Section
from monai_auxops.migrate.rules.facts import Facts
from monai_auxops.migrate.rules.values import Call, applies
from tests.migrate import generated
from tests.migrate.conftest import DATALIST, ENVIRONMENT, GOLDEN
from tests.migrate.test_rules import IDS, call_of

CASES = sorted(path.parent.name for path in GOLDEN.glob("*/source"))
FAITHFUL = (Outcome.EXACT, Outcome.EQUIVALENT)


def check(project):
    """Assert what every report promises."""
    for entry in project.entries:
        if entry.rule is not None and entry.rule.targets and entry.outcome in FAITHFUL:
            assert entry.built, f"{entry.rule.name} is {entry.outcome.value} and builds nothing"
        if entry.component.path and entry.rule is not None:
            assert entry.rule.name == entry.component.path
    for config in project.configs:
        for name, source in config.variables.sources.items():
            run_ = next((run_ for run_ in project.runs if run_.script == source), None)
            assert run_ is None or run_.names(project.mmar.relative(config.file)), (name, source)


@pytest.mark.parametrize("case", CASES)
def test_golden_migrations(case):
    check(read_project(GOLDEN / case / "source", [], None, RuleBook()))


class Watched:
    """Facts that remember which of them were read."""

    def __init__(self):
        self.read = set()

    def __getattr__(self, name):
        self.read.add(name)
        return getattr(Facts(final_activation="softmax", out_channels=3, known_label_format=(1,)), name)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_no_condition_reads_a_fact_that_its_row_provides(rule):
    watched, call = Watched(), call_of(rule)
    for target in rule.targets:
        applies(getattr(target, "when", None), Call(call.args, call.given, watched))
    assert not watched.read & set(rule.facts)


def written(folder, configuration):
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    contents = {"config_train.json": configuration, "environment.json": ENVIRONMENT, "dataset.json": DATALIST}
    for name, content in contents.items():
        (config / name).write_text(json.dumps(content))
    return folder


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(configuration=generated.configurations())
def test_generated_migrations(tmp_path, configuration):
    from monai.bundle import ConfigParser

    project = read_project(written(tmp_path, configuration), [], None, RuleBook())
    check(project)
    report, code = run(MigrateOptions(tmp_path, form="json"))
    assert code == max(json.loads(report)["exit_code"], 0)
    if project.log.worst() is not Severity.FATAL:
        for name, text in files(project).items():
            if name.endswith("train.json"):
                ConfigParser(json.loads(text)).parse(True)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(configuration=generated.configurations())
def test_generated_bundles_build_their_engine(tmp_path, configuration):
    report, _ = run(MigrateOptions(written(tmp_path, configuration), form="json", check=True))
    failed = [item for item in json.loads(report)["diagnostics"] if item["code"] == "CT705"]
    assert all(item["path"] or item["file"] for item in failed)


def test_no_advice_claims_to_know_what_clara_would_have_done():
    assert not [code for code, row in CODES.items() if "Clara would" in row.advice]


def test_the_readme_has_every_run_of_the_scripts():
    for case in CASES:
        project = read_project(GOLDEN / case / "source", [], None, RuleBook())
        text = files(project)["docs/README.md"]
        assert all(f"`{run_.script}`" in text for run_ in project.runs)


def test_rows_of_every_section_are_generated():
    assert {rule.section for rule in RULES} - {Section.HANDLER} <= set(Section)
