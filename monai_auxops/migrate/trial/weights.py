"""A process that may load weights: tells what a checkpoint holds, and whether it fits a bundle's network.

Checkpoints are loaded with ``weights_only=True``, so that no pickled code runs.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def load(path: Path) -> str:
    """Load a file and describe what it holds."""
    import torch

    if path.suffix == ".ts":
        torch.jit.load(str(path), map_location="cpu")
        return "TorchScript"
    found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, Mapping):
        raise ValueError(f"a checkpoint must be a dictionary, got a {type(found).__name__}")
    parts = [str(key) for key, value in found.items() if isinstance(value, Mapping)]
    return f"a checkpoint of {', '.join(parts)}" if parts else f"{len(found)} tensors"


def conf(path: Path) -> Any:
    """Return the training configuration that Clara saved with the weights, or None."""
    import torch

    found = torch.load(path, map_location="cpu", weights_only=True)
    return found.get("train_conf") if isinstance(found, Mapping) else None


def fit(bundle: Path, read: str = "") -> list[str]:
    """Load every checkpoint of a bundle strictly into its network; return a sentence for each.

    ``read`` is the one that the bundle reads, by default each: if it does not fit, ``ValueError``.
    """
    from monai.bundle import ConfigParser

    path = next(name for name in ("train.json", "evaluate.json") if (bundle / "configs" / name).is_file())
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / path))
    sys.path.insert(0, str(bundle))
    network = parser.get_parsed_content("network_def") if parser.get("network_def") is not None else None
    files = sorted((bundle / "models").glob("*"))
    found = [file for file in files if file.suffix in (".pt", ".pth", ".ts")]
    return [_fit_or_say(file, network, required=read in ("", file.name)) for file in found]


def _fit_or_say(path: Path, network: Any, required: bool) -> str:
    try:
        return _load_strictly(path, network)
    except ValueError as error:
        if required:
            raise
        return f"{error}, which no configuration reads"


def _load_strictly(path: Path, network: Any) -> str:
    import torch

    if path.suffix == ".ts" or network is None:
        return f"{path.name}: {load(path)}"
    found = torch.load(path, map_location="cpu", weights_only=True)
    state = found.get("model", found)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        why = _other_names(state, set(network.state_dict())) or " ".join(str(error).split())[:300]
        raise ValueError(f"{path.name} does not fit the network: {why}") from None
    return f"{path.name}: {len(state)} tensors fit the network"


def _other_names(state: Mapping[str, Any], wanted: set[str]) -> str:
    """Return a sentence about a checkpoint that has the right tensors in another place, or nothing."""
    for key, value in state.items():
        if isinstance(value, Mapping) and wanted <= set(value):
            return f'its tensors are under "{key}", and a bundle reads them under "model" or at the top'
    for name in state:
        prefix, dot, rest = name.partition(".")
        if dot and rest in wanted and {f"{prefix}.{item}" for item in wanted} <= set(state):
            return f'its names begin with "{prefix}.", which the names of the network do not'
    return ""


def main(arguments: list[str]) -> int:
    """Print the answer as one JSON line."""
    warnings.simplefilter("ignore")
    action, path = arguments[0], Path(arguments[1])
    try:
        if action == "conf":
            answer: dict[str, Any] = {"conf": conf(path)}
        elif action == "fit":
            answer = {"said": "; ".join(fit(path, *arguments[2:]))}
        else:
            answer = {"said": load(path)}
        text = json.dumps(answer)
    except Exception as error:
        text = json.dumps({"error": _reason(error)})
    print(text)
    return 0


def _reason(error: Exception) -> str:
    """Return a short reason; torch's own message explains at length how to load unsafe files."""
    text = " ".join(str(error).split())
    if "weights_only" in text or "WeightsUnpickler" in text or "Unsupported" in text:
        return "it holds more than weights, and reading it would run code"
    return f"{type(error).__name__}: {text[:300]}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
