"""Settings of Clara Train 4: the first level of a configuration, each read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.kinds import anything, count, flag, integer, number
from monai_auxops.migrate.rules.settings import Setting

if TYPE_CHECKING:
    from monai_auxops.migrate.diagnostics import Log
    from monai_auxops.migrate.reading.node import Node
    from monai_auxops.migrate.reading.variables import Variables

_EXACT, _EQUIVALENT, _DROPPED = Outcome.EXACT, Outcome.EQUIVALENT, Outcome.DROPPED
_AT_THE_TOP: Final = "A setting at the top of the bundle."
_SCRIPT: Final = "use_torchscript in evaluate.json and inference.json; without the file the checkpoint is read."
_SWITCH: Final = {"true": True, "false": False}


def seed(value: Any) -> int | None:
    """Accept ``determinism``, an object with a random_seed; nothing and false mean no seed.

    Examples:
        >>> seed({"random_seed": 7}), seed(False)
        (7, None)
    """
    if not value:
        return None
    if not isinstance(value, dict) or "random_seed" not in value:
        raise ValueError("expected an object with random_seed")
    return integer(value["random_seed"]) % 2**32


def switch(value: Any) -> bool:
    """Accept true and false, as a literal or as text.

    Examples:
        >>> switch(True), switch("false")
        (True, False)
    """
    found = _SWITCH.get(str(value).lower())
    return flag(str(value) if found is None else found)


SETTINGS: Final = (
    Setting("epochs", "epochs", count, 1, _EXACT, _AT_THE_TOP),
    Setting("num_interval_per_valid", "val_interval", count, 1, _EXACT, _AT_THE_TOP),
    Setting("learning_rate", "learning_rate", number, 1e-4, _EXACT, _AT_THE_TOP),
    Setting("amp", "amp", flag, False, _EXACT, _AT_THE_TOP),
    Setting("multi_gpu", "", flag, False, _EQUIVALENT, "torchrun with configs/multi_gpu_train.json."),
    Setting("use_gpu", "", anything, None, _DROPPED, "The device is the GPU if there is one."),
    Setting("determinism", "", seed, None, _EXACT, "initialize sets the seed."),
    Setting("cudnn_benchmark", "", flag, None, _EXACT, "initialize sets it."),
    Setting("tf32", "", flag, None, _EXACT, "initialize sets it."),
    Setting("dont_load_ckpt_model", "", switch, None, _EXACT, "finetune names the weights to start from, or nothing."),
    Setting("dont_load_ts_model", "", switch, None, _EQUIVALENT, _SCRIPT),
    Setting("search", "", anything, None, _DROPPED, "AutoML: the static values are kept."),
    Setting("network_summary", "", anything, None, _DROPPED, "A printout."),
)
TARGETS: Final = {row.name: row.to for row in SETTINGS if row.to}
"""Variables that stay settings of the bundle, under the model zoo's names."""


@dataclass(frozen=True, slots=True)
class GivenSetting:
    """A setting that a file has; ``readable`` tells whether its value, not the default, is used."""

    row: Setting
    value: Any
    source: str = ""
    readable: bool = True

    @property
    def outcome(self) -> Outcome:
        """How faithfully the setting arrives in the bundle."""
        return self.row.outcome if self.readable else Outcome.MANUAL

    @property
    def reason(self) -> str:
        """The reason in one sentence."""
        if self.readable:
            return self.row.reason
        return "The value cannot be read; this is the bundle's default." if self.row.to else "The value cannot be read."


def read_settings(root: Node, variables: Variables, log: Log) -> Iterator[GivenSetting]:
    """Yield the settings of a file; an unreadable one is reported and gets its default."""
    _check_seed(root, log)
    for row in SETTINGS:
        node = root.get(row.name)
        if node is None and row.name not in variables.values:
            continue
        source = variables.sources.get(row.name, "")
        try:
            yield GivenSetting(row, row.kind(_value(row.name, node, root, variables)), source)
        except ValueError as error:
            log.add("CT206", (node or root).where, f"{row.name}: {error}")
            yield GivenSetting(row, row.default, source, readable=False)


def _check_seed(root: Node, log: Log) -> None:
    """Report what else than the seed ``determinism`` holds."""
    node = root.get("determinism")
    for key, child in node.items() if node is not None else ():
        if key != "random_seed" and not key.startswith("_"):
            log.add("CT317", child.where, f'nothing reads "{key}" of determinism; only random_seed is migrated')


def _value(name: str, node: Node | None, root: Node, variables: Variables) -> Any:
    """Return a setting with its variables filled in; those inside an object may come from the environment."""
    where = (node or root).where
    if name in variables.values:
        return variables.lookup(name, where)
    if node is None or not isinstance(node.value, dict):
        return node.plain() if node is not None else None
    inner = {key: variables.lookup(key, where) for key in node.value if key in variables.values}
    return {**node.plain(), **inner}
