"""``monai-auxops demo``: train a bundle, and show what it learned."""

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
    """The reason why there is no demo, in a sentence."""


def demo(bundle: Path, epochs: int | None = None, output: Path | None = None) -> int:
    """Train ``bundle``, print a line per epoch, and write a picture of the best model's prediction and the report.

    Nothing is written before the configuration is parsed, and existing files are not replaced: a second demo gets its
    own folder.

    Args:
        bundle: the folder of a bundle that trains from ``configs/train.json``.
        epochs: at least 1; default as in the bundle.
        output: an empty or new folder; default ``eval`` in the bundle, or ``eval_2`` and so on.

    Returns:
        0; 2 if the bundle cannot be trained, after printing the reason.
    """
    from monai_auxops.report.command import report

    start = time.monotonic()
    try:
        parser = parse_bundle(bundle, epochs)
        folder = new_folder(bundle, output)
        parser["output_dir"], parser["ckpt_dir"] = str(folder), str(models_of(bundle, folder))
        print(f"Training {bundle.name} on real images in {bundle / 'data'} …", flush=True)
        trainer, evaluator = build_engines(parser, bundle)
    except DemoError as error:
        print(f"monai-auxops demo: {error}", file=sys.stderr)
        return 2
    trainer.run()
    print_result(evaluator, time.monotonic() - start)
    picture = draw_result(evaluator, Path(parser["ckpt_dir"]) / "model.pt", folder / "demo.png")
    print(f"Picture:     {picture}")
    print(f"TensorBoard: {Path(sys.executable).parent / 'tensorboard'} --logdir {folder}")
    report([folder])
    return 0


def parse_bundle(bundle: Path, epochs: int | None) -> Any:
    """Parse the bundle's configuration, with the console handler instead of log lines; build and write nothing."""
    if epochs is not None and epochs < 1:
        raise DemoError(f"expected at least 1 epoch, got {epochs}")
    path = bundle / "configs/train.json"
    if not path.is_file():
        raise DemoError(f"no bundle in {bundle}: run this in a clone of the project, or name the folder")
    require_packages()
    parser = read_configuration(path)
    parser["bundle_root"] = str(bundle)
    if epochs is not None:
        parser["epochs"] = epochs
    for section in ("train", "validate"):
        handlers = parser[f"{section}#handlers"]
        parser[f"{section}#handlers"] = [each for each in handlers if each.get("_target_") != "AuxStatsHandler"]
    parser["train#handlers"].append({"_target_": "AuxConsoleHandler", "evaluator": "@validate#evaluator"})
    return parser


def require_packages() -> None:
    """Raise a ``DemoError`` for the first package that is not installed."""
    for module, package in NEEDED.items():
        try:
            __import__(module)
        except ImportError:
            raise DemoError(f"the demo needs {package}: pip install {package}") from None


def read_configuration(path: Path) -> Any:
    """Read a training configuration that has handlers, a trainer and an evaluator; silence libraries from here on."""
    warnings.filterwarnings("ignore")  # warnings of libraries
    _ = monai_auxops.ComputeDice  # the first name loads all of them, so that MONAI finds their short names
    import ignite.engine  # noqa: F401  # before the log level is changed, because Ignite sets its own
    from monai.bundle import ConfigParser

    logging.disable(logging.INFO)
    parser = ConfigParser()
    try:
        parser.read_config(str(path))
        for section in ("train", "validate"):
            list(parser[f"{section}#handlers"])  # raises without such a list
        trains = "train#trainer" in parser and "validate#evaluator" in parser
    except Exception as error:  # the parser's errors have no common type
        raise DemoError(f"cannot read {path} as a training configuration ({error})") from None
    if not trains:
        raise DemoError(f"{path} has no train#trainer and validate#evaluator to show")
    return parser


