"""The bundle's docs/README.md: how to run it, what was migrated, what to check."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from monai_auxops.migrate.bundle.data import GIVEN
from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.conversion.convert import Converted
from monai_auxops.migrate.conversion.project import Project
from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.reading.scripts import ScriptRun

_RUN: Final = "python -m monai.bundle run"
_NAMES: Final = {
    "epochs": "epochs",
    "learning_rate": "learning_rate",
    "num_training_epoch_per_valid": "val_interval",
    "use_amp": "amp",
    "train_summary_recording_interval": "summary_interval",
}
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>|#$~])")


def readme(project: Project) -> str:
    """Return the text of docs/README.md."""
    parts = [_head(project), _commands(project), _migrated(project), _to_check(project), _weights(project)]
    return "\n".join(part for part in parts if part)


def _head(project: Project) -> str:
    name = project.train.file if project.train is not None else ""
    return (
        "# A bundle migrated from Clara Train\n\n"
        f"monai-auxops made this bundle from {code(name)}. It trains with MONAI; the network's weights are new.\n"
    )


def _commands(project: Project) -> str:
    train = f"{_RUN} --config_file configs/train.json"
    both = "\"['configs/train.json','configs/multi_gpu_train.json']\""
    evaluates = project.evaluate is not None or "validate" in (project.train.root.value if project.train else ())
    evaluate = f"{_RUN} --config_file \"['configs/train.json','configs/evaluate.json']\""
    lines = [
        "## Commands",
        "",
        "Run them in this folder, with `pip install monai-auxops[bundle,tensorboard]`.",
        "",
        "```bash",
        f"{train} {GIVEN}",
        f"torchrun --nproc_per_node=2 -m monai.bundle run --config_file {both}",
        *([evaluate] if evaluates else []),
        f"{_RUN} --config_file configs/inference.json",
        f"{train} --finetune models/model.pt",
        "```",
        "",
        *_scripts(project.runs, train, both),
    ]
    return "\n".join(lines)


def _scripts(runs: list[ScriptRun], train: str, both: str) -> list[str]:
    """Say what the MMAR's own scripts become."""
    rows = [f"| {code(run.script)} | {code(_command(run, train, both))} |" for run in runs if run.app == "train"]
    return ["The MMAR's own scripts:", "", "| script | here |", "| --- | --- |", *rows, ""] if rows else []


def _command(run: ScriptRun, train: str, both: str) -> str:
    start = train if run.gpus == 1 else f"torchrun --nproc_per_node={run.gpus} -m monai.bundle run --config_file {both}"
    given = {_NAMES[name]: value for name, value in run.settings.items() if name in _NAMES}
    options = [f"--{name} {value}" for name, value in given.items()]
    return " ".join([start, *options, *(["--finetune models/model.pt"] if run.fine_tunes else [])])


def used_entries(project: Project) -> list[Converted]:
    """Return the entries that the bundle is made of."""
    configs = [config for config in (project.train, project.evaluate) if config is not None]
    return [entry for config in configs for entry in config.entries]


def _migrated(project: Project) -> str:
    entries = used_entries(project)
    counts = Counter(entry.outcome for entry in entries)
    total = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])
    rows = [
        f"| {code(_path(entry))} | {text(entry.component.name)} | {text(_targets(entry))} | {entry.outcome.value} "
        f"| {text(entry.why)} |"
        for entry in entries
    ]
    head = ["| where | Clara | here | outcome | why |", "| --- | --- | --- | --- | --- |"]
    return "\n".join(["## What was migrated", "", f"{len(entries)} components: {total}.", "", *head, *rows, ""])


def _path(entry: Converted) -> str:
    return entry.component.where.path


def _targets(entry: Converted) -> str:
    return ", ".join(built.target.removeprefix("monai_auxops.clara.") for built in entry.built) or "-"


def _to_check(project: Project) -> str:
    wanted = [item for item in project.log.sorted() if item.severity is not Severity.INFO]
    rows = [f"- {item.code} {text(item.where.path or item.where.file)}: {text(item.message)}" for item in wanted]
    names = [
        "- The network emits logits: Clara's `final_activation` is in the loss, the post-processing and the aux-ops.",
        "- Training values have the names `train_<tag>`, validation values the names of Clara's metrics.",
        "- Compare the first losses with an old log where you have one.",
    ]
    return "\n".join(["## What to check", "", *rows, *names, ""])


def _weights(project: Project) -> str:
    if not project.mmar.weights:
        return ""
    rows = [f"- {code(name)}" for name in project.mmar.weights]
    lost = "TensorFlow weights do not load into PyTorch. What they knew is lost until the bundle is trained again:"
    return "\n".join(["## Weights that were not migrated", "", lost, "", *rows, ""])


def text(value: str) -> str:
    """Return text of a stranger's file so that Markdown shows it as it is."""
    return _SPECIAL.sub(r"\\\1", value.replace("\n", " "))


def code(value: str) -> str:
    """Return text as Markdown code."""
    return f"`{value.replace('`', ' ').replace('|', ' ').replace(chr(10), ' ')}`"
