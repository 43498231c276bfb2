"""The command ``monai-auxops attach``: writes overrides, says how each value was derived, and how to run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monai_auxops.attach.blocks import known_op
from monai_auxops.attach.derive import Answers
from monai_auxops.attach.folder import configs_of, inside
from monai_auxops.attach.plan import Plan, make_plans
from monai_auxops.attach.problem import AttachError
from monai_auxops.attach.write import text_of, write_plans


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Args:
        bundle: its folder.
        ops: names of aux-ops, each maybe several with commas; none: the one that fits the bundle.
        answers: what the bundle does not say.
        config: the files of one run, instead of all runs that are found.
        force: replace files of an earlier attach.
    """

    bundle: Path
    ops: Sequence[str] = ()
    answers: Answers = field(default_factory=Answers)
    config: Sequence[str] = ()
    force: bool = False


def attach(options: Options) -> str:
    """Write the overrides for a bundle and return what to say.

    Raises:
        AttachError: the bundle or the aux-ops cannot be used; nothing is written.
    """
    ops = list(dict.fromkeys(name for op in options.ops for name in op.split(",") if name))
    for name in ops:
        known_op(name)
    bundle = options.bundle
    configs = configs_of(bundle)
    with inside(bundle):
        plans = make_plans(bundle, configs, ops, options.answers, options.config)
        usable = [plan for plan in plans if not plan.refused]
        written = write_plans(configs, usable, options.force)
    return _said(plans, dict(zip([plan.run.output for plan in usable], written, strict=True)))


def _said(plans: Sequence[Plan], written: dict[str, Path]) -> str:
    """Say what was written, why, and what to type next."""
    lines: list[str] = []
    for plan in plans:
        names = " + ".join(path.name for path in plan.run.config.files)
        if plan.refused:
            lines += [f"Left alone: {names}: {plan.refused}", ""]
            continue
        lines += [f"Written: {written[plan.run.output]}", "", text_of(plan.block)]
        lines += _derived(plan)
        verb = "Train" if plan.run.trains else "Evaluate"
        lines += [f"{verb} with it, in the bundle's folder:", *_commands(plan), ""]
    return "\n".join(lines)


def _derived(plan: Plan) -> list[str]:
    lines = []
    for engine, why in plan.lines.items():
        lines += [f"{engine}:", *(f"  {line}" for line in why)]
    if plan.run.config.missing:
        lines += ["not importable here, and needed to run the bundle:"]
        lines += [f"  {line}" for line in plan.run.config.missing]
    return [*lines, ""] if lines else []


def _commands(plan: Plan) -> list[str]:
    """Return the commands of a run: alone, and on several GPUs."""
    names = [path.name for path in plan.run.config.files]
    run_id = f" {plan.run.run_id}" if plan.run.run_id not in ("", "run") else ""
    folder = plan.run.config.files[0].parent.name
    alone = f'  python -m monai.bundle run{run_id} --config_file "{_files(folder, [*names, plan.run.output])}"'
    lines = [alone]
    for path in plan.run.parallel:
        files = _files(folder, [*names, path.name, plan.run.output])
        lines.append(
            f"  torchrun --standalone --nproc_per_node=2 -m monai.bundle run{run_id} --config_file "
            f'"{files}"  # several GPUs: our file last'
        )
    return lines


def _files(folder: str, names: Sequence[str]) -> str:
    return "[" + ",".join(f"'{folder}/{name}'" for name in names) + "]"


__all__ = ["AttachError", "Options", "attach"]
