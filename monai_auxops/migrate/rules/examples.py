"""What documents every row: where Clara's side is described, and one component before and after.

``examples.json`` holds, by section and name, a component as a Clara file has it and what it becomes in the bundle, in a
configuration that ``FACTS`` describes. A test converts each of them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from monai_auxops.migrate.rules.base import Example, Rule, Section
from monai_auxops.migrate.rules.facts import Facts

FILE: Final = Path(__file__).with_name("examples.json")
FACTS: Final = Facts(
    final_activation="softmax",
    out_channels=3,
    known_label_format=(1, 3),
    patch_size=(96, 96, 96),
    output_dir="eval",
)
"""The configuration that the examples belong to: three classes, a softmax, crops of 96 voxels."""

_DOCUMENTED: Final = {
    Section.LOSS: "losses",
    Section.MODEL: "models",
    Section.OPTIMIZER: "optimizers",
    Section.LR_POLICY: "lr_policies",
    Section.TRANSFORM: "transforms",
    Section.PIPELINE: "data",
    Section.AUX_OP: "aux_ops",
    Section.METRIC: "metrics",
    Section.INFERER: "inferers",
    Section.LOADER: "model_loaders",
    Section.WRITER: "writers",
    Section.HANDLER: "handlers",
}


@cache
def _examples() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def documented(rule: Rule) -> Rule:
    """Return a row of the tables with its source and its example."""
    source = rule.source or f"Clara Train 3.1, ai4med.components.{_DOCUMENTED[rule.section]}, and published MMARs"
    found = _examples().get(f"{rule.section.value}/{rule.name}")
    example = Example(found["clara"], tuple(found["bundle"])) if found is not None else None
    return replace(rule, source=source, example=rule.example or example)
