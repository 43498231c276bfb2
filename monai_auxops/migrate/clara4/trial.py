"""``migrate --check`` of a bundle from Clara Train 4: two iterations and a validation, in a separate process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.clara4.config import Clara4Config, Role
from monai_auxops.migrate.clara4.sections import attribute, data_root
from monai_auxops.migrate.clara4.shape import shape_of
from monai_auxops.migrate.diagnostics import Where
from monai_auxops.migrate.trial.trial import run_child

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.item import Item
    from monai_auxops.migrate.clara4.project import Mmar4


def check_bundle(mmar: Mmar4, place: Path) -> bool:
    """Run the bundle that was written to ``place``; the result goes to the log. Return True if it failed."""
    train = mmar.chosen.get(Role.TRAIN)
    manual = [item for item in mmar.used if item.active and item.manual]
    for item in manual:
        name = item.occurrence.path or item.occurrence.name
        mmar.log.add("CT705", item.occurrence.where, f"{name} must be written by hand first")
    if manual or train is None:
        return bool(manual)
    result = run_child(place, _spec(mmar, train))
    if result["ok"]:
        mmar.log.add("CT706", Where(train.file), result["message"])
        return False
    step = str(result["step"])
    message = f"{step}: {result['error']}" if step else str(result["error"])
    mmar.log.add("CT705", _origins(train).get(step, Where(train.file)), message[:600])
    return True


def _spec(mmar: Mmar4, train: Clara4Config) -> dict[str, Any]:
    """Describe the data to generate."""
    shape = shape_of(train)
    keys = [attribute(train, train.first(part, "dataset"), "data_list_key") for part in train.parts]
    root = data_root(train)
    folder = "" if not root or "{" in root else str((mmar.root / root).resolve())
    data = mmar.data
    return {
        "task": shape.task,
        "label_scale": 1.0,
        "in_channels": shape.in_channels,
        "channels": max(shape.out_channels, 1),
        "label_channels": 1,
        "label_format": [],
        "spatial_dims": shape.spatial_dims,
        "brats": any("Brats" in item.occurrence.name for item in train.items),
        "files_per_image": 1 if data is None else data.channels,
        "keys": [key for key in keys if key],
        "datalist": "" if data is None else str(data.path),
        "data_root": folder,
        "same_names": False,  # Clara's own savers let predictions of one name overwrite each other
        "own": {},
        "python_path": [],
    }


def _origins(train: Clara4Config) -> dict[str, Where]:
    """Return the place in Clara's file that each object of the bundle came from."""
    single = {"network_def": "model", "loss": "loss", "optimizer": "optimizer", "lr_scheduler": "lr_scheduler"}
    found = {name: item.occurrence.where for name, key in single.items() if (item := train.first("train", key))}
    for part in train.parts:
        for index, item in enumerate(_with_blocks(train.at(part, "pre_transforms"))):
            found[f"{part}#preprocessing#transforms#{index}"] = item.occurrence.where
    return found


def _with_blocks(items: list[Item]) -> list[Item]:
    return [item for item in items if item.blocks or item.manual]
