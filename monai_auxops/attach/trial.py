"""``attach --check``: run a copy of a bundle for one epoch without and with aux-ops, in separate processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.attach.network import read_metadata
from monai_auxops.attach.problem import AttachError
from monai_auxops.attach.write import text_of

if TYPE_CHECKING:
    from monai_auxops.attach.plan import Plan

TIMEOUT: Final = 1800.0
_LARGE: Final = 64 * 2**20
_SKIPPED: Final = shutil.ignore_patterns(".git", "__pycache__", "eval", "runs", "cache", "mlruns")


@dataclass(frozen=True)
class EpochResult:
    """The results of one epoch.

    Args:
        weights: their hash.
        metrics: of each engine by its id.
        labels: what was observed about the labels of each engine.
    """

    weights: str
    metrics: dict[str, dict[str, Any]]
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)


def run_both(
    bundle: Path, configs: Path, plan: Plan, synthetic: bool, settings: dict[str, Any], timeout: float = TIMEOUT
) -> tuple[EpochResult, EpochResult]:
    """Return the results of an epoch without and with the aux-ops of a plan.

    Raises:
        AttachError: the bundle's own run fails, or the one with aux-ops does; the message says which and why.
    """
    with tempfile.TemporaryDirectory(prefix="monai-auxops-check-") as folder:
        without = _run(bundle, configs, plan, False, synthetic, settings, Path(folder) / "without", timeout)
        if "error" in without:
            raise AttachError(f"the bundle's own run fails without aux-ops: {without['error']}")
        with_ops = _run(bundle, configs, plan, True, synthetic, settings, Path(folder) / "with", timeout)
        if "error" in with_ops:
            raise AttachError(f"the run fails only with aux-ops: {with_ops['error']}")
    return EpochResult(**without), EpochResult(**with_ops)


def _run(
    bundle: Path,
    configs: Path,
    plan: Plan,
    with_ops: bool,
    synthetic: bool,
    settings: dict[str, Any],
    place: Path,
    timeout: float,
) -> dict[str, Any]:
    """Copy the bundle and run the copy in a child process."""
    shutil.copytree(bundle, place, ignore=_SKIPPED, copy_function=_copy)
    copied = place / configs.name
    files = [
        copied / path.relative_to(configs) if _is_inside(path, configs) else path for path in plan.run.config.files
    ]
    if with_ops:
        ours = copied / plan.run.output
        ours.write_text(text_of(plan.block), encoding="utf-8")
        files.append(ours)
    spec = _spec(plan, files, place, synthetic, settings, configs)
    path = place.with_suffix(".json")
    path.write_text(json.dumps(spec), encoding="utf-8")
    return _child(path, synthetic, timeout)


def _copy(source: str, target: str) -> str:
    """Copy a file, or link a large file that no run writes, such as an image."""
    if Path(source).stat().st_size > _LARGE and not {"models", "model"} & set(Path(source).parts):
        Path(target).symlink_to(Path(source).resolve())
        return target
    return str(shutil.copy2(source, target))


def _is_inside(path: Path, folder: Path) -> bool:
    return folder.resolve() in path.resolve().parents


def _spec(
    plan: Plan, files: Sequence[Path], place: Path, synthetic: bool, settings: dict[str, Any], configs: Path
) -> dict[str, Any]:
    """Describe a run for the child."""
    root = {"bundle_root": str(place)} if "bundle_root" in plan.run.config.raw else {}
    metadata = next((str(path) for path in sorted((place / configs.name).glob("metadata.*"))), "")
    return {
        "bundle": str(place),
        "files": [str(path) for path in files],
        "metadata": metadata,
        "settings": {**root, **settings},
        "run_id": plan.run.run_id,
        "network": plan.run.engines[0].network_slot,
        "engines": [{"id": engine.item_id, "trains": engine.trains} for engine in plan.run.engines],
        "synthetic": _synthetic(plan, read_metadata(configs)) if synthetic else None,
    }


def _synthetic(plan: Plan, metadata: dict[str, Any]) -> dict[str, Any]:
    """Describe the data to generate, according to ``network_data_format`` and the derived measure."""
    inputs = metadata.get("network_data_format", {}).get("inputs", {})
    image = inputs.get("image", next(iter(inputs.values()), {}))
    if not isinstance(image.get("num_channels"), int) or not image.get("spatial_shape"):
        raise AttachError(
            "metadata.json does not give num_channels and spatial_shape of the image in network_data_format, so no "
            "data can be generated; use --check own with your data"
        )
    return {
        "channels": image["num_channels"],
        "spatial": list(image["spatial_shape"]),
        "index_labels": plan.index_labels,
        "inverts": any(one.inverted for one in plan.measures.values()),
    }


def _child(spec: Path, synthetic: bool, timeout: float) -> dict[str, Any]:
    """Run the child and return its last line."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""} if synthetic else None
    command = [sys.executable, "-m", "monai_auxops.attach.child", str(spec)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=environment, cwd=spec.parent
        )
        found: dict[str, Any] = json.loads((done.stdout.strip().splitlines() or ["{}"])[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"it took more than {timeout:.0f} s"}
    except ValueError:
        found = {}
    last = (done.stderr.strip().splitlines() or ["the process ended without a result"])[-1]
    return found or {"error": last}
