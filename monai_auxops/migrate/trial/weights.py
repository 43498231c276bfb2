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

from monai_auxops.migrate.trial.checkpoints import (
    SCRIPT,
    check_archive,
    place_of,
    read_checkpoint,
    reason,
    state_of,
    tensors,
)


def load(path: Path) -> str:
    """Load a file and describe what it holds."""
    import torch

    if path.suffix == SCRIPT:
        check_archive(path)
        torch.jit.load(str(path), map_location="cpu")
        return "TorchScript"
    found = read_checkpoint(path)
    _refuse_nan(found)
    parts = [str(key) for key, value in found.items() if isinstance(value, Mapping)]
    return f"a checkpoint of {', '.join(parts)}" if parts else f"{len(found)} tensors"


def _refuse_nan(found: Mapping[Any, Any]) -> None:
    """Refuse weights of a training that diverged, with which every prediction is NaN."""
    for name, value in tensors(found):
        if value.is_floating_point() and value.isnan().any():
            raise ValueError(f"{name} is NaN, so the training had diverged")


def conf(path: Path) -> Any:
    """Return the training configuration that Clara saved with the weights, or None."""
    return read_checkpoint(path).get("train_conf")


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
    if path.suffix == SCRIPT or network is None:
        return f"{path.name}: {load(path)}"
    found = read_checkpoint(path)
    state = state_of(found)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        why = _elsewhere(found, set(network.state_dict())) or " ".join(str(error).split())[:300]
        raise ValueError(f"{path.name} does not fit the network: {why}") from None
    return f"{path.name}: {len(state)} tensors fit the network"


def _elsewhere(found: Mapping[Any, Any], wanted: set[str]) -> str:
    """Return a sentence about a checkpoint that has the right tensors in another place, or nothing."""
    state = state_of(found)
    return place_of(state, wanted) or place_of(found, wanted)


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
        text = json.dumps({"error": reason(error)})
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
