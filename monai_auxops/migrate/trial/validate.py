"""Checks a bundle with MONAI itself, in a process of its own: parser, properties of a workflow, metadata schema.

``meta_schema_20240725.json`` beside this file is MONAI's schema (Apache-2.0), as ``verify_metadata`` would download it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

SCHEMA: Final = Path(__file__).with_name("meta_schema_20240725.json")
TIMEOUT: Final = 120.0
_WORKFLOWS: Final = (
    (("train.json",), "train"),
    (("train.json", "evaluate.json"), "train"),
    (("train.json", "multi_gpu_train.json"), "train"),
    (("inference.json",), "inference"),
)


def validate(bundle: Path, timeout: float = TIMEOUT) -> list[str]:
    """Return MONAI's objections, found in a subprocess; nothing in the bundle is instantiated."""
    command = [sys.executable, "-m", "monai_auxops.migrate.trial.validate", str(bundle)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return [f"MONAI's check took more than {timeout:.0f} s"]
    if done.returncode != 0:
        return [(done.stderr.strip().splitlines() or ["MONAI's check failed"])[-1]]
    found: list[str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def problems(bundle: Path) -> list[str]:
    """Return MONAI's objections, found in this process."""
    configs = bundle / "configs"
    found = _metadata(configs / "metadata.json")
    for names, kind in _WORKFLOWS:
        if all((configs / name).is_file() for name in names):
            found += _workflow([str(configs / name) for name in names], kind, str(configs / "metadata.json"))
    return found


def _metadata(path: Path) -> list[str]:
    try:
        import jsonschema
    except ImportError:
        return []
    validator = jsonschema.Draft201909Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    errors = validator.iter_errors(json.loads(path.read_text(encoding="utf-8")))
    return [f"metadata.json: {error.message}" for error in errors]


def _workflow(files: list[str], kind: str, meta: str) -> list[str]:
    """Parse the files as ``monai.bundle run`` does, without instantiating anything, and ask for missing properties."""
    name = " + ".join(Path(file).name for file in files)
    try:
        workflow = _presence_workflow()(config_file=files, meta_file=meta, logging_file=False, workflow_type=kind)
        workflow.parser.parse(True)
        missing = workflow.check_properties() or []
        broken = _unresolved(workflow.parser)
    except Exception as error:
        return [f"{name}: {type(error).__name__}: {error}"]
    return [*(f"{name}: {item} is missing" for item in missing), *(f"{name}: {item}" for item in broken)]


def _presence_workflow() -> Any:
    """Return MONAI's workflow with properties that are looked for and not built: no data, no network is needed."""
    from monai.bundle import ConfigWorkflow

    class PresenceWorkflow(ConfigWorkflow):  # type: ignore[misc]
        def _get_property(self, name: str, property: Any) -> str:
            try:
                return str(self._get_prop_id(name, property))
            except KeyError as error:
                raise AttributeError(name) from error

    return PresenceWorkflow


def _unresolved(parser: Any) -> list[str]:
    """Return references without a target, and classes that MONAI does not find."""
    resolver, found = parser.ref_resolver, []
    for item_id, item in resolver.items.items():
        text = item.get_config()
        references = resolver.match_refs_pattern(text) if isinstance(text, str) else ()
        missing = [reference for reference in references if reference not in resolver.items]
        found += [f"{item_id} refers to {reference}, which does not exist" for reference in missing]
        found += _not_found(item_id, item)
    return found


def _not_found(item_id: str, item: Any) -> list[str]:
    from pydoc import locate

    if not hasattr(item, "resolve_module_name"):
        return []
    path = item.resolve_module_name()
    if isinstance(path, str) and not path.startswith("scripts.") and locate(path) is None:
        return [f"{item_id} names {path}, which does not exist"]
    return []


def main(arguments: list[str]) -> int:
    """Print the problems as one JSON line."""
    found = problems(Path(arguments[0]))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
