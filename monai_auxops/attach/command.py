"""The command ``monai-auxops attach``: write overrides, and report how each value was derived and how to run them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from monai_auxops.attach.blocks import known_op
from monai_auxops.attach.engines import expression_engines, readable_id
from monai_auxops.attach.evidence import Answers
from monai_auxops.attach.folder import configs_of, inside_bundle, load_config, locate_file
from monai_auxops.attach.plan import Plan, make_plans
from monai_auxops.attach.problem import AttachError
from monai_auxops.attach.report import add_report
from monai_auxops.attach.table import compare, text_table
from monai_auxops.attach.trial import run_both
from monai_auxops.attach.write import text_of, write_plans

_DATA: Final = {"synthetic": "on generated data", "own": "on the bundle's data"}


@dataclass(frozen=True)
class AttachOptions:
    """The options of the command line.

    Args:
        bundle: its folder.
        ops: names of aux-ops, also several separated by commas; if empty, the one that fits the bundle.
        answers: the user's answers to what the bundle does not tell.
        config: the files of one run, instead of all runs found.
        force: replace the files that an earlier attach wrote.
        report: replace console and TensorBoard handlers, and add the handlers of report page and cases.
        check: run one epoch without and one with aux-ops, on ``"synthetic"`` or the user's ``"own"`` data; empty: skip.
        settings: by id, for the runs of ``check``.
    """

    bundle: Path
    ops: Sequence[str] = ()
    answers: Answers = field(default_factory=Answers)
    config: Sequence[str] = ()
    force: bool = False
    report: bool = False
    check: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


def attach(options: AttachOptions) -> tuple[str, bool]:
    """Write the overrides for a bundle; return the report, and whether a check found all equal or explained.

    Raises:
        AttachError: the bundle or the aux-ops cannot be used; nothing is written.
    """
    ops = list(dict.fromkeys(name for op in options.ops for name in op.split(",") if name))
    for name in ops:
        known_op(name)
    bundle = options.bundle
    configs = configs_of(bundle)
    chosen = [locate_file(name, configs, bundle) for name in options.config]
    bundle, configs = bundle.resolve(), configs.resolve()
    with inside_bundle(bundle):
        plans = make_plans(bundle, configs, ops, options.answers, chosen)
        usable = [plan for plan in plans if not plan.refused]
        for plan in usable if options.report else ():
            add_report(plan)
        if not options.check:
            write_plans(configs, usable, options.force)
            return _report_text(plans, configs), True
        return _write_if_proven(bundle, configs, usable, options)


def _write_if_proven(bundle: Path, configs: Path, plans: Sequence[Plan], options: AttachOptions) -> tuple[str, bool]:
    """Run every plan without and with aux-ops, and write what is proven; existing files are checked as they are."""
    there = {plan.run.output for plan in plans if (configs / plan.run.output).exists() and not options.force}
    for plan in plans:
        if plan.run.output in there:
            plan.block = load_config(configs / plan.run.output)
    texts, good = [], True
    for plan in plans:
        rows = compare(plan, *run_both(bundle, configs, plan, options.check == "synthetic", options.settings))
        good = good and all(row.good for row in rows)
        texts.append(
            f"{_file_names(plan)}: one epoch without and with aux-ops, {_DATA[options.check]}\n\n{text_table(rows)}\n"
        )
    new = [plan for plan in plans if plan.run.output not in there]
    if good:
        write_plans(configs, new, options.force)
        texts.append(_report_text(new, configs) if new else "The existing files were checked; nothing was written.\n")
    else:
        texts.append("Not proven, so nothing was written.\n")
    return "\n".join(texts), good


def _file_names(plan: Plan) -> str:
    return " + ".join(path.name for path in plan.run.config.files)


def _report_text(plans: Sequence[Plan], configs: Path) -> str:
    """Report what was written and why, and the command to run next."""
    lines: list[str] = []
    for plan in plans:
        if plan.refused:
            lines += [f"Skipped: {_file_names(plan)}: {plan.refused}", ""]
            continue
        lines += [f"Written: {configs / plan.run.output}", "", text_of(plan.block)]
        lines += _reason_lines(plan)
        verb = "Train" if plan.run.trains or expression_engines(plan.run.config) else "Evaluate"
        lines += [f"{verb} with it, in the bundle's folder:", *_run_commands(plan), ""]
        if plan.page_folder:
            lines += ["Then write the page:", f"  monai-auxops report {shlex.quote(plan.page_folder)}", ""]
    return "\n".join(lines)


def _reason_lines(plan: Plan) -> list[str]:
    lines = [
        f"{readable_id(item_id)} is created by an expression, which has no metric slots, so it gets no aux-ops"
        for item_id in expression_engines(plan.run.config)
    ]
    for engine, why in plan.lines.items():
        lines += [f"{engine}:", *(f"  {line}" for line in why)]
    if plan.run.config.missing:
        lines += ["needed to run the bundle, but not importable here:"]
        lines += [f"  {line}" for line in plan.run.config.missing]
    return [*lines, ""] if lines else []


def _run_commands(plan: Plan) -> list[str]:
    """Return the commands of a run: alone, and on several GPUs."""
    names = [path.name for path in plan.run.config.files]
    run_id = f" {plan.run.run_id}" if plan.run.run_id not in ("", "run") else ""
    folder = plan.run.config.files[0].parent.name
    alone = f'  python -m monai.bundle run{run_id} --config_file "{_config_files(folder, [*names, plan.run.output])}"'
    lines = [alone]
    for path in plan.run.parallel:
        files = _config_files(folder, [*names, path.name, plan.run.output])
        lines.append(
            f"  torchrun --standalone --nproc_per_node=2 -m monai.bundle run{run_id} --config_file "
            f'"{files}"  # on several GPUs; keep our file last'
        )
    return lines


def _config_files(folder: str, names: Sequence[str]) -> str:
    return "[" + ",".join(f"'{folder}/{name}'" for name in names) + "]"


def settings_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Return ``ID=VALUE`` pairs as overrides; values are parsed as JSON if possible.

    Examples:
        >>> settings_of(["epochs=1", "dataset_dir=/data"])
        {'epochs': 1, 'dataset_dir': '/data'}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise AttachError(f"--set: expected ID=VALUE, got {pair!r}")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


__all__ = ["AttachError", "AttachOptions", "attach", "settings_of"]
