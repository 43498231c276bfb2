"""The command `monai-auxops`: migrate, attach, components, explain. Reports load neither torch nor MONAI."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from monai_auxops import __version__
from monai_auxops.migrate import options
from monai_auxops.migrate.diagnostics import did_you_mean

_DESCRIPTION: Final = """Clara Train's auxiliary operations as metrics for MONAI, and a converter from
Clara Train MMARs to MONAI bundles.
"""
_EPILOG: Final = """first steps:
  monai-auxops demo                          train a small bundle, with pictures
  monai-auxops migrate MMAR                  report, nothing is written
  monai-auxops migrate MMAR -o my_bundle     write the bundle
  monai-auxops attach BUNDLE                 add aux-ops to a MONAI bundle
  monai-auxops report RUN_DIR                a training as one HTML page
  monai-auxops explain DiceMaskedOutput      what becomes of a component
"""
_MIGRATE: Final = """Reports what becomes of every component of an MMAR, and writes a MONAI bundle with -o.
Nothing of the MMAR is run."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        prog="monai-auxops",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    options.add_arguments(
        commands.add_parser(
            "migrate", help="report on a Clara Train MMAR, or write it as a MONAI bundle", description=_MIGRATE
        )
    )
    _attach(commands.add_parser("attach", help="add aux-ops to a MONAI bundle"))
    table = commands.add_parser("components", help="list what becomes of every Clara component")
    table.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    explain = commands.add_parser("explain", help="explain a Clara component, an aux-op or a diagnostic code")
    explain.add_argument("name", help="for example DiceMaskedOutput or CT503")
    show = commands.add_parser("demo", help="train a bundle of this project before your eyes")
    default = Path("bundles/brain_tissue_segmentation")
    show.add_argument(
        "bundle", type=Path, nargs="?", default=default, help=f"the folder of a bundle (default {default})"
    )
    show.add_argument("--epochs", type=int, help="default: what the bundle says")
    show.add_argument("-o", "--output", type=Path, metavar="DIR", help="a new folder; default eval in the bundle")
    _report(commands.add_parser("report", help="show finished or running trainings as one HTML page"))
    _weights(commands.add_parser("weights", help="bring an MMAR's TensorFlow weights into its migrated bundle"))
    _evaluate(commands.add_parser("evaluate", help="measure the label maps of one folder against those of another"))
    return top


