"""``migrate --check``: train the migrated bundle for two iterations and validate it, in a separate process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.bundle import folder as bundle
from monai_auxops.migrate.bundle.blocks import channels_first_pairs
from monai_auxops.migrate.bundle.stubs import stub_name
from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.diagnostics import Where
from monai_auxops.migrate.encode import UnsafeKeyError

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.convert import Converted
    from monai_auxops.migrate.conversion.project import Project

TIMEOUT: Final = 600.0
_SINGLE: Final = {
    "network_def": ("train", "model"),
    "loss": ("train", "loss"),
    "optimizer": ("train", "optimizer"),
    "lr_scheduler": ("train", "lr_policy"),
    "validate#inferer": ("validate", "inferer"),
}


def check_project(project: Project, trust_code: bool, models: Path | None = None) -> bool:
    """Run the bundle; the result goes to the log. Return True if it failed.

    Args:
        project: the converted MMAR.
        trust_code: import the MMAR's own classes.
        models: the folder of weights that came along.
    """
    train = project.train
    if train is None or project.log.worst() is Severity.FATAL:
        return False
    own = [entry for entry in train.entries if entry.active and entry.manual]
    if own and not (trust_code and all(entry.component.path for entry in own)):
        for entry in own:
            message = f"{entry.component.path or entry.component.name} must be written by hand first"
            project.log.add("CT705", entry.component.where, message)
        return True
    try:
        texts = bundle.files(project)
    except UnsafeKeyError:
        return True
    with tempfile.TemporaryDirectory(prefix="monai-auxops-check-") as folder:
        bundle.write(texts, Path(folder) / "bundle")
        if models is not None:
            shutil.copytree(models, Path(folder) / "out" / "models")  # the child's bundle_root
        result = run_child(Path(folder), _spec(project, own))
    _say(project, result)
    return not result["ok"]


def run_child(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Run the child and return its last line."""
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    command = [sys.executable, "-m", "monai_auxops.migrate.trial.child", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        found: dict[str, Any] = json.loads((done.stdout.strip().splitlines() or ["{}"])[-1])
    except subprocess.TimeoutExpired:
        return {"ok": False, "step": "", "error": f"it took more than {TIMEOUT:.0f} s"}
    except ValueError:
        found = {}
    last = (done.stderr.strip().splitlines() or ["the process ended without a result"])[-1]
    return found if "ok" in found else {"ok": False, "step": "", "error": last}


def _spec(project: Project, own: list[Converted]) -> dict[str, Any]:
    """Describe the data to generate and the user code to trust."""
    assert project.train is not None
    facts = project.train.facts["train"]
    data = project.data
    root = project.mmar.root
    return {
        "task": facts.task,
        "label_scale": 1.0,
        "in_channels": facts.in_channels,
        "channels": facts.channels,
        "label_channels": facts.label_channels,
        "label_format": list(facts.known_label_format),
        "spatial_dims": facts.spatial_dims,
        "brats": bool(facts.channel_names),
        "files_per_image": data.channels if data is not None else 1,
        "keys": [part.data_key for part in project.train.facts.values() if part.data_key],
        "datalist": str(data.path) if data is not None else "",
        "data_root": _data_root(project, facts.data_root),
        "same_names": True,
        "own": {f"scripts.manual.{stub_name(entry)}": entry.component.path for entry in own},
        "python_path": [str(root / name) for name in ("", "custom", "BYOC") if own and (root / name).is_dir()],
    }


def _data_root(project: Project, path: str) -> str:
    if "{" in path:
        return ""
    return str((project.mmar.root / path).resolve()) if path else ""


def _say(project: Project, result: dict[str, Any]) -> None:
    if result["ok"]:
        project.log.add("CT706", Where(_file(project)), result["message"])
        return
    step = str(result["step"])
    message = f"{step}: {result['error']}" if step else str(result["error"])
    project.log.add("CT705", origins(project).get(step, Where(_file(project))), message[:600])


def _file(project: Project) -> str:
    return project.train.file if project.train is not None else project.source.name


def origins(project: Project) -> dict[str, Where]:
    """Return the place in Clara's configuration that each object of the bundle came from."""
    train = project.train
    if train is None:
        return {}
    found = _of_other_files(project)
    for item, (part, key) in _SINGLE.items():
        entry = train.first(part, key)
        if entry is not None:
            found[item] = entry.component.where
    for part in train.facts:
        found |= _transforms(part, train.at(part, "pre_transforms", "batch_transforms"))
    for part, prefix in (("train", "train_"), ("validate", "val_")):
        for entry in train.at("train", "aux_ops", "metrics"):
            found |= {f"{part}#metrics#{prefix}{name}": entry.component.where for name in entry.creates}
    for entry in train.at("validate", "metrics"):
        found[f"validate#metrics#{entry.args.get('name')}"] = entry.component.where
    return found


def _of_other_files(project: Project) -> dict[str, Where]:
    """Return the files that evaluation and inference are made of."""
    configs = {"evaluation": project.evaluate, "inference": project.infer}
    return {step: config.root.where for step, config in configs.items() if config is not None}


def _transforms(part: str, entries: list[Converted]) -> dict[str, Where]:
    pairs = channels_first_pairs(entries)
    return {f"{part}#preprocessing#transforms#{index}": pair[0].component.where for index, pair in enumerate(pairs)}
