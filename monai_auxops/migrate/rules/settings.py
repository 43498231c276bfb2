"""Clara's settings: the first level of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.kinds import ArgumentType, anything, count, flag, integer, number


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: a setting, its key in the bundle ('' for none), and why."""

    name: str
    to: str
    kind: ArgumentType
    default: Any
    outcome: Outcome
    reason: str
    also: tuple[str, ...] = ()


_EXACT, _EQUIVALENT, _DROPPED = Outcome.EXACT, Outcome.EQUIVALENT, Outcome.DROPPED
_APPROXIMATE: Final = Outcome.APPROXIMATE
_SEEDS: Final = ("random", "numpy", "tf", "python")


def seed(value: Any) -> int | None:
    """Accept Clara's ``determinism``, an object with a seed for each library; return the one that MONAI takes.

    Examples:
        >>> seed({"python_seed": "20191015", "random_seed": 123456}), seed({"python_seed": "7"}), seed(True), seed(None)
        (123456, 7, 0, None)
    """
    given = value if isinstance(value, dict) else {}
    found = [str(given.get(f"{library}_{suffix}", "")) for library in _SEEDS for suffix in ("seed", "page")]
    digits = [text for text in found if text.isdigit()]
    if given and not digits:
        raise ValueError(f"expected one of {', '.join(f'{library}_seed' for library in _SEEDS)} as a whole number")
    return int((digits or ["0"])[0]) % 2**32 if value else None


SETTINGS: Final = (
    Setting("epochs", "epochs", count, 1, _EXACT, "Passes over the data."),
    Setting("num_training_epoch_per_valid", "val_interval", count, 1, _EXACT, "Validation after every so many epochs."),
    Setting("learning_rate", "learning_rate", number, 1e-4, _EXACT, "The initial rate."),
    Setting("use_amp", "amp", flag, False, _EXACT, "Automatic mixed precision.", also=("amp",)),
    Setting(
        "train_summary_recording_interval",
        "summary_interval",
        integer,
        0,
        _EXACT,
        "Steps between two points in TensorBoard; 0 is one point per epoch, the loss of its last step.",
    ),
    Setting(
        "multi_gpu", "", flag, False, _EQUIVALENT, "torchrun with configs/multi_gpu_train.json takes the place of MPI."
    ),
    Setting(
        "determinism",
        "seed",
        seed,
        None,
        _APPROXIMATE,
        "MONAI seeds Python, NumPy and PyTorch with one number: the first that is given of random_seed, numpy_seed, "
        "tf_seed and python_seed.",
    ),
    Setting("dynamic_input_shape", "", flag, False, _DROPPED, "PyTorch networks take any input size."),
    Setting("use_scanning_window", "", flag, False, _DROPPED, "The inferer decides."),
    Setting("batch_size", "", integer, 1, _DROPPED, "An evaluation reads one case at a time, as in Clara."),
    Setting("PROCESSING_TASK", "", anything, "", _DROPPED, "The image pipeline tells the task."),
    Setting("search", "", anything, None, _DROPPED, "AutoML: the static values are kept."),
    Setting("learning_rate_search_space", "", anything, None, _DROPPED, "AutoML: the static value is kept."),
)


def find(name: str) -> Setting | None:
    """Return the row of a setting."""
    return next((row for row in SETTINGS if name == row.name or name in row.also), None)
