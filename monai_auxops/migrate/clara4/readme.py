"""The bundle's docs/README.md from an MMAR of Clara Train 4: commands, what was migrated, what to check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.bundle.readme import (
    NEEDED,
    RUN,
    TRAIN,
    Migrated,
    check_section,
    code_text,
    migrated_section,
    multi_gpu_command,
    scripts_table,
)
from monai_auxops.migrate.clara4.config import Role
from monai_auxops.migrate.diagnostics import Outcome

if TYPE_CHECKING:
    from collections.abc import Container

    from monai_auxops.migrate.clara4.item import Item
    from monai_auxops.migrate.clara4.project import Mmar4
    from monai_auxops.migrate.clara4.weights import Weights
    from monai_auxops.migrate.reading.scripts import ScriptRun

_GIVEN: Final = "--dataset_dir DATA --datalist DATA/dataset.json"
_SETTINGS: Final = {
    "epochs": "epochs",
    "learning_rate": "learning_rate",
    "num_interval_per_valid": "val_interval",
    "amp": "amp",
}


def readme(mmar: Mmar4, weights: Weights, configs: Container[str]) -> str:
    """Return the text; ``configs`` are the names of the bundle's configurations."""
    parts = [_head(mmar), _commands(mmar, configs), _weights(weights), _component_rows(mmar), _to_check(mmar)]
    return "\n".join(part for part in parts if part)


def _head(mmar: Mmar4) -> str:
    main = mmar.main
    told = f"{code_text(main.file)} ({main.dialect.title})" if main is not None else "an MMAR"
    return f"# A bundle migrated from Clara Train 4\n\nmonai-auxops made this bundle from {told}. {_promise(mmar)}\n"


def _promise(mmar: Mmar4) -> str:
    """Say what the bundle does, no more than its least faithful component allows."""
    outcomes = {item.outcome for item in mmar.used if item.active}
    if Outcome.MANUAL in outcomes:
        return "It does not run yet: complete what is manual below."
    does = "trains with today's MONAI" if Role.TRAIN in mmar.chosen else "runs with today's MONAI"
    values = "losses" if Role.TRAIN in mmar.chosen else "metrics"
    if outcomes & {Outcome.APPROXIMATE, Outcome.DROPPED}:
        return f"It {does}; what is approximate or dropped below may change the {values}."
    return f"It {does} and gives the same {values}."


def _commands(mmar: Mmar4, configs: Container[str]) -> str:
    runs = [TRAIN, f"{TRAIN} --finetune models/model.pt", multi_gpu_command(2)] if Role.TRAIN in mmar.chosen else []
    others = [name for name in ("evaluate.json", "inference.json") if name in configs]
    runs += [f"{RUN} --config_file configs/{name}" for name in others]
    lines = ["## Commands", "", NEEDED, "", "```bash", *(f"{each} {_GIVEN}" for each in runs), "```", ""]
    return "\n".join([*lines, *_scripts(mmar)])


def _scripts(mmar: Mmar4) -> list[str]:
    return scripts_table([(run.script, _command(run)) for run in mmar.project.runs if run.app == "train"])


def _command(run: ScriptRun) -> str:
    start = TRAIN if run.gpus == 1 else multi_gpu_command(run.gpus)
    options = [f"--{_SETTINGS[name]} {value}" for name, value in run.settings.items() if name in _SETTINGS]
    finetune = ["--finetune models/model.pt"] if run.fine_tunes else []
    return " ".join([start, *options, *finetune])


def _weights(weights: Weights) -> str:
    if not weights.files:
        return ""
    rows = [f"- {code_text(name)}" for name in weights.names]
    said = "Evaluation and inference read these files in `models/`. Training overwrites `models/model.pt`."
    return "\n".join(["## Weights", "", said, "", *rows, ""])


def _component_rows(mmar: Mmar4) -> str:
    rows = [
        Migrated(item.occurrence.where.path, item.occurrence.name, _targets(item), item.outcome, item.why)
        for item in mmar.used
    ]
    return migrated_section(rows)


def _targets(item: Item) -> str:
    return ", ".join(str(block["_target_"]) for block in (*item.blocks, *item.post)) or "-"


def _to_check(mmar: Mmar4) -> str:
    return check_section(mmar.log, ["- Compare the first losses with an old log if you have one."])
