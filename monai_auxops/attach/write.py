"""Write the overrides after MONAI has parsed and built them; all files or none."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.attach.config import BundleConfig
from monai_auxops.attach.engines import EngineItem, readable_id
from monai_auxops.attach.problem import AttachError, first_line
from monai_auxops.attach.slots import read_slot

if TYPE_CHECKING:
    from monai_auxops.attach.plan import Plan

_PLAIN_LIST: Final = re.compile(r"\[\n[^\[\]{}]*?\n\s*\]")  # no string holds a line break: JSON escapes it


def text_of(block: dict[str, Any]) -> str:
    """Return overrides as JSON; a list of plain values takes one line.

    Examples:
        >>> print(text_of({"a": [1, 2]}), end="")
        {
            "a": [1, 2]
        }
    """
    text = json.dumps(block, indent=4, ensure_ascii=False)
    return _PLAIN_LIST.sub(lambda match: " ".join(match[0].split()).replace("[ ", "[").replace(" ]", "]"), text) + "\n"


def write_plans(configs: Path, plans: Sequence[Plan], force: bool) -> list[Path]:
    """Write the overrides of every plan and return the files.

    Raises:
        AttachError: a file exists and may not be replaced, or MONAI cannot build the op; nothing is written.
    """
    targets = [configs / plan.run.output for plan in plans]
    for target in targets:
        if target.exists() and not force:
            raise AttachError(f"{target} already exists; pass --force to replace it")
    with tempfile.TemporaryDirectory(prefix="monai-auxops-attach-") as folder:
        for plan in plans:
            path = Path(folder) / plan.run.output
            path.write_text(text_of(_with_case_tables_in(plan.block, folder)), encoding="utf-8", newline="\n")
            check_overrides(plan, path)
    return _publish({target: text_of(plan.block) for target, plan in zip(targets, plans, strict=True)})


def _with_case_tables_in(value: Any, folder: str) -> Any:
    """Return overrides whose case tables go to ``folder``: an op makes its folder when it is built."""
    if isinstance(value, dict):
        return {
            key: folder if key == "report_path" else _with_case_tables_in(one, folder) for key, one in value.items()
        }
    return value


def check_overrides(plan: Plan, path: Path) -> BundleConfig:
    """Let MONAI merge and parse a file of overrides with those of its run, and build every op in its slot."""
    config = BundleConfig([*plan.run.config.files, path])
    for engine, name in plan.metrics:
        _check_op(config, engine, name)
    lost = set(config.unresolved()) - set(plan.run.config.unresolved())
    if lost:
        raise AttachError(f"{plan.run.output} refers to {sorted(lost)[0]}, which does not exist")
    return config


def _check_op(config: BundleConfig, engine: EngineItem, name: str) -> None:
    """Build one op as the engine would get it."""
    for slot_id in (engine.key_slot, engine.additional_slot):
        slot = read_slot(config, slot_id)
        if name in slot.metrics:
            if isinstance(slot.metrics[name], str):
                raise AttachError(f"MONAI cannot build {name}: {_build_error(config, f'{slot.item_id}::{name}')}")
            return
    raise AttachError(f"{readable_id(engine.item_id)} would not get {name}, because the slot is overridden elsewhere")


def _build_error(config: BundleConfig, item_id: str) -> str:
    try:
        config.value(item_id)
    except Exception as error:
        return first_line(error)
    return "it is not an object"


def _publish(texts: dict[Path, str]) -> list[Path]:
    """Write all files under temporary names first, then move them into place."""
    waiting = {target: target.with_name(f".{target.name}.{os.getpid()}") for target in texts}
    try:
        for target, place in waiting.items():
            place.write_text(texts[target], encoding="utf-8", newline="\n")
        for target, place in waiting.items():
            place.replace(target)
    except OSError as error:
        raise AttachError(f"{error.filename} cannot be written: {error.strerror}") from error
    finally:
        for place in waiting.values():
            place.unlink(missing_ok=True)
    return list(texts)
