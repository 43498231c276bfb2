"""Check what environment.json holds: paths are text, and there are two tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.clara4.values import DEFAULTS
from monai_auxops.migrate.diagnostics import Log, Where

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.variables import Variables

_PATHS: Final = (*DEFAULTS, "DATA_ROOT", "DATASET_JSON")
_TASK: Final = "PROCESSING_TASK"
_TASKS: Final = ("segmentation", "classification")


def check_environment(variables: Variables, file: str, log: Log) -> None:
    """Report a path that is not text and a task that Clara did not have; the defaults take their place."""
    for name in _PATHS:
        value = variables.values.get(name, "")
        if not isinstance(value, str):
            log.add("CT206", _place(variables, name, file), f"{name}: expected text, found {value!r}")
            variables.values.pop(name)
            variables.values |= {name: DEFAULTS[name]} if name in DEFAULTS else {}
    task = variables.values.get(_TASK)
    if task and task not in _TASKS:
        message = f"{_TASK}: expected {' or '.join(_TASKS)}, found {task!r}"
        log.add("CT206", _place(variables, _TASK, file), message)
        variables.values.pop(_TASK)


def _place(variables: Variables, name: str, file: str) -> Where:
    return Where(variables.sources.get(name) or file)