def new_folder(bundle: Path, output: Path | None) -> Path:
    """Create the folder of the run; a given one must be empty, and by default a free name is used."""
    try:
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            if any(output.iterdir()):
                raise DemoError(f"{output} is not empty; choose a new folder")
            return output
        for number in range(1, 1000):
            folder = bundle / ("eval" if number == 1 else f"eval_{number}")
            if not folder.exists():
                folder.mkdir()  # fails if another process has just created it
                return folder
    except FileExistsError:
        return new_folder(bundle, output)
    except OSError as error:
        raise DemoError(f"cannot write {error.filename} ({error.strerror}); choose a folder with -o") from None
    raise DemoError(f"{bundle} has too many runs; choose a folder with -o")


def models_of(bundle: Path, folder: Path) -> Path:
    """Return the folder of the checkpoint: ``models`` of the bundle, or of the run if that is taken."""
    taken = (bundle / "models").exists() or folder != bundle / "eval"
    return folder / "models" if taken else bundle / "models"


def build_engines(parser: Any, bundle: Path) -> tuple[Any, Any]:
    """Build trainer and evaluator; the bundle's own scripts are importable."""
    sys.path.insert(0, str(bundle.resolve()))
    try:
        trainer, evaluator = (parser.get_parsed_content(key) for key in ("train#trainer", "validate#evaluator"))
        parser.get_parsed_content("initialize")
    except Exception as error:  # a configuration may raise anything
        cause = error
        while cause.__cause__ is not None:
            cause = cause.__cause__  # type: ignore[assignment]
        raise DemoError(f"cannot build {bundle.name}: {type(cause).__name__}: {cause}") from None
    return trainer, evaluator


def print_result(evaluator: Any, seconds: float) -> None:
    """Print the best epoch."""
    state = evaluator.state
    print(
        f"\nBest {state.key_metric_name} {state.best_metric:.4f} in epoch {state.best_metric_epoch}, "
        f"on held-out data; {seconds:.0f} s in total."
    )


def draw_result(evaluator: Any, checkpoint: Path, path: Path) -> str:
    """Draw the best model's result on the first validation case: image, label, prediction, errors.

    Returns:
        The path of the picture, or the reason why there is none.
    """
    import numpy as np
    import torch

    from monai_auxops.drawing.errors import paint_errors
    from monai_auxops.drawing.paint import paint
    from monai_auxops.handlers.class_maps import class_maps
    from monai_auxops.handlers.class_rule import class_rule_of
    from monai_auxops.handlers.slices import panels, size_of_panel
    from monai_auxops.handlers.tensors import arrange_tensors
    from monai_auxops.handlers.worst_cases import image_of

    inputs, label, predictions = predict_first_batch(evaluator, checkpoint)
    reading = class_rule_of(evaluator)
    try:
        seen = {"pred": torch.as_tensor(predictions), "label": torch.as_tensor(label), "batch": None}
        predicted, truth = class_maps(*arrange_tensors(seen, reading), reading)
        image = image_of(inputs, truth.dim(), reading.channels_last)
        three = panels(image[:1].cpu(), truth[:1].cpu(), predicted[:1].cpu(), size=384)[0][0]
    except ValueError as error:
        return f"none ({error})"
    height, width = size_of_panel(image.shape[1:], 384)
    cut = np.asarray(three[:, :height, :width])
    save_figure([*np.split(paint(cut), 3, axis=1), paint_errors(cut)], path)
    return str(path)


def predict_first_batch(evaluator: Any, checkpoint: Path) -> tuple[Any, Any, Any]:
    """Return images and labels of the first batch, and their predictions with the checkpoint's weights."""
    import torch

    network, batch = evaluator.network.eval(), next(iter(evaluator.data_loader))
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True, map_location=evaluator.state.device)
        network.load_state_dict(saved.get("model", saved))
    inputs, label = evaluator.prepare_batch(batch, evaluator.state.device, False)[:2]
    with torch.no_grad():
        return inputs, label, evaluator.inferer(inputs, network)


def save_figure(panels: list[Any], path: Path) -> None:
    """Draw four pictures side by side with titles and a legend of the error colors."""
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
