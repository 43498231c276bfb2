"""``migrate --weights``: Clara's TensorFlow weights, converted and proven in a separate process.

The migrator loads neither torch nor MONAI. The child is ``monai_auxops.weights.child``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.bundle.blocks import component, single
from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.conversion.convert import Built, Converted
from monai_auxops.migrate.diagnostics import Outcome, Where
from monai_auxops.migrate.encode import Expr, encode

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.project import Project

TIMEOUT: Final = 1800.0
_OUTCOMES: Final = {"proven": Outcome.EXACT, "equivalent": Outcome.EQUIVALENT}
_NO_LONGER: Final = ("CT115", "CT312")
"""Codes of weights that are not migrated, and of a network of the user's own."""


def carry_weights(project: Project, folder: Path) -> bool:
    """Write the weights into a folder and make the project name the network that they belong to.

    The result goes to the log. Return True if the weights are migrated.
    """
    train = project.train
    if train is None or project.log.worst() is Severity.FATAL:
        return False
    model = train.first("train", "model")
    spec = {
        "mmar": str(project.mmar.root),
        "network_def": encode(single(model, component("scripts.manual.ClaraMissing"))),
        "activation": train.facts["train"].activation,
    }
    result = _run(spec, folder)
    sentence = str(result["sentence"])
    if model is None or result["outcome"] not in _OUTCOMES:
        project.log.add("CT123", Where("models"), sentence.removeprefix("weights refused: "))
        return False
    _name_network(project, model, result)
    project.carried = sentence
    where = model.component.where
    kept = [item for item in project.log.items if item.code not in _NO_LONGER or _is_elsewhere(item.where, where)]
    project.log.items[:] = kept
    project.log.add("CT122", Where("models"), sentence.removeprefix("weights: "))
    return True


def _is_elsewhere(place: Where, model: Where) -> bool:
    return place.file != "models" and place != model


def _name_network(project: Project, model: Converted, result: Mapping[str, Any]) -> None:
    """Replace the network's entry by the network that computes the same as Clara's graph."""
    block = dict(result["network_def"])
    target = str(block.pop("_target_"))
    args = {
        name: Expr(value) if isinstance(value, str) and value[:1] == "$" else value for name, value in block.items()
    }
    bound = replace(model.bound, reason=f"{str(result['sentence']).removeprefix('weights: ').capitalize()}.")
    entry = replace(model, bound=bound, outcome=_OUTCOMES[result["outcome"]], notes=(), built=(Built(target, args),))
    assert project.train is not None
    entries = tuple(entry if other is model else other for other in project.train.entries)
    config = replace(project.train, entries=entries)
    project.configs = [config if other is project.train else other for other in project.configs]
    project.train = config


def _run(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Run the child and return its last line; any failure becomes a refusal."""
    path = folder / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    command = [sys.executable, "-m", "monai_auxops.weights.child", str(path), str(folder / "models")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return {"outcome": "refused", "sentence": f"the proof took more than {TIMEOUT:.0f} s"}
    try:
        found: dict[str, Any] = json.loads((done.stdout.strip().splitlines() or [""])[-1])
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["the process ended without a result"])[-1]
        return {"outcome": "refused", "sentence": last}
    return found
