"""The process of ``attach --check``: runs a bundle for one epoch and prints weights and metrics as one JSON line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Final

from monai_auxops.attach.config import BundleConfig
from monai_auxops.attach.problem import first_line

_WINDOWS: Final = ("roi_size",)


def run(spec: dict[str, Any]) -> dict[str, Any]:
    """Run the bundle that ``spec`` describes and return the results."""
    from monai.utils import set_determinism

    sys.path.insert(0, spec["bundle"])
    os.chdir(spec["bundle"])
    set_determinism(0)
    config = BundleConfig([Path(name) for name in spec["files"]], spec["settings"])
    parser = config.parser
    if spec["metadata"]:
        parser.read_meta(spec["metadata"])
        parser.parse(True)
    shorten_run(config, spec)
    if config.at("initialize") is not None:
        config.value("initialize")
    engines = {item["id"]: config.value(item["id"]) for item in spec["engines"]}
    labels = watch_labels(engines)
    if spec["run_id"]:
        config.value(spec["run_id"])
    for engine in engines.values():
        if engine.state.epoch == 0:  # a validation that nothing starts, or no list that runs anything
            engine.run()
    return {"weights": weights_of(engines.values()), "metrics": metrics_of(engines), "labels": labels}


def shorten_run(config: BundleConfig, spec: dict[str, Any]) -> None:
    """Make the run one epoch long, and generate data if it has none of its own."""
    shape = None
    if spec["synthetic"]:
        shape = _smallest_shape(config, spec)
        _shrink(config.parser.config, min(shape.image[1:]))
    for item in spec["engines"]:
        engine = config.at(item["id"])
        if item["trains"]:
            engine["max_epochs"] = 1
        if shape is not None:
            engine.pop("epoch_length", None)
            slot = "train_data_loader" if item["trains"] else "val_data_loader"
            engine[slot] = _loader_config(config, item, slot, shape, spec)
    _validate_in_first_epoch(config, bool(spec["synthetic"]))
    config.parser.parse(True)


def _smallest_shape(config: BundleConfig, spec: dict[str, Any]) -> Any:
    """Return the shape of generated data: the smallest image that the network accepts."""
    from monai_auxops.attach.synthetic import image_sizes, smallest_shape

    made = spec["synthetic"]
    network = config.value(spec["network"])
    device = next((tensor.device for tensor in network.parameters()), None)
    sizes = image_sizes(made["channels"], made["spatial"])
    return smallest_shape(network, sizes, device, made["index_labels"])


def _loader_config(
    config: BundleConfig, item: dict[str, Any], slot: str, shape: Any, spec: dict[str, Any]
) -> dict[str, Any]:
    """Return the configuration of an engine's loader; data to be inverted must have been transformed."""
    from dataclasses import asdict

    from monai_auxops.attach.synthetic import loader_config

    if not spec["synthetic"]["inverts"]:
        return loader_config(shape, item["trains"])
    loader = config.follow(f"{item['id']}::{slot}")[0]
    dataset = config.follow(f"{loader}::dataset")[0]
    transform = config.follow(f"{dataset}::transform")[0]
    return {
        "_target_": "monai_auxops.attach.synthetic.make_file_loader",
        "shape": asdict(shape),
        "folder": spec["bundle"],
        "transform": f"@{transform}",
    }


def _shrink(value: Any, side: int) -> None:
    """Make sliding windows as small as the generated images."""
    if isinstance(value, dict):
        for key in _WINDOWS:
            if isinstance(value.get(key), list):
                value[key] = [min(one, side) if isinstance(one, int) else one for one in value[key]]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _shrink(child, side)


def _validate_in_first_epoch(config: BundleConfig, synthetic: bool) -> None:
    """Validate in the first epoch, and do not load weights that a synthetic run lacks."""
    for item_id, block in config.components():
        name = config.target(item_id).rpartition(".")[2]
        if name == "ValidationHandler":
            block["interval"] = 1
        if name == "CheckpointLoader" and synthetic:
            block["_disabled_"] = True


def watch_labels(engines: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Inspect the labels that each engine sees, because they explain differences."""
    from monai.engines.utils import IterationEvents

    seen: dict[str, dict[str, Any]] = {name: {"fractions": False} for name in engines}
    for name, engine in engines.items():
        engine.add_event_handler(IterationEvents.FORWARD_COMPLETED, note_fractions, seen[name])
    return seen


def note_fractions(engine: Any, seen: dict[str, Any]) -> None:
    """Record whether labels hold fractions, which MONAI truncates and aux-ops leave out."""
    import torch

    output = engine.state.output
    label = output.get("label") if isinstance(output, dict) else None
    if isinstance(label, torch.Tensor) and label.is_floating_point():
        seen["fractions"] = seen["fractions"] or bool((label != label.round()).any())


def weights_of(engines: Any) -> str:
    """Return the hash of all weights of the engines' networks."""
    digest = hashlib.sha256()
    found = [net for engine in engines for net in getattr(engine, "networks", None) or [engine.network]]
    for network in {id(net): net for net in found}.values():
        for name, tensor in network.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def metrics_of(engines: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every metric: a number as a number, several values as text."""
    return {name: {key: _number(value) for key, value in one.state.metrics.items()} for name, one in engines.items()}


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return repr(value)


def main(arguments: list[str]) -> int:
    """Print the result as one JSON line; what the bundle prints goes to stderr."""
    warnings.simplefilter("ignore")
    spec = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            result = run(spec)
    except Exception as error:
        result = {"error": first_line(error)}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
