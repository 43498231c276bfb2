"""``monai-auxops demo``: train a bundle before one's eyes, and show what it learned."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import monai_auxops

NEEDED = {"monai": "monai", "ignite": "pytorch-ignite", "tensorboard": "tensorboard", "matplotlib": "matplotlib"}


class DemoError(Exception):
    """Why there is no demo, in a sentence."""


def demo(bundle: Path, epochs: int | None = None, output: Path | None = None) -> int:
    """Train ``bundle``, print a line per epoch, and write a picture of the best model's work and the report page.

    Nothing is written before the configuration is parsed, and nothing that is there is replaced: a second demo gets a
    folder of its own.

    Args:
        bundle: the folder of a bundle that trains from ``configs/train.json``.
        epochs: at least 1; default what the bundle says.
        output: a folder that is empty or not there yet; default ``eval`` in the bundle, or ``eval_2`` and so on.

    Returns:
        0; 2 if the bundle cannot be trained, with a sentence that says why.
    """
    from monai_auxops.report.command import report

    start = time.monotonic()
    try:
        parser = parsed(bundle, epochs)
        folder = new_folder(bundle, output)
        parser["output_dir"], parser["ckpt_dir"] = str(folder), str(models_of(bundle, folder))
        print(f"Training {bundle.name} on real images in {bundle / 'data'} …", flush=True)
        trainer, evaluator = engines(parser, bundle)
    except DemoError as error:
        print(f"monai-auxops demo: {error}", file=sys.stderr)
        return 2
    trainer.run()
    say_result(evaluator, time.monotonic() - start)
    picture = draw(evaluator, Path(parser["ckpt_dir"]) / "model.pt", folder / "demo.png")
    print(f"Picture:     {picture}")
    print(f"TensorBoard: {Path(sys.executable).parent / 'tensorboard'} --logdir {folder}")
    report([folder])
    return 0


def parsed(bundle: Path, epochs: int | None) -> Any:
    """The bundle's configuration, with the console handler in place of the log lines; nothing is built or written."""
    if epochs is not None and epochs < 1:
        raise DemoError(f"expected at least 1 epoch, got {epochs}")
    path = bundle / "configs/train.json"
    if not path.is_file():
        raise DemoError(f"no bundle in {bundle}: run this in a clone of the project, or give the folder")
    for module, package in NEEDED.items():
        try:
            __import__(module)
        except ImportError:
            raise DemoError(f"it needs {package}: pip install {package}") from None
    warnings.filterwarnings("ignore")  # of libraries; our own errors are errors
    _ = monai_auxops.ComputeDice  # the first name loads all, so that MONAI finds them by their short names
    import ignite.engine  # noqa: F401  # before logging is turned down: it sets its own level
    from monai.bundle import ConfigParser

    logging.disable(logging.INFO)
    parser = ConfigParser()
    try:
        parser.read_config(str(path))
        handlers = {section: list(parser[f"{section}#handlers"]) for section in ("train", "validate")}
        trains = "train#trainer" in parser and "validate#evaluator" in parser
    except Exception as error:  # of the parser: of no common type
        raise DemoError(f"{path} cannot be read as a bundle's training ({error})") from None
    if not trains:
        raise DemoError(f"{path} has no train#trainer and validate#evaluator to show")
    parser["bundle_root"] = str(bundle)
    if epochs is not None:
        parser["epochs"] = epochs
    for section, configured in handlers.items():
        parser[f"{section}#handlers"] = [each for each in configured if each.get("_target_") != "AuxStatsHandler"]
    parser["train#handlers"].append({"_target_": "AuxConsoleHandler", "evaluator": "@validate#evaluator"})
    return parser


def new_folder(bundle: Path, output: Path | None) -> Path:
    """Make the folder of the run; one that holds something is refused, or passed over where none was asked for."""
    try:
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            if any(output.iterdir()):
                raise DemoError(f"{output} is not empty; give a new folder")
            return output
        for number in range(1, 1000):
            folder = bundle / ("eval" if number == 1 else f"eval_{number}")
            if not folder.exists():
                folder.mkdir()  # fails if another process made it just now
                return folder
    except FileExistsError:
        return new_folder(bundle, output)
    except OSError as error:
        raise DemoError(f"{error.filename} cannot be written ({error.strerror}); give a folder with -o") from None
    raise DemoError(f"{bundle} has too many runs; give a folder with -o")


