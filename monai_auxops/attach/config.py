"""A configuration as MONAI's parser sees it: several files merged, macros replaced, references followed."""

from __future__ import annotations

import ast
import importlib
import re
import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from typing import Any, Final

from monai_auxops.attach.folder import load_config
from monai_auxops.attach.problem import AttachError, first_line

_REFERENCE: Final = re.compile(r"\$?\s*@([\w#:.\-]+)\s*")


class BundleConfig:
    """One or more files of a bundle, merged in order.

    Args:
        files: as ``monai.bundle run --config_file`` takes them.
        overrides: by id, applied last.
    """

    def __init__(self, files: Sequence[Path], overrides: dict[str, Any] | None = None) -> None:
        from monai.bundle import ConfigParser

        self.files = tuple(files)
        self.raw = _merge_files(files, overrides or {})
        self.parser = ConfigParser(deepcopy(self.raw))
        try:
            self.parser.parse(True)
        except Exception as error:
            names = " + ".join(path.name for path in files)
            raise AttachError(f"MONAI cannot parse {names}: {first_line(error)}") from error
        self.missing = self._import()

    def _import(self) -> list[str]:
        """Run the import statements and return their errors, which MONAI hides until the module is used."""
        from monai.bundle.config_item import ConfigExpression

        resolver, failed = self.parser.ref_resolver, []
        for item_id, item in resolver.items.items():
            if isinstance(item, ConfigExpression) and item.is_import_statement(item.get_config()):
                try:
                    for module in _imported_modules(item.get_config()):
                        importlib.import_module(module)
                    resolver.resolved_content[item_id] = item.evaluate()
                except Exception as error:
                    resolver.resolved_content[item_id] = None
                    failed.append(first_line(error))
        return failed

    def at(self, item_id: str) -> Any:
        """Return the configuration at an id with macros replaced, or None if there is none."""
        value = self.parser.get()
        for part in item_id.replace("#", "::").split("::"):
            if isinstance(value, list):
                value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return value

    def follow(self, item_id: str) -> tuple[str, Any]:
        """Follow references and return the final id and value; expressions are not run."""
        seen = set()
        value = self.at(item_id)
        while item_id not in seen:
            seen.add(item_id)
            match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if match is None:
                break
            item_id = match[1].replace("#", "::")
            value = self.at(item_id)
        return item_id.replace("#", "::"), value

    def value(self, item_id: str) -> Any:
        """Return the object that MONAI builds for an id; errors propagate."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.parser.get_parsed_content(item_id)

    def try_value(self, item_id: str, default: Any = None) -> Any:
        """Return the same, or ``default`` if it cannot be built here because data or a package is missing."""
        if item_id.replace("#", "::") not in self.parser.ref_resolver.items:
            return default  # MONAI compares a missing id with every other, to suggest one
        try:
            return self.value(item_id)
        except Exception:
            return default

    def references(self, value: Any) -> list[str]:
        """Return the ids that a value refers to, in order."""
        from monai.bundle.reference_resolver import ReferenceResolver

        if isinstance(value, str):
            return [str(name) for name in ReferenceResolver.match_refs_pattern(value)]
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [name for child in children for name in self.references(child)]

    def unresolved(self) -> list[str]:
        """Return the ids that are referred to but do not exist."""
        found: dict[str, None] = {}
        for item in self.parser.ref_resolver.items.values():
            text = item.get_config()
            for name in self.references(text) if isinstance(text, str) else ():
                if name not in self.parser.ref_resolver.items and name not in self.parser:
                    found[name] = None
        return list(found)

    def components(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the id and configuration of everything that has a ``_target_``."""
        for item_id in self.parser.ref_resolver.items:
            config = self.at(item_id)
            if isinstance(config, dict) and "_target_" in config:
                yield item_id, config

    def target(self, item_id: str) -> str:
        """Return the full name of a component's class, as MONAI's locator finds it."""
        name = str(self.follow(f"{item_id}::_target_")[1])
        if name.startswith("$"):
            return name
        module = self.parser.locator.get_component_module_name(name)
        first = module[0] if isinstance(module, list) else module
        return name if first is None else f"{first}.{name}"

    def class_of(self, item_id: str) -> Any:
        """Return a component's class or function.

        Raises:
            ImportError: a module that it needs is missing.
        """
        name = self.target(item_id)
        if name.startswith("$"):
            return self.try_value(f"{item_id}::_target_")
        try:
            return locate(name)
        except ErrorDuringImport as error:
            raise ImportError(f"{name} needs something that is missing: {error.value}") from error


def _imported_modules(statement: str) -> list[str]:
    """Return the modules of an import statement.

    >>> _imported_modules("$from a.b import c as d"), _imported_modules("$import e.f as g")
    (['a.b'], ['e.f'])
    """
    found: list[str] = []
    for node in ast.parse(statement.lstrip("$").strip()).body:
        if isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def _merge_files(files: Sequence[Path], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the files' content merged as MONAI merges them."""
    from monai.bundle import ConfigParser
    from monai.bundle.utils import merge_kv

    parser = ConfigParser({})
    for path in files:
        _merge_one(parser, load_config(path), path.name, merge_kv)
    _merge_one(parser, overrides, "the overrides", merge_kv)
    return dict(parser.get())


def _merge_one(parser: Any, content: dict[str, Any], name: str, merge: Any) -> None:
    for key, value in content.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                merge(parser, key, value)
        except Exception as error:
            raise AttachError(f"MONAI cannot merge {key!r} of {name}: {first_line(error)}") from error
