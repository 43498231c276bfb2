"""The files of a report: the run that its cases belong to, and a name that no other report of that run uses."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.distributed as dist

from monai_auxops.cases.table import CaseFile, latest_run
from monai_auxops.core import ranks
from monai_auxops.engine.runs import continue_run, is_resumed, known_run, new_run_id, run_id, training_of

if TYPE_CHECKING:
    from ignite.engine import Engine

_writers: weakref.WeakValueDictionary[tuple[Path, str], ReportFiles] = weakref.WeakValueDictionary()


class ReportFiles:
    """The files that one report writes in a folder: a growing table, and two texts of the latest epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, ""
        self._last: tuple[str, int] | None = None
        self._table = CaseFile(folder / "none")
        self._training: weakref.ref[Engine] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the engine."""
        return self.__dict__ | {"_training": None}

    @property
    def training(self) -> Engine | None:
        """The training that these files were last written for."""
        return None if self._training is None else self._training()

    def run_of(self, engine: Engine | None, stem: str, epoch: int) -> str:
        """Return the run of the cases of ``epoch``: that of the engine's training, or an own one for a plain loop."""
        if engine is None:
            self.run = self.run or new_run_id()
            return self.run
        if known_run(engine) is None:
            earlier = latest_run(self.folder / f"{stem}_cases.csv", epoch) if is_resumed(engine) else None
            if self.run or earlier:
                continue_run(engine, self.run or str(earlier))
        elif self._last is not None and self._last[0] == known_run(engine) and epoch < self._last[1]:
            continue_run(engine, new_run_id())  # the same objects start another training
        self.run = run_id(engine)
        self._last = self.run, epoch
        return self.run

    def stem_of(self, engine: Engine | None, stem: str, epoch: int) -> str:
        """Return the name of the files, with a number if another engine of the same run uses it."""
        run, number, own = self.run_of(engine, stem, epoch), 1, stem
        while not self._claims((self.folder.resolve() / own, run), engine):
            number += 1
            own = f"{stem}_{number}"
        return own

    def _claims(self, key: tuple[Path, str], engine: Engine | None) -> bool:
        """Claim the files for these cases; False if another report of the same training is using them."""
        other, training = _writers.get(key), None if engine is None else training_of(engine)
        self._training = None if training is None else weakref.ref(training)
        if other is not None and other is not self and training is not None and other.training is training:
            return False
        _writers[key] = self
        return True

    def table(self, stem: str) -> CaseFile:
        """Return the table that this process appends to; other ranks than the first remove theirs after the epoch."""
        path = self.folder / f"{stem}_cases.csv"
        if not ranks.is_first():
            path = path.with_suffix(f".rank{dist.get_rank()}.{os.getpid()}.csv")
        if path != self._table.path:
            self._table = CaseFile(path)
        return self._table

    def write_texts(self, stem: str, raw: str, summary: str) -> None:
        """Replace Clara's two files."""
        for kind, content in (("raw", raw), ("summary", summary)):
            path = self.folder / f"{stem}_{kind}_results.txt"
            new = path.with_name(f"{path.name}.{os.getpid()}.new")
            new.write_text(content, encoding="utf-8", newline="\n")
            new.replace(path)