def models_of(bundle: Path, folder: Path) -> Path:
    """Where the checkpoint goes: ``models`` of the bundle, or of the run if that is taken."""
    taken = (bundle / "models").exists() or folder != bundle / "eval"
    return folder / "models" if taken else bundle / "models"


def engines(parser: Any, bundle: Path) -> tuple[Any, Any]:
    """Build trainer and evaluator; the bundle's own scripts are found beside its configuration."""
    sys.path.insert(0, str(bundle.resolve()))
    try:
        trainer, evaluator = (parser.get_parsed_content(key) for key in ("train#trainer", "validate#evaluator"))
        parser.get_parsed_content("initialize")
    except Exception as error:  # whatever a configuration may raise
        cause = error
        while cause.__cause__ is not None:
            cause = cause.__cause__  # type: ignore[assignment]
        raise DemoError(f"{bundle.name} cannot be built: {type(cause).__name__}: {cause}") from None
    return trainer, evaluator


def say_result(evaluator: Any, seconds: float) -> None:
    """The best epoch in a sentence."""
    state = evaluator.state
    print(
        f"\nBest {state.key_metric_name} {state.best_metric:.4f} in epoch {state.best_metric_epoch}, "
        f"on held-out data; {seconds:.0f} s in all."
    )


def draw(evaluator: Any, checkpoint: Path, path: Path) -> str:
    """Draw the best model's work on the first validation case: image, label, prediction, errors.

    Returns:
        The picture's path, or why there is none.
    """
    import numpy as np
    import torch

    from monai_auxops.drawing.errors import paint_errors
    from monai_auxops.drawing.paint import paint
    from monai_auxops.handlers.reading import arranged, class_maps, reading_of
    from monai_auxops.handlers.slices import panels, size_of_panel
    from monai_auxops.handlers.worst_cases import image_of

    network, batch = evaluator.network.eval(), next(iter(evaluator.data_loader))
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True, map_location=evaluator.state.device)
        network.load_state_dict(saved.get("model", saved))
    batch = evaluator.prepare_batch(batch, evaluator.state.device, False)
    with torch.no_grad():
        predictions = evaluator.inferer(batch[0], network)
    reading = reading_of(evaluator)
    try:
        seen = {"pred": torch.as_tensor(predictions), "label": torch.as_tensor(batch[1]), "batch": None}
        predicted, truth = class_maps(*arranged(seen, reading), reading)
        image = image_of(batch[0], truth.dim(), reading.channels_last)
        three = panels(image[:1].cpu(), truth[:1].cpu(), predicted[:1].cpu(), size=384)[0][0]
    except ValueError as error:
        return f"none ({error})"
    height, width = size_of_panel(image.shape[1:], 384)
    cut = np.asarray(three[:, :height, :width])
    save_figure([*np.split(paint(cut), 3, axis=1), paint_errors(cut)], path)
    return str(path)


def save_figure(panels: list[Any], path: Path) -> None:
    """Four pictures side by side with their titles, and what the colors of the errors mean."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    from monai_auxops.drawing.errors import CONFUSED, FALSE, MISSED

    height, width = panels[0].shape[:2]
    figure = Figure(figsize=(12, 3 * height / width + 0.7), facecolor="black", layout="constrained")
    for axes, title, pixels in zip(
        figure.subplots(1, 4), ("image", "label", "prediction", "errors"), panels, strict=True
    ):
        axes.imshow(pixels)
        axes.set_title(title, color="white")
        axes.axis("off")
    meanings = (("missed", MISSED), ("false", FALSE), ("wrong class", CONFUSED))
    patches = [Patch(color=color, label=name) for name, color in meanings]
    figure.legend(handles=patches, loc="outside lower right", ncols=3, frameon=False, labelcolor="white")
    figure.savefig(path, dpi=110)
