"""An MMAR of Clara Train 4 after reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.checks import check, check_saved_names
from monai_auxops.migrate.clara4.config import Clara4Config, Role, read_config
from monai_auxops.migrate.clara4.sections import attribute, datalist_path
from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading import datalist
from monai_auxops.migrate.reading.file_kinds import FileKind
from monai_auxops.migrate.reading.mmar import Mmar, read_json
from monai_auxops.migrate.reading.variables import ENVIRONMENT, parse_settings

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.item import Item
    from monai_auxops.migrate.conversion.project import Project
    from monai_auxops.migrate.reading.datalist import DataList
    from monai_auxops.migrate.reading.node import Node

_ROLES: Final = {FileKind.TRAIN4: Role.TRAIN, FileKind.EVALUATE4: Role.EVALUATE, FileKind.INFER4: Role.INFER}
_PICTURES: Final = (".png", ".jpg", ".jpeg", ".bmp")
_FIRST: Final = {
    Role.TRAIN: ("config_train.json",),
    Role.EVALUATE: ("config_validation.json", "config_validation_ckpt.json"),
    Role.INFER: ("config_inference.json", "config_infer.json"),
}


@dataclass(slots=True)
class Mmar4:
    """An MMAR of Clara Train 4, converted: its files, and those that the bundle is made of."""

    project: Project
    configs: list[Clara4Config] = field(default_factory=list)
    chosen: dict[Role, Clara4Config] = field(default_factory=dict)
    data: DataList | None = None

    @property
    def root(self) -> Path:
        """The MMAR's folder."""
        return self.project.mmar.root

    @property
    def log(self) -> Log:
        """Where every problem goes."""
        return self.project.log

    @property
    def items(self) -> list[Item]:
        """All occurrences of components, of all files."""
        return [item for config in self.configs for item in config.items]

    @property
    def used(self) -> list[Item]:
        """The occurrences that the bundle is made of."""
        return [item for config in self.chosen.values() for item in config.items]

    @property
    def main(self) -> Clara4Config | None:
        """The main file: the training, otherwise the evaluation, otherwise the inference."""
        return next((self.chosen[role] for role in Role if role in self.chosen), None)


def has_clara4(mmar: Mmar) -> bool:
    """Tell whether a folder or file comes from Clara Train 4."""
    return any(mmar.of(kind) for kind in _ROLES)


def read_mmar4(project: Project, settings: Iterable[str], env: Path | None, trust: bool, only: str = "") -> Mmar4:
    """Convert every configuration, or ``only`` those of the training; every problem is in the project's log."""
    found = Mmar4(project)
    mmar, log = project.mmar, project.log
    given = parse_settings(settings, Log())
    environment = _environment(mmar, env, log)
    roles = {kind: role for kind, role in _ROLES.items() if only != "training" or role is Role.TRAIN}
    for kind, role in roles.items():
        for name in mmar.of(kind):
            scripted = _settings_of_script(project, name, role)
            root = mmar.files[name][1]
            values = {**scripted, **given}
            config = read_config(root, name, role, values, environment, log, trust)
            if _reads_pictures(mmar.root, datalist_path(config)):
                config = read_config(root, name, role, values, environment, log, trust, pictures=True)
            log.add("CT117", Where(name), f"{role.value} configuration of {config.dialect.title}")
            found.configs.append(config)
    _choose(found)
    for config in found.configs:
        check(config, log)
    _datalist(found)
    for config in found.chosen.values():
        check_saved_names(config, found.data, log)
    _unread(found, given)
    return found


def _environment(mmar: Mmar, env: Path | None, log: Log) -> Node | None:
    if env is not None:
        return read_json(env, env.name, Log())
    names = mmar.of(FileKind.ENVIRONMENT)
    exact = [name for name in names if name.endswith("environment.json")]
    if names and not exact:
        log.add("CT114", Where(names[0]), f"there is no environment.json; {names[0]} is used")
    return mmar.files[(exact or names)[0]][1] if names else None


def _settings_of_script(project: Project, name: str, role: Role) -> Mapping[str, Any]:
    """Return the variables that the MMAR's own script set for a file."""
    apps = {Role.TRAIN: "train"}.get(role, "evaluate")
    for run in project.runs:
        named = Path(run.config).name
        fits = named in ("", Path(name).name) if role is Role.TRAIN else named == Path(name).name
        if run.app == apps and run.gpus == 1 and not run.fine_tunes and fits:
            return run.settings
    return {}


def _reads_pictures(root: Path, path: str) -> bool:
    """Tell whether a data list names pictures, which MONAI 0.5 read rows first."""
    place = datalist.find(path, root)
    node = read_json(place, place.name, Log()) if place is not None else None
    for items in node.members() if node is not None else ():
        for item in items.elements()[:1]:
            image = item.get("image")
            names = image.elements() if image is not None else []
            if any(str(name.value).lower().endswith(_PICTURES) for name in names):
                return True
    return False


def _choose(found: Mmar4) -> None:
    """Pick the files that the bundle is made of: one of each kind."""
    for role in Role:
        configs = [config for config in found.configs if config.role is role]
        named = [config for name in _FIRST[role] for config in configs if Path(config.file).name == name]
        alone = configs if len(configs) == 1 or role is not Role.TRAIN else []
        chosen = next(iter([*named, *alone]), None)
        if chosen is not None:
            found.chosen[role] = chosen
        for config in configs if role is Role.TRAIN and len(configs) > 1 else ():
            if config is not chosen:
                used = f"; the bundle is made of {chosen.file}" if chosen is not None else ""
                found.log.add("CT113", Where(config.file), f"one of several training configurations{used}")


def _datalist(found: Mmar4) -> None:
    """Read the data list that the main file names."""
    config = found.main
    if config is None:
        return
    keys: dict[str, Where] = {}
    for part in config.parts:
        item = config.first(part, "dataset")
        key = attribute(config, item, "data_list_key")
        if item is not None and key and "{" not in key:
            keys[key] = item.occurrence.where
    path = datalist_path(config)
    if path and keys:
        root = found.project.mmar.root
        found.data = datalist.read(path, keys, root, next(iter(keys.values())), found.log)


def _unread(found: Mmar4, given: Mapping[str, Any]) -> None:
    known = {name for config in found.configs for name in config.variables.read}
    known |= {name for config in found.configs for name, _ in config.root.items()}
    for name in given:
        if name not in known and name not in ENVIRONMENT:
            found.log.add("CT204", Where("--set"), f'nothing reads "{name}"')
