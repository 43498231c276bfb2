"""The location of the bundle's data: the folders and the data list that the MMAR named."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.encode import Expr

if TYPE_CHECKING:
    from monai_auxops.migrate.bundle.blocks import Block
    from monai_auxops.migrate.conversion.config import ConvertedConfig
    from monai_auxops.migrate.conversion.project import Project
    from monai_auxops.migrate.reading.datalist import DataList

COPY: Final = "configs/datalist.json"
_MAX_COPY: Final = 8 * 1024 * 1024


def data_block(project: Project, config: ConvertedConfig) -> Block:
    """Return dataset_dir and datalist; the user can override both when running the bundle."""
    facts = config.facts["train" if config.trains else ""]
    root = facts.data_root or str(config.variables.values.get("DATA_ROOT", ""))
    return data_places(root, facts.datalist, project.mmar.root, copied_list(project.data, project.mmar.root))


def data_places(folder: str, path: str, root: Path, copy: Path | None) -> Block:
    """Return dataset_dir and datalist for the folder and the list that an MMAR below ``root`` names."""
    return {"dataset_dir": _folder(folder, root), "datalist": _datalist(path, copy)}


def data_options(project: Project) -> list[str]:
    """Return the options that tell a command where the data is, if the bundle does not know."""
    folder = ["--dataset_dir DATA"] if project.data_is_missing else []
    return [*folder, *(["--datalist DATA/dataset.json"] if project.data is None else [])]


def _folder(path: str, root: Path) -> str:
    if not path or "{" in path:
        return Expr("$@bundle_root + '/data'")
    if PurePosixPath(path).is_absolute() or ":" in path:
        return path
    return (root.resolve() / path).as_posix()


def _datalist(path: str, copy: Path | None) -> str:
    if copy is not None:
        return Expr(f"$@bundle_root + '/{COPY}'")
    if not path or "{" in path:
        return Expr("$@dataset_dir + '/dataset.json'")
    return path


def copied_list(data: DataList | None, root: Path) -> Path | None:
    """Return the data list if the bundle copies it, because it is small and inside the MMAR; otherwise None."""
    found = data.path.resolve() if data is not None else None
    if found is None or not found.is_relative_to(root.resolve()):
        return None
    return found if found.stat().st_size <= _MAX_COPY else None