def _attach(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    command.description = "Reads the bundle as MONAI does: its imports run, and the expressions that are asked for."
    add("bundle", type=Path, help="the folder of a MONAI bundle")
    add("--ops", nargs="+", default=[], metavar="OP", help="aux-ops (default: the one that fits the bundle)")
    add("--config", nargs="+", default=[], metavar="FILE", help="the files of one run (default: all that are found)")
    add("--force", action="store_true", help="replace an earlier configs/aux_ops*.json")
    add("--report", action="store_true", help="also exchange console and TensorBoard handlers, and add a report page")
    add(
        "--check",
        nargs="?",
        const="synthetic",
        default="",
        choices=("synthetic", "own"),
        help="run an epoch without and with aux-ops first, and show that nothing else changed; writes only if so",
    )
    add("--set", nargs="+", action="extend", default=[], metavar="ID=VALUE", help="with --check, as dataset_dir=DIR")
    answers = command.add_argument_group("answers", "what a bundle may not say; without them attach derives, or asks")
    add = answers.add_argument
    add("--channels", choices=("exclusive", "independent"), help="whether classes exclude each other")
    add("--activation", choices=("sigmoid", "softmax", "none"), help="what the network leaves out")
    add("--threshold", type=float, metavar="T", help="at which an independent channel is positive")
    add("--labels", choices=("index", "onehot"), help="class indices, or a channel for each class")
    add("--background", choices=("include", "skip"), help="whether class 0 counts")
    add("--stage", choices=("raw", "post"), help="measure before or after post-processing")
    add("--output-transform", metavar="KEY", help="the prediction in a network's output of several: a key or an index")
    add("--class-names", nargs="*", metavar="NAME", help="one for each channel; none at all: go without names")


def _report(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN_DIR",
        help="a run, or a parent of several, which are compared",
    )
    add("-o", "--output", type=Path, metavar="FILE", help="default: report.html in the run's folder")
    add("--metric", metavar="NAME", help="decides on the best epoch; default: the run's key metric")
    add("--lower", action="store_true", help="less of --metric is better, as of a loss or a distance")
    add("--watch", type=float, metavar="SECONDS", help="write the page again and again, until the run ends")
    add("--worst", type=int, default=8, metavar="N", help="how many of the worst cases get a picture (default 8)")


def _weights(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    command.description = "The weights are proven equal to Clara's own graph, or refused. No TensorFlow is needed."
    add("mmar", type=Path, metavar="MMAR", help="the MMAR, or its models folder")
    add("bundle", type=Path, metavar="BUNDLE", help="the bundle that migrate wrote")
    verified = "compare both networks on an image, given as the file or as the files of its channels"
    add("--verify", type=Path, nargs="+", default=[], metavar="IMAGE", help=verified)
    add("--graph", action="store_true", help="take Clara's graph itself as the network, operation by operation")


def _evaluate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--pred", type=Path, required=True, metavar="DIR", help="the predictions: NIfTI, NRRD, MHA, PNG or TIFF")
    add("--label", type=Path, required=True, metavar="DIR", help="the labels, with the same names")
    add("-o", "--output", type=Path, required=True, metavar="OUT", help="where the table, the summary and the page go")
    add("--images", type=Path, metavar="DIR", help="the images, for the pictures of the page")
    names = "names of the values 0, 1, 2 ..., or NAME=VALUE, or a metadata.json or dataset.json"
    add("--classes", nargs="+", default=[], metavar="NAMES", help=names)
    add("--regions", nargs="+", default=[], metavar="NAME=VALUES", help="several classes as one, as in WT=1,2,4")
    add("--ignore", nargs="+", type=int, default=[], metavar="VALUE", help="label values that nobody annotated")
    add("--background", action="store_true", help="measure the value 0 as well")
    add("--surface", action="store_true", help="distances of surfaces: HD95, average, surface Dice (NSD)")
    add("--tolerance", type=float, default=1.0, metavar="MM", help="of the surface Dice (default 1 mm)")
    add("--probabilities", action="store_true", help="the predictions are probabilities, one channel or one per class")
    add("--threshold", type=float, default=0.5, help="of probabilities with one channel (default 0.5)")
    add("--resample", action="store_true", help="bring predictions to the grid of their labels")
    add("--workers", type=int, default=1, metavar="N", help="processes (default 1)")


_COMMANDS: Final = ("migrate", "attach", "components", "explain", "demo", "report", "evaluate")


def _misspelt(word: str) -> str:
    """Return a hint for a first word that is nearly a command or an option."""
    known = (*_COMMANDS, "--version", "--help", "-h")
    return "" if word in known else did_you_mean(word, known)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    hint = _misspelt(given[0]) if given else ""
    if hint:
        sys.stderr.write(f"monai-auxops: there is no {given[0]!r}; {hint}\n")
        return 2
    args = parser().parse_args(given)
    try:
        run = {"migrate": migrate, "attach": attach, "components": components, "explain": explain, "demo": demo}
        run |= {"report": report, "evaluate": evaluate, "weights": weights}
        return run[args.command](args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def migrate(args: argparse.Namespace) -> int:
    """Report on an MMAR, and write the bundle where one is asked for."""
    from monai_auxops.migrate.command import run

    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    text, code = run(options.from_arguments(args, shutil.get_terminal_size((80, 24)).columns, color))
    sys.stdout.write(text)
    return code


def attach(args: argparse.Namespace) -> int:
    """Write aux-ops as overrides of a bundle's configurations."""
    from monai_auxops.attach.command import AttachError, Options, attach, settings_of
    from monai_auxops.attach.evidence import Answers

    transform = args.output_transform or ""
    answers = Answers(
        activation=args.activation,
        threshold=args.threshold,
        channels=args.channels,
        labels=args.labels,
        background=args.background,
        stage=args.stage,
        output_transform=int(transform) if transform.lstrip("-").isdigit() else transform or None,
        class_names=None if args.class_names is None else tuple(args.class_names),
    )
    try:
        settings = settings_of(args.set)
        options = Options(args.bundle, args.ops, answers, args.config, args.force, args.report, args.check, settings)
        text, good = attach(options)
    except AttachError as error:
        sys.stderr.write(f"monai-auxops attach: {error}\n")
        return 2
    sys.stdout.write(text)
    return 0 if good else 1


def components(args: argparse.Namespace) -> int:
    """Print the compatibility table."""
    from monai_auxops.migrate import components

    sys.stdout.write(components.components(args.format))
    return 0


def explain(args: argparse.Namespace) -> int:
    """Print what is known of a name."""
    from monai_auxops.migrate import components

    text = components.explain(args.name)
    if text is None:
        from monai_auxops.describe import describe

        text = describe(args.name)
    if text is None:
        hint = components.suggestion(args.name) or "`monai-auxops components` lists all names."
        sys.stderr.write(f"monai-auxops explain: nothing is known of {args.name!r}; {hint}\n")
        return 2
    sys.stdout.write(text)
    return 0


def demo(args: argparse.Namespace) -> int:
    """Train a bundle on the console."""
    from monai_auxops.demo import demo

    return demo(args.bundle, args.epochs, args.output)


def report(args: argparse.Namespace) -> int:
    """Write the page of one run, or of several compared."""
    from monai_auxops.report.command import report

    return report(args.runs, args.output, args.metric, args.worst, args.lower, args.watch)


def evaluate(args: argparse.Namespace) -> int:
    """Measure predictions on disk."""
    from monai_auxops.evaluation.command import evaluate
    from monai_auxops.evaluation.options import Options

    options = Options(
        predictions=args.pred,
        labels=args.label,
        output=args.output,
        classes=args.classes,
        regions=args.regions,
        ignored=args.ignore,
        background=args.background,
        surface=args.surface,
        tolerance=args.tolerance,
        probabilities=args.probabilities,
        threshold=args.threshold,
        resample=args.resample,
        workers=args.workers,
        images=args.images,
    )
    return evaluate(options)


def weights(args: argparse.Namespace) -> int:
    """Bring weights into a bundle."""
    from monai_auxops.weights import WeightsError
    from monai_auxops.weights.command import weights

    try:
        sys.stdout.write(weights(args.mmar, args.bundle, args.verify, args.graph))
    except WeightsError as error:
        sys.stderr.write(f"monai-auxops weights: {error}\n")
        return 1
    return 0
