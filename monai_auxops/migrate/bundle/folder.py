"""The bundle folder: assembled in memory, written to a temporary folder, checked by MONAI, then moved into place."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.bundle.data import COPY, copied_list, data_block
from monai_auxops.migrate.bundle.evaluate import evaluate_json
from monai_auxops.migrate.bundle.inference import inference_json
from monai_auxops.migrate.bundle.metadata import class_names, metadata
from monai_auxops.migrate.bundle.multi_gpu import multi_gpu_json
from monai_auxops.migrate.bundle.readme import readme
from monai_auxops.migrate.bundle.stubs import stubs
from monai_auxops.migrate.bundle.train import train_json
from monai_auxops.migrate.encode import encode

if TYPE_CHECKING:
    from monai_auxops.migrate.bundle.blocks import Block
    from monai_auxops.migrate.conversion.project import Project

LOGGING: Final = """[loggers]
keys=root

[handlers]
keys=consoleHandler

[formatters]
keys=fullFormatter

[logger_root]
level=INFO
handlers=consoleHandler

[handler_consoleHandler]
class=StreamHandler
level=INFO
formatter=fullFormatter
args=(sys.stdout,)

[formatter_fullFormatter]
format=%(asctime)s - %(name)s - %(levelname)s - %(message)s
"""
LICENSE: Final = """This bundle was migrated from a Clara Train MMAR. Its owner chooses the license:
replace this text before you share the bundle.

The MMAR that it came from may have its own terms (those of NVIDIA NGC, for example).
"""


class BundleExistsError(Exception):
    """The folder to write to is not empty."""


def files(project: Project) -> dict[str, str]:
    """Return the text of every file of the bundle; the project must have a training configuration."""
    train = project.train
    if train is None:
        raise ValueError("a bundle needs a training configuration")
    data = data_block(project, train)
    training = train_json(train, data, class_names(project, train.facts["train"]))
    configs: dict[str, Block] = {
        "train.json": training,
        "inference.json": inference_json(train, project.infer, data, training["network_def"]),
        "multi_gpu_train.json": multi_gpu_json(training),
        "metadata.json": metadata(project, train, train.facts.get("validate", train.facts["train"])),
    }
    if "validate" in training or project.evaluate is not None:
        configs["evaluate.json"] = evaluate_json(train, project.evaluate)
    return all_files(configs, readme(project), stubs(project), copied_list(project.data, project.mmar.root))


def all_files(configs: dict[str, Block], text: str, code: str, datalist: Path | None) -> dict[str, str]:
    """Return the files of a bundle: its configurations, README, stubs of classes if any, and the data list if small."""
    found = {f"configs/{name}": dumps(block) for name, block in configs.items()}
    found |= {"configs/logging.conf": LOGGING, "LICENSE": LICENSE, "docs/README.md": text}
    if code:
        found |= {"scripts/__init__.py": "", "scripts/manual.py": code}
    if datalist is not None:
        found[COPY] = datalist.read_text(encoding="utf-8-sig")
    return dict(sorted(found.items()))


def dumps(block: Block) -> str:
    """Return a configuration as readable JSON: a short value that is not an object takes one line."""
    return _dump(encode(block), 0) + "\n"


def _dump(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value:
        return flat
    if len(flat) + 4 * depth < 100 and "_target_" not in flat:
        return flat
    pad, end = " " * 4 * (depth + 1), " " * 4 * depth
    if isinstance(value, dict):
        lines = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {_dump(child, depth + 1)}" for key, child in value.items()
        ]
        return "{\n" + ",\n".join(lines) + "\n" + end + "}"
    return "[\n" + ",\n".join(pad + _dump(child, depth + 1) for child in value) + "\n" + end + "]"


def write(texts: Mapping[str, str], folder: Path) -> None:
    """Write files into a folder, which must be empty or new."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def check_free(folder: Path, force: bool) -> None:
    """Raise BundleExistsError unless the folder may be written to."""
    if folder.exists() and not force and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleExistsError(folder)


def staging(folder: Path) -> Path:
    """Return a new folder on the same disk, which the caller must move or remove."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))


def publish(staged: Path, folder: Path) -> None:
    """Move a complete bundle into place; an older one is removed last, so that a failure loses nothing."""
    staged.chmod(0o755)
    if not folder.exists():
        staged.rename(folder)
        return
    old = staging(folder)
    old.rmdir()
    folder.rename(old)
    staged.rename(folder)
    old.unlink() if old.is_symlink() or old.is_file() else shutil.rmtree(old)
