"""Bundles written for an older MONAI: the same tables tell what their classes are today.

A file in which nothing changed is left byte for byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4 import signatures
from monai_auxops.migrate.clara4.adapt import Adapted, adapt, knows
from monai_auxops.migrate.clara4.signatures import Version, version_of
from monai_auxops.migrate.diagnostics import Log, Outcome, Where
from monai_auxops.migrate.reading.mmar import read_json

if TYPE_CHECKING:
    from monai_auxops.migrate.reading.node import Node

_LIBRARIES: Final = ("monai.", "torch.", "ignite.")
_META: Final = "_meta_dict"
_PROPERTIES: Final = {"optional_packages_version": "required_packages_version"}


@dataclass(frozen=True, slots=True)
class Renewed:
    """An object of a bundle that is written differently today."""

    where: Where
    name: str
    before: Mapping[str, Any]
    today: Adapted

    @property
    def outcome(self) -> Outcome:
        """How faithful it is."""
        return self.today.outcome


@dataclass(slots=True)
class OldBundle:
    """A bundle of an older MONAI: what changed in which file, and the new text of those files."""

    folder: Path
    version: Version
    log: Log
    changes: dict[str, list[Renewed]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def all_changes(self) -> list[Renewed]:
        """All changes."""
        return [item for items in self.changes.values() for item in items]


def version_in(folder: Path) -> Version:
    """Return the MONAI that a bundle's metadata names, or () if it names none."""
    path = folder / "configs" / "metadata.json"
    node = read_json(path, path.name, Log()) if path.is_file() else None
    found = node.get("monai_version") if node is not None else None
    return version_of(found.value) if found is not None and isinstance(found.value, str) else ()


def is_old(folder: Path) -> bool:
    """Tell whether a folder is a bundle for a MONAI older than today's."""
    version = version_in(folder)
    return bool(version) and version[:2] < signatures.today()[:2]


def read_old_bundle(folder: Path, log: Log) -> OldBundle:
    """Read every configuration; the result has what changed since, and the log has the problems."""
    bundle = OldBundle(folder, version_in(folder), log)
    paths = sorted((folder / "configs").glob("*.json"))
    reads_meta = any(_META in path.read_text(encoding="utf-8", errors="replace") for path in paths)
    for path in paths:
        name = f"configs/{path.name}"
        node = read_json(path, name, log)
        if node is None or path.name == "metadata.json":
            continue
        bundle.changes[name] = []
        plain = _renew(bundle, name, node, reads_meta)
        if bundle.changes[name]:
            bundle.texts[name] = json.dumps(plain, indent=4, ensure_ascii=False) + "\n"
    for path in sorted((folder / "configs").glob("*.y*ml")):
        log.add("CT106", Where(f"configs/{path.name}"), "a YAML file, which is not read: convert it to JSON first")
    _metadata(bundle)
    return bundle


def _metadata(bundle: OldBundle) -> None:
    """Update the MONAI version in the metadata if anything else changed."""
    path = bundle.folder / "configs" / "metadata.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    if not bundle.texts or not isinstance(found, dict):
        return
    found["monai_version"] = ".".join(map(str, signatures.today()))
    renamed = {_PROPERTIES.get(key, key): value for key, value in found.items()}
    bundle.texts["configs/metadata.json"] = json.dumps(renamed, indent=4, ensure_ascii=False) + "\n"


def _renew(bundle: OldBundle, file: str, node: Node, reads_meta: bool) -> Any:
    """Return a value with every object in it in today's form."""
    if isinstance(node.value, list):
        return [_renew(bundle, file, child, reads_meta) for child in node.value]
    if not isinstance(node.value, dict):
        return node.value
    plain = {key: _renew(bundle, file, child, reads_meta) for key, child in node.items()}
    target = plain.get("_target_")
    if not isinstance(target, str) or not _is_known(target):
        return plain
    args = {key: value for key, value in plain.items() if not key.startswith("_")}
    today = _today(target.rpartition(".")[2], args, bundle.version, reads_meta)
    return _rewrite_if_changed(bundle, file, node, plain, args, today)


def _is_known(target: str) -> bool:
    named = "." not in target or target.startswith(_LIBRARIES)
    return named and knows(target.rpartition(".")[2])


def _today(name: str, args: dict[str, Any], version: Version, reads_meta: bool) -> Adapted:
    found = adapt(name, args, version, in_bundle=True)
    kept = {key: args[key] for key in found.unknown}
    if reads_meta and name.startswith("LoadImage") and "image_only" not in args and version < (1, 3):
        kept["image_only"] = False
    return Adapted(found.target, {**found.args, **kept}, found.outcome, found.why, found.notes, found.unused, {},
                   found.lost, found.written)  # fmt: skip


def _rewrite_if_changed(
    bundle: OldBundle, file: str, node: Node, plain: dict[str, Any], args: dict[str, Any], today: Adapted
) -> dict[str, Any]:
    """Rewrite an object if its class or its arguments changed."""
    old = str(plain["_target_"])
    if today.manual:
        bundle.log.add("CT701", node.where, f"{old}: {today.why}")
        return plain
    renamed = today.target.rpartition(".")[2] != old.rpartition(".")[2]
    encoded = {key: str(value) if isinstance(value, str) else value for key, value in today.args.items()}
    if not renamed and encoded == args:
        return plain
    for name in today.lost:
        bundle.log.add("CT405", node.where, f'"{name}" of {old} has no counterpart today')
    bundle.changes[file].append(Renewed(node.where, old, args, today))
    special = {key: value for key, value in plain.items() if key.startswith("_") and key != "_target_"}
    return {"_target_": today.target if renamed else old, **encoded, **special}


def report_files(bundle: OldBundle) -> Iterator[dict[str, Any]]:
    """Yield a part of the report for each configuration in which something changed."""
    for name, items in bundle.changes.items():
        if items:
            counts = {outcome.value: sum(item.outcome is outcome for item in items) for outcome in Outcome}
            entries = [_entry(item) for item in items]
            kind = f"a bundle for MONAI {'.'.join(map(str, bundle.version))}"
            yield {"file": name, "kind": kind, "used": True, "components": len(items), "migrated_percent": 100.0,
                   **counts, "settings": [], "entries": entries}  # fmt: skip


def _entry(item: Renewed) -> dict[str, Any]:
    path = item.where.path
    return {
        "path": path,
        "line": item.where.line,
        "column": item.where.column,
        "part": path.partition(".")[0] or "top",
        "section": path.rpartition(".")[2],
        "clara": item.name,
        "outcome": item.outcome.value,
        "reason": item.today.why,
        "notes": list(item.today.notes),
        "why": " ".join([item.today.why, *(f"{note[:1].upper()}{note[1:]}." for note in item.today.notes)]),
        "args": dict(item.before),
        "bundle": [{"target": item.today.target, "args": dict(item.today.args)}],
        "not_needed": dict(item.today.unused),
    }


def write_bundle(bundle: OldBundle, staged: Path) -> None:
    """Copy a bundle into an empty folder, with the changed files rewritten."""
    shutil.copytree(bundle.folder, staged, dirs_exist_ok=True, symlinks=True)
    for name, text in bundle.texts.items():
        (staged / name).write_text(text, encoding="utf-8", newline="\n")
