"""The command ``monai-auxops``. Migration reports load neither torch nor MONAI."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Final

from monai_auxops.arguments import parser
from monai_auxops.migrate import options
from monai_auxops.migrate.diagnostics import did_you_mean

_COMMANDS: Final = ("migrate", "attach", "weights", "components", "explain", "demo", "report", "evaluate")


def _hint_for(word: str) -> str:
    """Return a hint if the first word is nearly a command or an option."""
    known = (*_COMMANDS, "--version", "--help", "-h")
    return "" if word in known else did_you_mean(word, known)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # a console that lacks a letter shows its number
    given = list(sys.argv[1:] if arguments is None else arguments)
    hint = _hint_for(given[0]) if given else ""
    if hint:
        sys.stderr.write(f"monai-auxops: unknown command {given[0]!r}; {hint}\n")
        return 2
    args = parser().parse_args(given or ["--help"])
    try:
        run = {"migrate": migrate, "attach": attach, "components": components, "explain": explain, "demo": demo}
        run |= {"report": report, "evaluate": evaluate, "weights": weights}
        return run[args.command](args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def migrate(args: argparse.Namespace) -> int:
    """Report on an MMAR, and write the bundle if -o asks for one."""
    from monai_auxops.migrate.command import run

    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    text, code = run(options.from_arguments(args, shutil.get_terminal_size((80, 24)).columns, color))
    sys.stdout.write(text)
    return code


def attach(args: argparse.Namespace) -> int:
    """Write aux-ops as overrides of a bundle's configurations."""
    from monai_auxops.attach.command import AttachError, AttachOptions, attach, settings_of
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
        options = AttachOptions(
            args.bundle, args.ops, answers, args.config, args.force, args.report, args.check, settings
        )
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
    """Print what is known about a name: in this package, then in Clara Train or an older MONAI."""
    from monai_auxops.describe import describe, names
    from monai_auxops.migrate import components

    texts = [text for text in (describe(args.name), components.explain(args.name)) if text is not None]
    if not texts:
        hint = did_you_mean(args.name, names()) or components.suggestion(args.name)
        hint = hint or "`monai-auxops components` lists all names."
        sys.stderr.write(f"monai-auxops explain: nothing is known about {args.name!r}; {hint}\n")
        return 2
    sys.stdout.write("".join(texts))
    return 0


def demo(args: argparse.Namespace) -> int:
    """Train a bundle and show its curves on the console."""
    from monai_auxops.demo import demo

    return demo(args.bundle, args.epochs, args.output)


def report(args: argparse.Namespace) -> int:
    """Write the page of one run, or of several runs compared."""
    from monai_auxops.report.command import report

    return report(args.runs, args.output, args.metric, args.worst, args.lower, args.watch)


def evaluate(args: argparse.Namespace) -> int:
    """Measure predictions on disk."""
    from monai_auxops.evaluation.command import evaluate
    from monai_auxops.evaluation.options import EvaluateOptions

    options = EvaluateOptions(
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
    """Add an MMAR's weights to a bundle."""
    from monai_auxops.weights import WeightsError
    from monai_auxops.weights.command import weights

    try:
        sys.stdout.write(weights(args.mmar, args.bundle, args.verify, args.graph))
    except WeightsError as error:
        sys.stderr.write(f"monai-auxops weights: {error}\n")
        return 1
    return 0
