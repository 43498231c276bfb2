"""An MMAR after reading: what the report shows and what the bundle is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_auxops.migrate.conversion.network import Answers
from monai_auxops.migrate.conversion.roles import Roles

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import ConvertedConfig
    from monai_auxops.migrate.conversion.convert import Converted
    from monai_auxops.migrate.diagnostics import Log
    from monai_auxops.migrate.reading.datalist import DataList
    from monai_auxops.migrate.reading.mmar import Mmar
    from monai_auxops.migrate.reading.scripts import ScriptRun


@dataclass(slots=True)
class Project:
    """A converted MMAR."""

    source: Path
    log: Log
    mmar: Mmar
    configs: list[ConvertedConfig] = field(default_factory=list)
    train: ConvertedConfig | None = None
    evaluate: ConvertedConfig | None = None
    runs: list[ScriptRun] = field(default_factory=list)
    data: DataList | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    infer: ConvertedConfig | None = None
    roles: Roles = field(default_factory=Roles)
    data_is_missing: bool = True
    carried: str = ""

    @property
    def used(self) -> list[ConvertedConfig]:
        """The configurations that the bundle is made of, each file once."""
        found = {config.file: config for config in (self.train, self.infer, self.evaluate) if config is not None}
        return [config for config in self.configs if config.file in found]

    @property
    def entries(self) -> list[Converted]:
        """All occurrences of components, of all configurations."""
        return [entry for config in self.configs for entry in config.entries]
