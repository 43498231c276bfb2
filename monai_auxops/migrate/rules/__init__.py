"""The migration tables, one per section of Clara's configuration, and how to find a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from monai_auxops.migrate.rules.aux_ops import AUX_OPS
from monai_auxops.migrate.rules.base import Caveat, Each, Param, Rule, Section, T, Target
from monai_auxops.migrate.rules.cropping import CROPPING
from monai_auxops.migrate.rules.examples import documented
from monai_auxops.migrate.rules.inference import HANDLERS, INFERERS, LOADERS, WRITERS
from monai_auxops.migrate.rules.intensity import INTENSITY
from monai_auxops.migrate.rules.labels import LABELS
from monai_auxops.migrate.rules.loading import LOADING
from monai_auxops.migrate.rules.losses import LOSSES
from monai_auxops.migrate.rules.lr_policies import LR_POLICIES
from monai_auxops.migrate.rules.metrics import METRICS
from monai_auxops.migrate.rules.models import MODELS
from monai_auxops.migrate.rules.optimizers import OPTIMIZERS
from monai_auxops.migrate.rules.pipelines import PIPELINES
from monai_auxops.migrate.rules.spatial import SPATIAL
from monai_auxops.migrate.rules.values import OMIT, REQUIRED, A, Call, F

__all__ = [
    "OMIT", "REQUIRED", "RULES",
    "A", "Call", "Caveat", "Each", "F", "Param", "Rule", "RuleBook", "Section", "T", "Target",
]  # fmt: skip

_ROWS: Final[tuple[Rule, ...]] = (
    *LOSSES,
    *MODELS,
    *OPTIMIZERS,
    *LR_POLICIES,
    *LOADING,
    *SPATIAL,
    *CROPPING,
    *INTENSITY,
    *LABELS,
    *PIPELINES,
    *AUX_OPS,
    *METRICS,
    *INFERERS,
    *LOADERS,
    *WRITERS,
    *HANDLERS,
)


RULES: Final[tuple[Rule, ...]] = tuple(documented(rule) for rule in _ROWS)
TLT_MODULES: Final = frozenset(
    {"transforms", "losses", "models", "optimizers", "lr_policies", "metrics", "inferers", "writers", "image_pipelines"}
)
"""Modules that TLT 1.x wrote before the name of a class."""
CLARA_PACKAGE: Final = "ai4med.components."
"""The package of Clara Train's own components."""


class RuleBook:
    """Finds the row of a component; a user's own rows come first."""

    def __init__(self, own: Iterable[Rule] = ()) -> None:
        self.rules = (*own, *RULES)
        self._rows: dict[tuple[Section, str], Rule] = {}
        for rule in self.rules:
            for name in (rule.name, *rule.also):
                self._rows.setdefault((rule.section, name), rule)

    def find(self, section: Section, name: str) -> Rule | None:
        """Return the row of a component, whose whole name is its identity.

        TLT 1.x wrote ``transforms.LoadNifty`` where later files have the last part.
        """
        module, _, last = name.rpartition(".")
        return self._rows.get((section, last if module in TLT_MODULES else name))

    def find_path(self, section: Section, path: str) -> Rule | None:
        """Return the row of an importable path: a user's own row of that path, or a class of Clara's own package.

        A path that merely ends in the name of a built-in class is somebody's own class.
        """
        found = self._rows.get((section, path))
        if found is not None or not path.startswith(CLARA_PACKAGE):
            return found
        return self._rows.get((section, path.rpartition(".")[2]))

    def sections_of(self, name: str) -> list[Section]:
        """Return the sections that know a component."""
        return [section for section, known in self._rows if known == name]

    def names(self, section: Section | None = None) -> Mapping[str, Rule]:
        """Return all names, older ones included, with their rows."""
        return {name: rule for (found, name), rule in self._rows.items() if section in (None, found)}
