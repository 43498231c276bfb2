"""``monai-auxops migrate`` for a bundle that was written for an older MONAI."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from monai_auxops.migrate.bundle import folder
from monai_auxops.migrate.clara4.old_bundle import read_old_bundle, report_files, write_bundle
from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.conversion.project import Project
from monai_auxops.migrate.diagnostics import Log, Outcome, Where
from monai_auxops.migrate.reading.mmar import Mmar
from monai_auxops.migrate.report.model import Model, totals
from monai_auxops.migrate.trial.validate import validate

if TYPE_CHECKING:
    from monai_auxops.migrate.options import MigrateOptions


class Renewal:
    """One run of the command on a bundle of an older MONAI."""

    def __init__(self, source: Path, options: MigrateOptions) -> None:
        self.options = options
        self.project = Project(source, Log(), Mmar(source))
        self.bundle = read_old_bundle(source, self.project.log)
        self.written: Path | None = None

    def run(self) -> None:
        """Say what changed, and write the bundle if one is asked for."""
        version = ".".join(map(str, self.bundle.version))
        changed = f"{len(self.bundle.all_changes)} objects changed" if self.bundle.all_changes else "nothing changed"
        self.project.log.add("CT807", Where(self.project.source.name), f"written for MONAI {version}; {changed} since")
        if self.options.output is not None:
            self.written = self._write(self.options.output)

    def complete(self, model: Model) -> Model:
        """Add to a report what changed."""
        model["files"] = list(report_files(self.bundle))
        model["total"] = totals(self.bundle.all_changes)  # type: ignore[arg-type]
        approximate = any(item.outcome is Outcome.APPROXIMATE for item in self.bundle.all_changes)
        model["exit_code"] = max(model["exit_code"], int(self.options.strict and approximate))
        source = shlex.quote(str(self.project.source))
        model["next"] = [] if self.written else [f"monai-auxops migrate {source} -o my_bundle"]
        if self.written is not None:
            model["written"] = str(self.written)
        return model

    def _write(self, output: Path) -> Path | None:
        """Write the complete bundle, or nothing."""
        log = self.project.log
        try:
            folder.check_free(output, self.options.force)
        except folder.BundleExistsError:
            log.add("CT703", Where(str(output)), "the folder is not empty; nothing was written")
        if output.resolve().is_relative_to(self.project.source.resolve()):
            log.add("CT703", Where(str(output)), "the folder is inside the bundle; nothing was written")
        if log.worst() is Severity.FATAL:
            return None
        staged = folder.staging(output)
        try:
            write_bundle(self.bundle, staged)
            for problem in validate(staged) if self.options.validate else []:
                log.add("CT806", Where("bundle"), problem)
            folder.publish(staged, output)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return output
