"""Clara's variables: ``--set``, then environment.json, then the configuration's top level; ``{NAME}`` is filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Log, Where, did_you_mean
from monai_auxops.migrate.encode import is_evaluated

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.node import Node

ENVIRONMENT: Final = frozenset(
    {
        "DATA_ROOT",
        "DATASET_JSON",
        "PROCESSING_TASK",
        "MMAR_ROOT",
        "MMAR_CKPT_DIR",
        "MMAR_CKPT",
        "MMAR_EVAL_OUTPUT_PATH",
        "MMAR_TORCHSCRIPT",
        "PRETRAIN_WEIGHTS_FILE",
        "DATA_LIST_KEY",
        "ROUND_NUM",
    }
)
"""Names that Clara's environment.json or its apps define."""

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_BRACES: Final = re.compile(r"[{}]")
_TRUE: Final = frozenset({"yes", "true", "t", "y"})
_FALSE: Final = frozenset({"no", "false", "f", "n"})
_DEPTH: Final = 5


def parse_value(text: str) -> int | float | bool | str:
    """Type a value of the command line as Clara did: int, float, bool, text.

    Examples:
        >>> [parse_value(text) for text in ("4", "1e-4", "yes", "models")]
        [4, 0.0001, True, 'models']
    """
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    if text.lower() in _TRUE:
        return True
    return False if text.lower() in _FALSE else text


def parse_settings(items: Iterable[str], log: Log) -> dict[str, Any]:
    """Read ``name=value`` items of ``--set``."""
    values: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not name.strip():
            log.add("CT203", Where("--set"), f"{item!r} has no value")
            continue
        values[name.strip()] = parse_value(text.strip().strip('"'))
    return values


@dataclass(slots=True)
class Variables:
    """The values of one configuration, which of them were read, and where those from elsewhere come from."""

    values: dict[str, Any]
    has_environment: bool
    log: Log
    read: set[str] = field(default_factory=set)
    sources: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, node: Node) -> Any:
        """Return a node's value with every placeholder filled in."""
        if isinstance(node.value, dict):
            return {key: self.resolve(child) for key, child in node.value.items()}
        if isinstance(node.value, list):
            return [self.resolve(child) for child in node.value]
        if not isinstance(node.value, str):
            return node.value
        value = self.substitute(node.value, node.where)
        if isinstance(value, str) and is_evaluated(value):
            self.log.add("CT601", node.where, f"{_quoted(value)} would be evaluated by MONAI")
        return value

    def quietly(self, node: Node) -> Any:
        """Return the value of an argument that the bundle does not use; undefined variables are not reported."""
        aside = Log()
        value = replace(self, log=aside).resolve(node)
        for item in aside.items:
            if item.code != "CT114":
                self.log.add(item.code, item.where, item.message, item.hint)
        return value

    def substitute(self, text: str, where: Where, depth: int = 0) -> Any:
        """Fill in the placeholders of a text; a lone placeholder keeps its type."""
        if "{" not in text and "}" not in text:
            return text
        if "${" in text:
            self.log.add("CT202", where, f"{_quoted(text)} has a $ before a placeholder; Clara writes {{NAME}}")
        if _BRACES.search(_PLACEHOLDER.sub("", text)):
            self.log.add("CT202", where, f"{_quoted(text)} has braces that enclose no name")
        whole = _PLACEHOLDER.fullmatch(text)
        if whole:
            return self.lookup(whole.group(1), where, depth)
        return _PLACEHOLDER.sub(lambda match: str(self.lookup(match.group(1), where, depth)), text)

    def lookup(self, name: str, where: Where, depth: int = 0) -> Any:
        """Return a variable's value; the placeholder itself when it has none."""
        self.read.add(name)
        if name not in self.values:
            self.undefined(name, where)
            return f"{{{name}}}"
        value = self.values[name]
        if value == "":
            self.log.add("CT205", where, f"{{{name}}} is set to an empty text")
        if isinstance(value, str) and depth < _DEPTH:
            return self.substitute(value, where, depth + 1)
        return value

    def undefined(self, name: str, where: Where) -> None:
        """Report a placeholder without a value."""
        if name in ENVIRONMENT:
            reason = "environment.json does not define it" if self.has_environment else "there is no environment.json"
            self.log.add("CT114", Where("environment.json"), f"{{{name}}} has no value: {reason}")
            return
        known = [*self.values, *ENVIRONMENT]
        self.log.add("CT201", where, f"{{{name}}} is not defined", did_you_mean(name, known))


def first_level(root: Node | None, lists: bool = False) -> dict[str, Any]:
    """Return the variables that a configuration defines at its top; ``lists`` lets a list of values be one."""
    if root is None:
        return {}
    own = {key: child.plain() for key, child in root.items() if _is_value(child, lists)}
    determinism = root.get("determinism")
    inner = determinism.items() if determinism is not None else iter(())
    return own | {key: child.value for key, child in inner if not isinstance(child.value, dict | list)}


def _is_value(node: Node, lists: bool) -> bool:
    if isinstance(node.value, list):
        return lists and not any(isinstance(child.value, dict | list) for child in node.value)
    return not isinstance(node.value, dict)


def collect(
    given: Mapping[str, Any],
    environment: Node | None,
    root: Node,
    log: Log,
    script: str = "",
    scripted: Mapping[str, Any] | None = None,
    lists: bool = False,
) -> Variables:
    """Join the sources in Clara's order of precedence; a script's ``--set`` gives way to one typed here.

    Paths below MMAR_ROOT are relative to the MMAR.
    """
    layers = [("environment.json", first_level(environment, lists)), (script, scripted or {}), ("--set", given)]
    values = {"MMAR_ROOT": ".", **first_level(root, lists)}
    sources: dict[str, str] = {}
    for source, layer in layers:
        values |= layer
        sources |= dict.fromkeys(layer, source)
    return Variables(values, environment is not None, log, sources=sources)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
