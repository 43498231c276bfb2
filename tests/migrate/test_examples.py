"""Every row has an example, and converting it gives what the example says.

`UPDATE_GOLDEN=1 pytest tests/migrate/test_examples.py` writes the bundles' side anew; read the difference first.
"""

import json
import os

import pytest

from monai_auxops.migrate.conversion.binding import Binder
from monai_auxops.migrate.conversion.convert import convert, facts_of
from monai_auxops.migrate.diagnostics import Log
from monai_auxops.migrate.encode import encode
from monai_auxops.migrate.explain import explain
from monai_auxops.migrate.reading.components import PLACES, Component
from monai_auxops.migrate.reading.json_source import parse
from monai_auxops.migrate.reading.variables import Variables
from monai_auxops.migrate.rules import RULES, RuleBook
from monai_auxops.migrate.rules.examples import FACTS, FILE
from tests.migrate.test_rules import IDS


def converted(rule, clara):
    """Return the objects that a component becomes, as they stand in a bundle, and the problems found."""
    place = next(place for place in PLACES if place.section is rule.section)
    log = Log()
    node = parse(json.dumps(clara).encode(), "example", log)
    bound = Binder(RuleBook(), Variables({}, True, log), log).occurrence(Component(place, rule.name, node, node.where))
    found = convert(bound, facts_of([bound], FACTS), log)
    blocks = [{"_target_": built.target, **encode(built.args)} for built in found.built]
    return json.loads(json.dumps(blocks)), log.items


@pytest.mark.skipif("UPDATE_GOLDEN" not in os.environ, reason="writes the examples only when asked")
def test_write_the_examples():
    stored = json.loads(FILE.read_text())
    for rule in RULES:
        example = stored[f"{rule.section.value}/{rule.name}"]
        example["bundle"] = converted(rule, example["clara"])[0]
    FILE.write_text(json.dumps(stored, indent=1) + "\n")


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_the_example_becomes_what_it_says(rule):
    assert rule.source
    assert rule.example is not None, "add one to rules/examples.json"
    blocks, problems = converted(rule, rule.example.clara)
    assert blocks == list(rule.example.bundle)
    assert {item.code for item in problems} <= {"CT202", "CT701"}
    assert "For example" in explain(rule.name, RuleBook())
