"""Values of arguments: fill in variables, turn ``@`` and ``#`` into the bundle's references, set code aside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.code import CodeForm, CodeText, is_code, read
from monai_auxops.migrate.clara4.settings import TARGETS
from monai_auxops.migrate.encode import Expr, literal

if TYPE_CHECKING:
    from monai_auxops.migrate.diagnostics import Log, Where
    from monai_auxops.migrate.reading.node import Node
    from monai_auxops.migrate.reading.variables import Variables

FOLDERS: Final = {"MMAR_CKPT_DIR": "@ckpt_dir", "MMAR_EVAL_OUTPUT_PATH": "@output_dir", "DATA_ROOT": "@dataset_dir"}
DEFAULTS: Final = {
    "MMAR_CKPT_DIR": "models",
    "MMAR_CKPT": "models/model.pt",
    "MMAR_TORCHSCRIPT": "models/model.ts",
    "MMAR_EVAL_OUTPUT_PATH": "eval",
}
"""The MMAR's own folders, as in every published environment.json."""
_SHARED: Final = {
    "model": "@network",
    "loss": "@loss",
    "optimizer": "@optimizer",
    "lr_scheduler": "@lr_scheduler",
    "evaluator": "@validate#evaluator",
    "trainer": "@train#trainer",
}
_OWN: Final = {
    "pre_transforms": "preprocessing",
    "post_transforms": "postprocessing",
    "dataset": "dataset",
    "dataloader": "dataloader",
    "inferer": "inferer",
    "handlers": "handlers",
    "key_metric": "key_metric",
    "additional_metrics": "additional_metrics",
}
PARAMETERS: Final = Expr("$@network.parameters()")
CONF: Final = object()
"""What ``@conf`` becomes: the configuration itself, which is not a state to save."""
_PATHS: Final = frozenset({"save_dir", "log_dir", "output_dir", "cache_dir", "load_path"})


class Values:
    """Converts the arguments of the components of one section of one file."""

    def __init__(self, variables: Variables, log: Log, section: str) -> None:
        self.variables, self.log, self.section = variables, log, section

    def arguments(self, node: Node | None) -> dict[str, Any]:
        """Return the arguments of a component; code is read and not yet written."""
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.log.add("CT403", node.where, "the args are not an object")
            return {}
        comments = [key for key, _ in node.items() if key.startswith("_")]
        for key in comments:
            self.log.add("CT311", node.value[key].where, f'"{key}" is a comment')
        return {key: self._argument(key, child) for key, child in node.items() if key not in comments}

    def _argument(self, key: str, node: Node) -> Any:
        if key in ("device", "sw_device", "map_location") and isinstance(node.value, str):
            name = self.variables.resolve(node)
            return Expr("@device") if str(name).startswith("cuda") else name
        if key in _PATHS and isinstance(node.value, str):
            return self._path(node)
        return self.value(node)

    def value(self, node: Node) -> Any:
        """Return a value."""
        if isinstance(node.value, dict):
            return {key: self.value(child) for key, child in node.value.items()}
        if isinstance(node.value, list):
            return [self.value(child) for child in node.value]
        if not isinstance(node.value, str):
            return node.value
        return self._text(node.value, node)

    def _text(self, text: str, node: Node) -> Any:
        if text.startswith("@"):
            return self.reference(text[1:], node.where)
        if is_code(text):
            return self._code(text, node)
        name = text[1:-1] if text.startswith("{") and text.endswith("}") else ""
        if name in TARGETS and name in self.variables.values:
            self.variables.read.add(name)
            return Expr(f"@{TARGETS[name]}")
        if name in FOLDERS and name in self.variables.values:
            self.variables.read.add(name)
            return Expr(FOLDERS[name])
        return self.variables.resolve(node)

    def _code(self, text: str, node: Node) -> Any:
        for name in self.variables.values:
            if f"{{{name}}}" in text:
                text = text.replace(f"{{{name}}}", str(self.variables.lookup(name, node.where)))
        found = read(text)
        return PARAMETERS if found.shape is CodeForm.PARAMETERS else found

    def reference(self, name: str, where: Where) -> Any:
        """Return the bundle's name of an object of the section, or of another section if Clara shared it."""
        if name == "conf":
            return CONF
        if name in _SHARED:
            return Expr(_SHARED[name])
        if name in _OWN:
            return Expr(f"@{self.section}#{_OWN[name]}")
        self.log.add("CT320", where, f'there is no "@{name}" in a configuration of Clara Train 4')
        return None

    def _path(self, node: Node) -> Any:
        """Return a folder to write to: the bundle's own in place of the MMAR's."""
        text = str(node.value)
        for name, reference in FOLDERS.items():
            if name not in self.variables.values or not text.startswith(f"{{{name}}}"):
                continue
            self.variables.read.add(name)
            rest = self.variables.substitute(text.removeprefix(f"{{{name}}}"), node.where)
            if not rest:
                return Expr(reference)
            return self._inside(reference, str(rest), node.where)
        found = str(self.variables.resolve(node))
        folders = {str(self.variables.values.get(name, "")): reference for name, reference in FOLDERS.items()}
        if found and found in folders:
            return Expr(folders[found])
        if PurePosixPath(found).is_absolute() and not leaves(found):
            return found
        return self._inside("@bundle_root", f"/{found}", node.where)

    def _inside(self, folder: str, rest: str, where: Where) -> Expr:
        if leaves(rest):
            self.log.add("CT603", where, "the path leaves its folder; the bundle writes to its own output folder")
            return Expr("@output_dir")
        return Expr(f"${folder} + {literal(rest)}")


def leaves(path: str) -> bool:
    """Tell whether a path climbs out of its folder."""
    return ".." in PurePosixPath(path.replace("\\", "/")).parts


def holds_configuration(value: Any) -> bool:
    """Tell whether a value is or contains the configuration itself."""
    if isinstance(value, Mapping):
        return any(holds_configuration(child) for child in value.values())
    return any(map(holds_configuration, value)) if isinstance(value, list) else value is CONF


def codes_in(value: Any) -> list[CodeText]:
    """Return the code that is left anywhere in a value."""
    if isinstance(value, CodeText):
        return [value]
    children: Iterable[Any] = ()
    if isinstance(value, Mapping):
        children = value.values()
    elif isinstance(value, list):
        children = value
    return [code for child in children for code in codes_in(child)]
