"""Write converted weights, and update the configurations of a bundle that define its network."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from monai_auxops.weights.convert import UNKNOWN, Conversion
from monai_auxops.weights.errors import WeightsError

_CONFIGS: Final = ("train.json", "inference.json")
_NEW: Final = "the network's weights are new"
_SECTION: Final = re.compile(r"^## Weights.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_NETWORK: Final = re.compile(r'"network_def"\s*:\s*')


def write_models(conversion: Conversion, folder: Path) -> None:
    """Write ``model.pt``, and ``graph.json`` if the network is the graph; write both or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".weights-", dir=folder))
    try:
        torch.save({name: value.contiguous() for name, value in conversion.state.items()}, staged / "model.pt")
        if conversion.graph is not None:
            (staged / "graph.json").write_text(json.dumps(conversion.graph), encoding="utf-8")
        for path in staged.iterdir():
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def network_of(bundle: Path) -> dict[str, Any]:
    """Return the definition of the bundle's network."""
    return _network(_config(bundle, "train.json"), "train.json")


def activation_of(bundle: Path) -> str | None:
    """Return the activation that the bundle applies first to its network's output, or None."""
    path = bundle / "configs" / "inference.json"
    if not path.is_file():
        return UNKNOWN
    post = _parse(path.read_text(encoding="utf-8"), path.name).get("postprocessing")
    transforms = post.get("transforms", []) if isinstance(post, dict) else []
    for block in transforms if isinstance(transforms, list) else []:
        if isinstance(block, dict) and str(block.get("_target_", "")).endswith("Activationsd"):
            return next((name for name in ("sigmoid", "softmax") if block.get(name)), None)
    return None


def write_bundle(conversion: Conversion, bundle: Path) -> None:
    """Write the weights into a bundle and point its configurations at the network that computes the same.

    Only ``network_def`` changes in the text of the configurations.
    """
    texts = {name: _with_network(bundle, name, conversion) for name in _CONFIGS if _path(bundle, name).is_file()}
    write_models(conversion, bundle / "models")
    for name, text in texts.items():
        _path(bundle, name).write_text(text, encoding="utf-8", newline="\n")
    readme = bundle / "docs" / "README.md"
    if readme.is_file():
        section = f"## Weights\n\n`models/model.pt` has Clara's {conversion.sentence}.\n"
        text = readme.read_text(encoding="utf-8").replace(_NEW, _NEW.replace("new", "Clara's"))
        text = _SECTION.sub(lambda _: section, text) if _SECTION.search(text) else f"{text.rstrip()}\n\n{section}"
        readme.write_text(text, encoding="utf-8", newline="\n")


def _path(bundle: Path, name: str) -> Path:
    return bundle / "configs" / name


def _config(bundle: Path, name: str) -> str:
    path = _path(bundle, name)
    if not path.is_file():
        raise WeightsError(f"{bundle} has no configs/{name}: name a bundle that `monai-auxops migrate -o` wrote")
    return path.read_text(encoding="utf-8")


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise WeightsError(f"configs/{name} is not valid JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def _network(text: str, name: str) -> dict[str, Any]:
    found = _parse(text, name).get("network_def")
    if not isinstance(found, dict):
        raise WeightsError(f"configs/{name} has no network_def, so the network of the weights is unknown")
    return found


def _with_network(bundle: Path, name: str, conversion: Conversion) -> str:
    """Return a configuration's text with another ``network_def``."""
    text = _config(bundle, name)
    old = _network(text, name)
    for match in _NETWORK.finditer(text):
        value, end = json.JSONDecoder().raw_decode(text, match.end())
        if value == old:
            return text[: match.end()] + block_text(conversion.network_def) + text[end:]
    raise WeightsError(f"configs/{name}: network_def was not found in its text")


def block_text(block: Mapping[str, Any]) -> str:
    """Return a block of a configuration as JSON, one argument a line."""
    rows = [f"        {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in block.items()]
    return "{\n" + ",\n".join(rows) + "\n    }"
