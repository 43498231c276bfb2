"""The command line of ``monai-auxops``: subcommands, options and help."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import Any, Final

from monai_auxops import __version__
from monai_auxops.migrate import options

_DESCRIPTION: Final = (
    "See per-class Dice, cases and pictures while a MONAI network trains, and bring NVIDIA Clara Train projects to "
    "MONAI bundles."
)
_FIRST_STEPS: Final = """first steps:
  monai-auxops demo                        train a small bundle, with its curves
  monai-auxops report RUN_DIR              show a training as one HTML page
  monai-auxops evaluate --pred PREDICTIONS --label LABELS -o OUT
                                           measure predictions on disk
  monai-auxops attach BUNDLE               add aux-ops to a MONAI bundle
  monai-auxops migrate MMAR                report only; nothing is written
  monai-auxops migrate MMAR -o my_bundle   write the bundle
  monai-auxops weights MMAR my_bundle      add the MMAR's weights to the bundle
  monai-auxops components                  list all Clara components
  monai-auxops explain DiceMaskedOutput    explain a name or a diagnostic code
"""


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps descriptions, keeps lists of commands as they are, and never breaks a word at its hyphen."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


def _add_command(commands: Any, name: str, title: str, text: str, *examples: str) -> argparse.ArgumentParser:
    """Add a subcommand whose help describes it and shows examples."""
    lines = ["examples:", *(f"  monai-auxops {name} {example}".rstrip() for example in examples)]
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=title, description=text, epilog="\n".join(lines), formatter_class=_HelpFormatter
    )
    return command


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        prog="monai-auxops", description=_DESCRIPTION, epilog=_FIRST_STEPS, formatter_class=_HelpFormatter
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    _add_migrate(commands)
    _add_attach(commands)
    _add_weights(commands)
    _add_components(commands)
    _add_explain(commands)
    _add_demo(commands)
    _add_report(commands)
    _add_evaluate(commands)
    return top


def _add_migrate(commands: Any) -> None:
    command = _add_command(
        commands,
        "migrate",
        "report on a Clara Train MMAR, or write it as a MONAI bundle",
        "Report what becomes of every component of an MMAR, and write a MONAI bundle with -o. "
        "Nothing in the MMAR is executed. A bundle written for an older MONAI is brought up to date in the same way.",
        "MMAR",
        "MMAR -o my_bundle",
        "MMAR -o my_bundle --weights --check",
        "MMAR --set epochs=4 --diff",
    )
    options.add_arguments(command)


def _add_attach(commands: Any) -> None:
    command = _add_command(
        commands,
        "attach",
        "add aux-ops to a MONAI bundle",
        "Write aux-ops as overrides of a bundle's configuration files, which stay as they are. The bundle is read as "
        "MONAI reads it: its imports run, and so do the expressions that are needed.",
        "BUNDLE --check",
        "BUNDLE --ops ComputeDice ComputeAccuracy --report",
        "BUNDLE --check own --set dataset_dir=/data",
    )
    add = command.add_argument
    add("bundle", type=Path, help="the folder of a MONAI bundle")
    add("--ops", nargs="+", default=[], metavar="OP", help="the aux-ops to add (default: the one that fits the bundle)")
    add(
        "--config",
        nargs="+",
        default=[],
        metavar="FILE",
        help="the configuration files of one run (default: all runs of the bundle)",
    )
    add("--force", action="store_true", help="replace the files that an earlier attach wrote")
    add("--report", action="store_true", help="also replace console and TensorBoard handlers, and add a report page")
    add(
        "--check",
        nargs="?",
        const="synthetic",
        default="",
        choices=("synthetic", "own"),
        help="first run one epoch without and one with aux-ops, on synthetic data (default) or your own; "
        "write only if nothing else changed",
    )
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID=VALUE",
        help="override values of the configuration while checking, such as dataset_dir=DIR",
    )
    _add_answers(command)


def _add_answers(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group(
        "answers", "Facts that attach derives from the bundle, or asks for if the bundle does not state them."
    ).add_argument
    add("--channels", choices=("exclusive", "independent"), help="whether classes exclude each other")
    add("--activation", choices=("sigmoid", "softmax", "none"), help="the activation that the network leaves out")
    add("--threshold", type=float, metavar="T", help="the value above which an independent channel is positive")
    add("--labels", choices=("index", "onehot"), help="whether labels hold class indices or a channel for each class")
    add("--background", choices=("include", "skip"), help="whether class 0 counts")
    add("--stage", choices=("raw", "post"), help="measure before or after post-processing")
    add("--output-transform", metavar="KEY", help="the key or index of the prediction if the network returns several")
    add("--class-names", nargs="*", metavar="NAME", help="one name for each channel; give none to omit class names")


def _add_weights(commands: Any) -> None:
    command = _add_command(
        commands,
        "weights",
        "add an MMAR's TensorFlow weights to its migrated bundle",
        "Convert an MMAR's TensorFlow weights for the bundle that migrate wrote. The weights are proven equal to "
        "Clara's own graph, or refused. TensorFlow is not needed.",
        "MMAR my_bundle",
        "MMAR my_bundle --verify image.nii.gz",
        "MMAR my_bundle --graph",
    )
    add = command.add_argument
    add("mmar", type=Path, metavar="MMAR", help="the MMAR, or its models folder")
    add("bundle", type=Path, metavar="BUNDLE", help="the bundle that migrate wrote")
    verified = "compare both networks on an image: one file, or one file for each channel"
    add("--verify", type=Path, nargs="+", default=[], metavar="IMAGE", help=verified)
    add("--graph", action="store_true", help="use Clara's graph itself as the network, operation by operation")


def _add_components(commands: Any) -> None:
    command = _add_command(
        commands,
        "components",
        "list what becomes of every Clara component",
        "List every component of Clara Train with what it becomes in a MONAI bundle, and how faithfully.",
        "",
        "--format markdown",
    )
    forms = ("text", "markdown", "json")
    command.add_argument("--format", choices=forms, default="text", help="the format of the list (default: text)")


def _add_explain(commands: Any) -> None:
    command = _add_command(
        commands,
        "explain",
        "explain an aux-op, an argument, a Clara component or a diagnostic code",
        "Explain what an aux-op or an argument does, what becomes of a Clara component, or what a "
        "diagnostic code means.",
        "DiceMaskedOutput",
        "class_names",
        "CT503",
    )
    command.add_argument("name", help="a name, such as DiceMaskedOutput or CT503")


def _add_demo(commands: Any) -> None:
    command = _add_command(
        commands,
        "demo",
        "train a small bundle and show its curves",
        "Train a small bundle, with its curves on the console and a report page at the end.",
        "",
        "--epochs 5 -o my_run",
    )
    default = Path("bundles/brain_tissue_segmentation")
    bundle = f"the folder of a bundle (default: {default})"
    command.add_argument("bundle", type=Path, nargs="?", default=default, help=bundle)
    command.add_argument("--epochs", type=int, metavar="N", help="the number of epochs (default: the bundle's own)")
    output = "a new folder for the results (default: eval in the bundle)"
    command.add_argument("-o", "--output", type=Path, metavar="DIR", help=output)


def _add_report(commands: Any) -> None:
    command = _add_command(
        commands,
        "report",
        "show finished or running trainings as one HTML page",
        "Write one HTML page that shows a training: its curves, its classes and its worst cases. Several runs are "
        "compared on one page.",
        "my_bundle/eval",
        "run_a run_b -o comparison.html",
        "my_bundle/eval --watch 30",
    )
    add = command.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN_DIR", help="a run, or a folder of several runs to compare")
    add("-o", "--output", type=Path, metavar="FILE", help="the page (default: report.html in the run's folder)")
    add("--metric", metavar="NAME", help="the metric that decides on the best epoch (default: the run's key metric)")
    add("--lower", action="store_true", help="lower values of --metric are better, as for a loss or a distance")
    add("--watch", type=float, metavar="SECONDS", help="update the page every SECONDS until the run ends")
    add("--worst", type=int, default=8, metavar="N", help="how many of the worst cases get a picture (default: 8)")


def _add_evaluate(commands: Any) -> None:
    command = _add_command(
        commands,
        "evaluate",
        "measure the label maps in one folder against those in another",
        "Measure predictions on disk against their labels: a table of cases, a summary and a page.",
        "--pred predictions --label labels -o results",
        "--pred P --label L -o OUT --classes background liver",
    )
    add = command.add_argument
    add("--pred", type=Path, required=True, metavar="DIR", help="the predictions: NIfTI, NRRD, MHA, PNG or TIFF files")
    add("--label", type=Path, required=True, metavar="DIR", help="the labels, in files of the same names")
    add("-o", "--output", type=Path, required=True, metavar="OUT", help="the folder for table, summary and page")
    add("--images", type=Path, metavar="DIR", help="the images, for the pictures on the page")
    names = "names of the values 0, 1, 2 ..., or NAME=VALUE, or a metadata.json or dataset.json"
    add("--classes", nargs="+", default=[], metavar="NAMES", help=names)
    add("--regions", nargs="+", default=[], metavar="NAME=VALUES", help="several classes as one, such as WT=1,2,4")
    add("--ignore", nargs="+", type=int, default=[], metavar="VALUE", help="label values of voxels without annotation")
    add("--background", action="store_true", help="measure the value 0 as well")
    add("--surface", action="store_true", help="measure surface distances: HD95, average and surface Dice (NSD)")
    add("--tolerance", type=float, default=1.0, metavar="MM", help="the tolerance of surface Dice (default: 1 mm)")
    add("--probabilities", action="store_true", help="predictions are probabilities: one channel, or one per class")
    threshold = "the threshold for probabilities with one channel (default: 0.5)"
    add("--threshold", type=float, default=0.5, metavar="T", help=threshold)
    add("--resample", action="store_true", help="resample predictions to the grid of their labels")
    add("--workers", type=int, default=1, metavar="N", help="the number of processes (default: 1)")
