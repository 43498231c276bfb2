"""The file ``run.json``: the facts of a run, and of older runs in the same folder."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

from monai_auxops.cases.table import locked
from monai_auxops.handlers.best import replace_text

Facts = dict[str, Any]


def write_run(path: Path, facts: Facts) -> None:
    """Write the facts of a run, keeping those of other runs in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        runs = read_runs(path)
        runs[facts["run"]] = facts
        latest, *older = sorted(runs.values(), key=lambda each: str(each.get("started")), reverse=True)
        short = [{key: value for key, value in each.items() if key != "config"} for each in older]
        replace_text(path, json.dumps(json_value(latest | {"older": short}), indent=1, default=str))


def read_runs(path: Path) -> dict[str, Facts]:
    """Return the runs in ``path`` by id; ``ValueError`` if this handler did not write the file."""
    if not path.is_file():
        return {}
    try:
        latest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        latest = None
    if not isinstance(latest, dict) or not {"started", "versions"} <= latest.keys():
        raise ValueError(f"{path} was not written by this handler and is not overwritten; pass another log_dir=")
    older = latest.pop("older", [])
    return {str(facts.setdefault("run", facts["started"])): facts for facts in (latest, *older)}


def json_value(value: Any) -> Any:
    """Replace numbers that JSON cannot express by None."""
    if isinstance(value, dict):
        return {key: json_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def current_time() -> str:
    """Return the current time in ISO 8601 with the time zone."""
    return datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
