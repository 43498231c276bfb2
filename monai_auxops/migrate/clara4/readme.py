"""The bundle's docs/README.md from an MMAR of Clara Train 4: commands, what was migrated, what to check."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.bundle.readme import code_text, escape_text
from monai_auxops.migrate.clara4.config import Role
from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.diagnostics import Outcome

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.convert import Item
    from monai_auxops.migrate.clara4.project import Mmar4
    from monai_auxops.migrate.clara4.weights import Weights

_RUN: Final = "python -m monai.bundle run"
_GIVEN: Final = "--dataset_dir DATA --datalist DATA/dataset.json"
_SETTINGS: Final = {
    "epochs": "epochs",
    "learning_rate": "learning_rate",
    "num_interval_per_valid": "val_interval",
    "amp": "amp",
}


def readme(mmar: Mmar4, weights: Weights) -> str:
    """Return the text."""
    parts = [_head(mmar), _commands(mmar), _weights(weights), _migrated(mmar), _to_check(mmar)]
    return "\n".join(part for part in parts if part)


def _head(mmar: Mmar4) -> str:
    main = mmar.main
    told = f"{code_text(main.file)} ({main.dialect.title})" if main is not None else "an MMAR"
    return (
        "# A bundle migrated from Clara Train 4\n\n"
        f"monai-auxops made this bundle from {told}. It trains with today's MONAI and gives the same losses.\n"
    )


def _commands(mmar: Mmar4) -> str:
    train = f"{_RUN} --config_file configs/train.json"
    both = "\"['configs/train.json','configs/multi_gpu_train.json']\""
    lines = ["## Commands", "", "Run them in this folder, with `pip install monai-auxops[bundle,tensorboard]`.", ""]
    lines.append("```bash")
    if Role.TRAIN in mmar.chosen:
        lines += [
            f"{train} {_GIVEN}",
            f"{train} --finetune models/model.pt",
            f"torchrun --nproc_per_node=2 -m monai.bundle run --config_file {both}",
        ]
    lines += [f"{_RUN} --config_file configs/{name}" for name in ("evaluate.json", "inference.json")]
    return "\n".join([*lines, "```", "", *_scripts(mmar, train, both)])


def _scripts(mmar: Mmar4, train: str, both: str) -> list[str]:
    """Describe what the MMAR's own scripts become."""
    rows = []
    for run in (run for run in mmar.project.runs if run.app == "train"):
        start = (
            train if run.gpus == 1 else f"torchrun --nproc_per_node={run.gpus} -m monai.bundle run --config_file {both}"
        )
        options = [f"--{_SETTINGS[name]} {value}" for name, value in run.settings.items() if name in _SETTINGS]
        command = " ".join([start, *options, *(["--finetune models/model.pt"] if run.fine_tunes else [])])
        rows.append(f"| {code_text(run.script)} | {code_text(command)} |")
    return ["The MMAR's own scripts:", "", "| script | here |", "| --- | --- |", *rows, ""] if rows else []


def _weights(weights: Weights) -> str:
    if not weights.files:
        return ""
    rows = [f"- {code_text(name)}" for name in weights.names]
    said = "Evaluation and inference read these files in `models/`. Training overwrites `models/model.pt`."
    return "\n".join(["## Weights", "", said, "", *rows, ""])


def _migrated(mmar: Mmar4) -> str:
    counts = Counter(item.outcome for item in mmar.used)
    total = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])
    rows = [
        f"| {code_text(item.occurrence.where.path)} | {escape_text(item.occurrence.name)} "
        f"| {escape_text(_targets(item))} | {item.outcome.value} | {escape_text(item.why)} |"
        for item in mmar.used
    ]
    head = ["| where | Clara | here | outcome | why |", "| --- | --- | --- | --- | --- |"]
    return "\n".join(["## What was migrated", "", f"{len(mmar.used)} components: {total}.", "", *head, *rows, ""])


def _targets(item: Item) -> str:
    return ", ".join(str(block["_target_"]) for block in (*item.blocks, *item.post)) or "-"


def _to_check(mmar: Mmar4) -> str:
    wanted = [item for item in mmar.log.sorted() if item.severity is not Severity.INFO]
    rows = [
        f"- {item.code} {escape_text(item.where.path or item.where.file)}: {escape_text(item.message)}"
        for item in wanted
    ]
    rows.append("- Compare the first losses with an old log if you have one.")
    return "\n".join(["## What to check", "", *rows, ""])
