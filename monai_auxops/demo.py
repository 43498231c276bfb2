"""``monai-auxops demo``: train a bundle before one's eyes, and show what it learned."""

from __future__ import annotations

import logging
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

COLOURS = ["black", "#4c9be8", "#f5f5f5"]  # background, grey, white matter


def demo(bundle: Path, epochs: int | None = None) -> int:
    """Train ``bundle`` (a segmentation), print a line per epoch, and write a picture of the best model's work.

    Returns:
        0; 2 if the bundle is not there.
    """
    if not (bundle / "configs/train.json").is_file():
        print(f"no bundle in {bundle}: run this in a clone of the project, or give the folder", file=sys.stderr)
        return 2
    print(f"Training {bundle.name} on real images in {bundle / 'data'} …", flush=True)
    start, parser = time.monotonic(), prepared(bundle, epochs)
    trainer, evaluator = (parser.get_parsed_content(key) for key in ("train#trainer", "validate#evaluator"))
    parser.get_parsed_content("initialize")
    trainer.run()
    say_result(evaluator, time.monotonic() - start)
    picture = draw(parser, evaluator, bundle / "eval/demo.png")
    print(f"Picture:     {picture}")
    print(f"TensorBoard: {Path(sys.executable).parent / 'tensorboard'} --logdir {bundle / 'eval'}")
    print(f"Report:      {Path(sys.executable).parent / 'monai-auxops'} report {bundle / 'eval'}")
    return 0


def prepared(bundle: Path, epochs: int | None) -> Any:
    """The bundle's parsed configuration, with the console handler in place of the log lines."""
    warnings.filterwarnings("ignore")  # of libraries; our own errors are errors
    import ignite.engine  # noqa: F401  # before logging is turned down: it sets its own level
    from monai.bundle import ConfigParser

    logging.disable(logging.INFO)
    shutil.rmtree(bundle / "eval", ignore_errors=True)
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs/train.json"))
    parser["bundle_root"] = str(bundle)
    if epochs is not None:
        parser["epochs"] = epochs
    for section in ("train", "validate"):
        parser[f"{section}#handlers"] = [h for h in parser[f"{section}#handlers"] if h["_target_"] != "AuxStatsHandler"]
    parser["train#handlers"].append({"_target_": "AuxConsoleHandler", "evaluator": "@validate#evaluator"})
    return parser


def say_result(evaluator: Any, seconds: float) -> None:
    """The best epoch in a sentence."""
    state = evaluator.state
    print(
        f"\nBest {state.key_metric_name} {state.best_metric:.4f} in epoch {state.best_metric_epoch}, "
        f"on held-out tissue; {seconds:.0f} s in all."
    )


def draw(parser: Any, evaluator: Any, path: Path) -> Path:
    """Image, label and prediction of the best model on the first validation case: one middle slice, as PNG."""
    import torch
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    network, case = evaluator.network.eval(), next(iter(evaluator.data_loader))
    best = torch.load(Path(parser.get_parsed_content("ckpt_dir")) / "model.pt", weights_only=True)
    network.load_state_dict(best.get("model", best))
    with torch.no_grad():
        predicted = evaluator.inferer(case["image"].to(evaluator.state.device), network).argmax(1).cpu()
    volumes = {"image": case["image"][0, 0], "label": case["label"][0, 0], "prediction": predicted[0]}
    height, width = volumes["image"].shape[1], volumes["image"].shape[0]
    figure = Figure(figsize=(10, 10 / 3 * height / width + 0.4), facecolor="black", layout="constrained")
    for axes, (title, volume) in zip(figure.subplots(1, 3), volumes.items(), strict=True):
        middle = volume[:, :, volume.shape[2] // 2].numpy().T
        colours = {"cmap": "gray"} if title == "image" else {"cmap": ListedColormap(COLOURS), "vmin": 0, "vmax": 2}
        axes.imshow(middle, origin="lower", interpolation="nearest", **colours)
        axes.set_title(title, color="white")
        axes.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
