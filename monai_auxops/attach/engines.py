"""Find the engines of a configuration, and explain why an engine cannot be measured."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.attach.problem import AttachError

if TYPE_CHECKING:
    from monai_auxops.attach.config import BundleConfig

_LOOKS_LIKE_ONE: Final = re.compile(r"(Trainer|Evaluator|Workflow)$")
_GENERATES: Final = ("GanTrainer", "AdversarialTrainer", "VaeGanTrainer")
_RUNS: Final = re.compile(r"@([\w#:\-]+)\.run\(")


@dataclass(frozen=True)
class EngineItem:
    """An engine of a configuration.

    Args:
        item_id: its id, with ``::``.
        trains: whether it is a trainer.
        target: the full name of its class.
    """

    item_id: str
    trains: bool
    target: str

    @property
    def is_ensemble(self) -> bool:
        """Whether it has several networks, whose predictions post-processing joins."""
        return self.target.rpartition(".")[2].startswith("Ensemble")

    @property
    def network_slot(self) -> str:
        """The id of its network, of an ensemble's first."""
        return f"{self.item_id}::networks::0" if self.is_ensemble else f"{self.item_id}::network"

    @property
    def prefix(self) -> str:
        """``train`` or ``val``: how its metrics' names begin."""
        return "train" if self.trains else "val"

    @property
    def key_slot(self) -> str:
        """The id of its key metric."""
        return f"{self.item_id}::key_{self.prefix}_metric"

    @property
    def additional_slot(self) -> str:
        """The id of its additional metrics."""
        return f"{self.item_id}::additional_metrics"


def find_engines(config: BundleConfig) -> list[EngineItem]:
    """Return every trainer and evaluator, in the order of the files."""
    from monai.engines import Evaluator, Trainer

    found = []
    for item_id, _ in config.components():
        kind = _engine_class(config, item_id)
        if isinstance(kind, type) and issubclass(kind, Trainer | Evaluator):
            found.append(EngineItem(item_id, issubclass(kind, Trainer), f"{kind.__module__}.{kind.__qualname__}"))
    return found


def _engine_class(config: BundleConfig, item_id: str) -> Any:
    """Return a component's class; refuse an engine whose class cannot be imported."""
    name = config.target(item_id)
    try:
        kind = config.class_of(item_id)
    except ImportError as error:
        if _LOOKS_LIKE_ONE.search(name):
            raise AttachError(f"{readable_id(item_id)} cannot be imported here: {error}") from error
        return None
    if kind is None and _LOOKS_LIKE_ONE.search(name):
        raise AttachError(f"{readable_id(item_id)} cannot be imported here: {name} was not found; install its package")
    return kind


def refuse_unmeasurable(config: BundleConfig, engine: EngineItem) -> None:
    """Raise an error if an engine has no predictions and labels to compare."""
    from monai.engines import AdversarialTrainer, GanTrainer

    kind = config.class_of(engine.item_id)
    names = {base.__name__ for base in kind.__mro__}
    if issubclass(kind, GanTrainer | AdversarialTrainer) or names & set(_GENERATES):
        raise AttachError(
            f"{readable_id(engine.item_id)} is a {kind.__name__}: a generator's output has no label to compare with"
        )
    if "detector" in (config.at(engine.item_id) or {}):
        raise AttachError(
            f"{readable_id(engine.item_id)} is a {kind.__name__} for detection: its output holds boxes, not the 'pred' "
            "that aux-ops read"
        )
    diffuses = _diffusion_part(config, engine)
    if diffuses:
        raise AttachError(
            f"{readable_id(engine.item_id)} trains a generator ({diffuses}): its predictions are noise, not classes"
        )


def _diffusion_part(config: BundleConfig, engine: EngineItem) -> str:
    """Return the part that identifies an engine as a diffusion model's, or nothing."""
    for part in ("prepare_batch", "inferer"):
        item_id, value = config.follow(f"{engine.item_id}::{part}")
        name = config.target(item_id) if isinstance(value, dict) and "_target_" in value else str(value or "")
        if "Diffusion" in name or "VPrediction" in name:
            return name.rpartition(".")[2] if isinstance(value, dict) else f"{part} {name}"
    return ""


def run_ids(config: BundleConfig, engine: EngineItem) -> list[str]:
    """Return the ids of the lists that run an engine, ``run`` first: what ``monai.bundle run`` is given."""
    found = [key for key in config.parser.get() if engine.item_id in _engines_run_by(config.at(key))]
    return sorted(found, key=lambda name: name != "run")


def expression_engines(config: BundleConfig) -> list[str]:
    """Return the ids of what is run but created by an expression, which has no metric slots."""
    run = {item_id for key in config.parser.get() for item_id in _engines_run_by(config.at(key))}
    return sorted(item_id for item_id in run if str(config.follow(item_id)[1]).startswith("$"))


def _engines_run_by(value: Any) -> set[str]:
    """Return the ids of the engines that a value runs."""
    texts: Iterable[Any] = value if isinstance(value, list) else [value]
    return {match.replace("#", "::") for text in texts if isinstance(text, str) for match in _RUNS.findall(text)}


def reachable_ids(config: BundleConfig, start: str) -> set[str]:
    """Return the ids that are also built when ``start`` is built."""
    waiting, found = [start], set()
    while waiting:
        item_id = waiting.pop().replace("#", "::")
        if item_id not in found:
            found.add(item_id)
            waiting += config.references(config.at(item_id))
    return found


def readable_id(item_id: str) -> str:
    """Return an id in the form that most bundles use.

    Examples:
        >>> readable_id("train::trainer")
        'train#trainer'
    """
    return item_id.replace("::", "#")
