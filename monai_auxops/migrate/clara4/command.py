"""``monai-auxops migrate`` for an MMAR of Clara Train 4: read, check, write."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.bundle import folder
from monai_auxops.migrate.clara4 import report
from monai_auxops.migrate.clara4.aux_ops import would_add
from monai_auxops.migrate.clara4.bundle import files
from monai_auxops.migrate.clara4.config import Role
from monai_auxops.migrate.clara4.old_bundle import is_old
from monai_auxops.migrate.clara4.project import has_clara4, read_mmar4
from monai_auxops.migrate.clara4.renewal import Renewal
from monai_auxops.migrate.clara4.sections import data_root
from monai_auxops.migrate.clara4.trial import check_bundle
from monai_auxops.migrate.clara4.weights import ask, copy_weights, find_weights
from monai_auxops.migrate.clara4.wiring import weights_name
from monai_auxops.migrate.codes import Severity
from monai_auxops.migrate.diagnostics import Where
from monai_auxops.migrate.encode import UnsafeKeyError
from monai_auxops.migrate.options import repeated
from monai_auxops.migrate.report.model import Model, commands_for_each, migrate_command, totals
from monai_auxops.migrate.trial.validate import validate

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.project import Project
    from monai_auxops.migrate.options import MigrateOptions


_NO_DEFINITION: Final = "network_def is missing"
"""What MONAI says of a bundle whose network is in a TorchScript file."""


class Migration:
    """One run of the command on an MMAR of Clara Train 4."""

    def __init__(self, project: Project, options: MigrateOptions) -> None:
        self.project, self.options = project, options
        self.mmar = read_mmar4(project, options.settings, options.env, options.trust_code, options.only)
        self.weights = find_weights(self.mmar)
        self.failed = False
        self.written: Path | None = None

    def run(self) -> None:
        """Write the bundle, check it, or only report what could be done."""
        self._say_what_else()
        if self.options.output is not None:
            self.written = self._write(self.options.output)
        if self.options.check:
            self.failed = self._check() or self.failed

    def complete(self, model: Model) -> Model:
        """Add to a report what there is of Clara Train 4."""
        model["files"] += report.files(self.mmar)
        model["total"] = totals([*self.project.entries, *self.mmar.items])  # type: ignore[list-item]
        model["weights"] = []
        model["chosen"] = Role.TRAIN in self.mmar.chosen or len(self._trains()) < 2
        needs_work = report.needs_work(self.mmar, self.options.strict)
        model["exit_code"] = max(model["exit_code"], int(needs_work), int(self.failed))
        model["next"] = self._next()
        if self.written is not None:
            model["written"] = str(self.written)
        return model

    def _say_what_else(self) -> None:
        config = self.mmar.chosen.get(Role.TRAIN)
        added = would_add(config) if config is not None and not self.options.aux_ops else ""
        if config is not None and added:
            self.mmar.log.add("CT803", Where(config.file), added)
        main = self.mmar.main
        if main is not None and config is None and not self.weights.files and main.first("", "model") is None:
            self.mmar.log.add("CT804", Where(main.file), "neither the network nor its weights are here")
        for config in self.mmar.chosen.values():
            if config.weights and config.all_models_off:
                self.mmar.log.add("CT804", Where(config.file), "every model is disabled; the first one is loaded")

    def _texts(self) -> dict[str, str] | None:
        try:
            return files(self.mmar, self.weights, self.options.aux_ops, self.options.trust_code)
        except UnsafeKeyError as error:
            self.mmar.log.add("CT602", Where(self.project.source.name), f"MONAI would interpret the key {error}")
            return None

    def _writable(self) -> bool:
        trains = [config.file for config in self.mmar.configs if config.role is Role.TRAIN]
        if Role.TRAIN not in self.mmar.chosen and trains:
            message = f"{len(trains)} training configurations, none named config_train.json; nothing was written"
            self.mmar.log.add("CT707", Where(self.project.source.name), message)
        return self.mmar.log.worst() is not Severity.FATAL

    def _write(self, output: Path) -> Path | None:
        """Write the complete bundle, or nothing."""
        try:
            folder.check_free(output, self.options.force)
        except folder.BundleExistsError:
            self.mmar.log.add("CT703", Where(str(output)), "the folder is not empty; nothing was written")
        texts = self._texts() if self._writable() else None
        if texts is None:
            return None
        staged = folder.staging(output)
        try:
            folder.write(texts, staged)
            copy_weights(self.mmar, self.weights, staged)
            if self.options.validate and not self._valid(staged):
                return None
            self.failed = not self._fits(staged)
            folder.publish(staged, output)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return output

    def _valid(self, staged: Path) -> bool:
        problems = validate(staged)
        broken = [problem for problem in problems if not problem.endswith(_NO_DEFINITION)]
        for problem in problems:
            self.mmar.log.add("CT702" if problem in broken else "CT806", Where("bundle"), problem)
        return not broken

    def _check(self) -> bool:
        """Run the bundle, and load the weights strictly; return True if anything failed."""
        texts = self._texts() if self._writable() else None
        if texts is None:
            return True
        with tempfile.TemporaryDirectory(prefix="monai-auxops-check-") as place:
            bundle = Path(place) / "bundle"
            folder.write(texts, bundle)
            copy_weights(self.mmar, self.weights, bundle)
            fits = self._fits(bundle)
            return check_bundle(self.mmar, Path(place)) or not fits

    def _fits(self, bundle: Path) -> bool:
        if not (bundle / "models").is_dir() or any(item.manual for item in self.mmar.used if item.active):
            return True
        answer = ask(["fit", str(bundle), self._checkpoint()])
        if answer.get("error"):
            self.mmar.log.add("CT808", Where("models"), str(answer["error"]))
            return False
        self.mmar.log.add("CT802", Where("models"), str(answer["said"]))
        return True

    def _checkpoint(self) -> str:
        main = self.mmar.main
        return weights_name(str(main.variables.values.get("MMAR_CKPT", ""))) if main is not None else ""

    def _next(self) -> list[str]:
        """Return the commands to run next."""
        source, given = self.project.source, repeated(self.options)
        if self.written is not None:
            first = "train" if Role.TRAIN in self.mmar.chosen else "evaluate"
            where = shlex.quote(str(self.written))
            return [f"cd {where}", f"python -m monai.bundle run --config_file configs/{first}.json{self._given()}"]
        fatal = {item.code for item in self.mmar.log.items if item.severity is Severity.FATAL} - {"CT707"}
        if fatal:
            return []
        if self.mmar.main is not None and (Role.TRAIN in self.mmar.chosen or not self._trains()):
            return [migrate_command(source, Path("my_bundle"), given)]
        output = self.options.output or Path("my_bundle")
        evaluation = self.mmar.chosen.get(Role.EVALUATE)
        beside = evaluation.file if evaluation is not None else None
        return commands_for_each(self._trains(), beside, self.project.mmar.paths, output, given)

    def _trains(self) -> list[str]:
        return [config.file for config in self.mmar.configs if config.role is Role.TRAIN]

    def _given(self) -> str:
        main = self.mmar.main
        root = data_root(main) if main is not None else ""
        known = self.mmar.data is not None and root and "{" not in root
        return "" if known else " --dataset_dir DATA --datalist DATA/dataset.json"


def migration(project: Project, options: MigrateOptions) -> Migration | Renewal | None:
    """Return the migration of an MMAR of Clara Train 4 or of an older MONAI's bundle, or None for anything else."""
    if is_old(options.source):
        return Renewal(options.source, options)
    return Migration(project, options) if has_clara4(project.mmar) else None
