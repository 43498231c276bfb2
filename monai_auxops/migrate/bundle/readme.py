"""The bundle's docs/README.md: how to run it, what was migrated, what to check."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from monai_auxops.migrate.bundle.data import data_options
from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.diagnostics import Log, Outcome
from monai_auxops.migrate.packages import INSTALL
from monai_auxops.migrate.reading.datalist import find

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.convert import Converted
    from monai_auxops.migrate.conversion.project import Project
    from monai_auxops.migrate.reading.scripts import ScriptRun

RUN: Final = "python -m monai.bundle run"
TRAIN: Final = f"{RUN} --config_file configs/train.json"
NEEDED: Final = f"Run them in this folder. They need `{INSTALL}`, run in a checkout of monai-auxops."
_EVALUATE: Final = "\"['configs/train.json','configs/evaluate.json']\""
_BOTH: Final = "\"['configs/train.json','configs/multi_gpu_train.json']\""
_NAMES: Final = {
    "epochs": "epochs",
    "learning_rate": "learning_rate",
    "num_training_epoch_per_valid": "val_interval",
    "use_amp": "amp",
    "train_summary_recording_interval": "summary_interval",
    "DATASET_JSON": "datalist",
    "DATA_ROOT": "dataset_dir",
    "DATA_LIST_KEY": "list_key",
    "MMAR_EVAL_OUTPUT_PATH": "output_dir",
}
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>|#$~])")


def multi_gpu_command(gpus: int) -> str:
    """Return the command that trains on several GPUs."""
    return f"torchrun --nproc_per_node={gpus} -m monai.bundle run --config_file {_BOTH}"


def readme(project: Project) -> str:
    """Return the text of docs/README.md."""
    parts = [_head(project), _commands(project), _component_rows(project), _to_check(project), _weights(project)]
    return "\n".join(part for part in parts if part)


def _head(project: Project) -> str:
    weights = "Clara's" if project.carried else "new"
    name = project.train.file if project.train is not None else ""
    return (
        "# A bundle migrated from Clara Train\n\n"
        f"monai-auxops made this bundle from {code_text(name)}. It trains with MONAI; the network's weights are "
        f"{weights}.\n"
    )


def _commands(project: Project) -> str:
    evaluates = project.evaluate is not None or "validate" in (project.train.root.value if project.train else ())
    where = data_options(project)
    commands = [
        [TRAIN, *where],
        [multi_gpu_command(2), *where],
        *([[f"{RUN} --config_file {_EVALUATE}", *where]] if evaluates else []),
        [f"{RUN} --config_file configs/inference.json", *where],
        [TRAIN, "--finetune models/model.pt", *where],
        ["monai-auxops report eval"],
    ]
    lines = [
        "## Commands",
        "",
        NEEDED,
        "",
        "```bash",
        *map(" ".join, commands),
        "```",
        "",
        *_scripts(project),
    ]
    return "\n".join(lines)


def _scripts(project: Project) -> list[str]:
    runs = [run for run in project.runs if run.app in ("train", "evaluate")]
    return scripts_table([(run.script, _command(run, project)) for run in runs])


def scripts_table(commands: Sequence[tuple[str, str]]) -> list[str]:
    """Describe what the MMAR's own scripts become; nothing if there are none."""
    rows = [f"| {code_text(script)} | {code_text(command)} |" for script, command in commands]
    return ["The MMAR's own scripts:", "", "| script | here |", "| --- | --- |", *rows, ""] if rows else []


def _command(run: ScriptRun, project: Project) -> str:
    given = {_NAMES[name]: value for name, value in run.settings.items() if name in _NAMES}
    if "datalist" in given:
        given["datalist"] = _list_of(str(given["datalist"]), project)
    options = [f"--{name} {shlex.quote(str(value))}" for name, value in given.items() if value != ""]
    finetune = ["--finetune models/model.pt"] if run.fine_tunes and run.app == "train" else []
    return " ".join([_start(run), *options, *finetune])


def _list_of(path: str, project: Project) -> str:
    """Return the data list of a script for the bundle's command, or nothing if the bundle already has it."""
    found = find(path, project.mmar.root)
    if found is None:
        return path
    known = project.data is not None and project.data.path.resolve() == found.resolve()
    return "" if known else found.resolve().as_posix()


def _start(run: ScriptRun) -> str:
    if run.app == "evaluate":
        files = "configs/inference.json" if run.infers else _EVALUATE
        return f"{RUN} --config_file {files}"
    return TRAIN if run.gpus == 1 else multi_gpu_command(run.gpus)


def used_entries(project: Project) -> list[Converted]:
    """Return the entries that the bundle is made of."""
    return [entry for config in project.used for entry in config.entries]


def _component_rows(project: Project) -> str:
    rows = [
        Migrated(entry.component.where.path, entry.component.name, _targets(entry), entry.outcome, entry.why)
        for entry in used_entries(project)
    ]
    return migrated_section(rows)


class Migrated(NamedTuple):
    """A row of the table of what was migrated."""

    path: str
    name: str
    targets: str
    outcome: Outcome
    why: str


def migrated_section(rows: Sequence[Migrated]) -> str:
    """Return the section that lists all components."""
    counts = Counter(row.outcome for row in rows)
    total = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])
    lines = [
        f"| {code_text(row.path)} | {escape_text(row.name)} | {escape_text(row.targets)} | {row.outcome.value} "
        f"| {escape_text(row.why)} |"
        for row in rows
    ]
    head = ["| where | Clara | here | outcome | why |", "| --- | --- | --- | --- | --- |"]
    return "\n".join(["## What was migrated", "", f"{len(rows)} components: {total}.", "", *head, *lines, ""])


def _targets(entry: Converted) -> str:
    return ", ".join(built.target.removeprefix("monai_auxops.clara.") for built in entry.built) or "-"


def check_section(log: Log, advice: Sequence[str]) -> str:
    """Return the section of what to check: the log's problems, and ``advice``."""
    wanted = [item for item in log.sorted() if item.severity is not Severity.INFO]
    rows = [
        f"- {item.code} {escape_text(item.where.path or item.where.file)}: {escape_text(item.message)}"
        for item in wanted
    ]
    return "\n".join(["## What to check", "", *rows, *advice, ""])


def _to_check(project: Project) -> str:
    advice = [
        "- The network emits logits: Clara's `final_activation` is in the loss, the post-processing and the aux-ops.",
        "- Training values have the names `train_<tag>`, validation values the names of Clara's metrics.",
        "- `train_loss` is the loss of one iteration; Clara printed its running mean. Compare the first iteration with "
        "an old log, and the tags, which are running means in both.",
    ]
    return check_section(project.log, advice)


def _weights(project: Project) -> str:
    if project.carried:
        return f"## Weights\n\n`models/model.pt` has Clara's {project.carried}.\n"
    if not project.mmar.weights:
        return ""
    rows = [f"- {code_text(name)}" for name in project.mmar.weights]
    lost = "`monai-auxops weights MMAR BUNDLE` converts them if they can be proven equal to Clara's graph:"
    return "\n".join(["## Weights that were not migrated", "", lost, "", *rows, ""])


def escape_text(value: str) -> str:
    """Escape text of an untrusted file so that Markdown shows it literally."""
    return _SPECIAL.sub(r"\\\1", value.replace("\n", " "))


def code_text(value: str) -> str:
    """Return text as Markdown code."""
    return f"`{value.replace('`', ' ').replace('|', ' ').replace(chr(10), ' ')}`"
