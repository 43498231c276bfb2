"""The report of an aux-op on its cases: Clara's two files, and a table with everything its engine measured."""

from __future__ import annotations

import math
import os
import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from ignite.engine import Engine, Events
from torch import Tensor
from torch.utils.data import DistributedSampler

from monai_auxops.cases.clara import raw_line, summary_text
from monai_auxops.cases.names import case_names, case_names_in_context, files_of
from monai_auxops.cases.pending import PendingCopies
from monai_auxops.cases.report_files import ReportFiles
from monai_auxops.cases.table import Case, EpochCases
from monai_auxops.core import ranks
from monai_auxops.drawing.names import file_name
from monai_auxops.engine.epochs import training_epoch
from monai_auxops.engine.hub import Hub
from monai_auxops.engine.runs import continue_run

if TYPE_CHECKING:
    from monai_auxops.core.context import BuildContext


class HasEpochTags(Protocol):
    """An aux-op or metric."""

    @property
    def epoch_tags(self) -> tuple[str, ...] | None:
        """The tags that have an epoch value; None while they are unknown."""


class CaseReport:
    """A collector of one value per case that writes three files.

    ``<name>_raw_results.txt`` and ``<name>_summary_results.txt`` are Clara's, of the latest epoch.
    ``<name>_cases.csv`` grows while cases arrive: epoch, files, the value, and on an engine the values per sample of
    its other aux-ops. Values are copied to the host asynchronously. A full disk causes one warning and does not stop
    the training.

    Args:
        op: the aux-op that measures the cases; its ``name``, or its first tag, names the files.
        folder: created if necessary; ``ValueError`` at once, not after the epoch, if it is not writable.
        case_key: the key of the batch that names a case; default the files of the image, or a running number.
    """

    def __init__(self, op: HasEpochTags, folder: str | Path, case_key: str | None = None) -> None:
        self.op, self.folder, self.case_key = op, Path(folder), case_key
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.folder, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            raise ValueError(f"expected report_path to be a folder that can be written to, got {folder}")
        self._engine: weakref.ref[Engine] | None = None
        self._arriving, self._cases, self._columns = PendingCopies(), list[Case](), list[str]()
        self._epoch, self._files = 1, ReportFiles(self.folder)
        self._failed = False

    @property
    def name(self) -> str:
        """The name in the file names."""
        tags = self.op.epoch_tags or [column.rpartition("/")[0] or column for column in self._columns]
        return str(getattr(self.op, "name", None) or next(iter(tags), type(self.op).__name__))

    @property
    def stem(self) -> str:
        """The name as part of a file's name."""
        return file_name(self.name)

    def watch(self, engine: Engine) -> None:
        """Read epoch number, column names and the values of other aux-ops from ``engine``."""
        self._engine = weakref.ref(engine)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)  # the hub's own handler was added before

    def unwatch(self) -> None:
        """Undo ``watch``."""
        engine, self._engine = self.engine, None
        if engine is not None:
            engine.remove_event_handler(self.collect, Events.ITERATION_COMPLETED)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the engine and pending copies."""
        return self.__dict__ | {"_engine": None, "_arriving": PendingCopies()}

    @property
    def engine(self) -> Engine | None:
        """The engine whose cases these are; None in a plain loop."""
        return None if self._engine is None else self._engine()

    def reset(self) -> None:
        """Discard all cases."""
        self._epoch += bool(self._cases)
        self._arriving.clear()
        self._cases = []

    def add(self, values: Mapping[str, Tensor], build_ctx: BuildContext) -> None:
        """Add the values ``[B]`` of a batch in a plain loop, and write those of earlier batches that have arrived."""
        if values:
            size = build_ctx.batch_size
            self._send(case_names_in_context(build_ctx, self.case_key, size), [""] * size, values)

    def collect(self, engine: Engine) -> None:
        """Add the values that the engine's aux-ops measured in this iteration."""
        hub = Hub.of(engine)
        own = [] if hub is None else hub.columns_of(self.op)
        values = {} if hub is None else hub.case_values()
        first = next((name for name in own if name in values), None)
        if hub is None or first is None:
            return
        values = {first: values[first]} | without_equal_columns(values, hub, first)
        size = len(values[first])
        output, batch = engine.state.output, engine.state.batch
        names = case_names(output, batch, self.case_key, size, self._count)
        labels = files_of(output, "label", size) or files_of(batch, "label", size) or [""] * size
        self._send(names, labels, {name: column for name, column in values.items() if len(column) == size})

    @property
    def _count(self) -> int:
        return len(self._cases) + sum(len(names) for (names, _), _, _ in self._arriving._queue)

    def _send(self, names: Sequence[str], labels: Sequence[str], values: Mapping[str, Tensor]) -> None:
        self._columns = self._columns or list(values)
        own = values[self._columns[0]]
        missing = torch.full_like(own, math.nan, dtype=torch.float64 if own.device.type == "cpu" else torch.float32)
        table = torch.stack([values.get(name, missing).to(missing) for name in self._columns], 1)
        self._arriving.send((names, labels), table.detach())
        self._take()

    def _take(self, wait: bool = False) -> None:
        """Append the cases whose values have arrived on the host to the file."""
        first = len(self._cases)
        for (names, labels), table in self._arriving.arrived(wait):
            for name, label, values in zip(names, labels, table, strict=True):
                self._cases.append(Case(name or str(len(self._cases)), label, tuple(values)))
        if len(self._cases) > first:
            self._safely(lambda: self._files.table(self._own_stem()).append(self._block(self._cases[first:])))

    def _block(self, cases: Sequence[Case]) -> EpochCases:
        run = self._files.run_of(self.engine, self.stem, self.epoch)
        return EpochCases(self.epoch, run, tuple(self._columns or [self.name]), tuple(cases))

    def _own_stem(self) -> str:
        return self._files.stem_of(self.engine, self.stem, self.epoch)

    @property
    def epoch(self) -> int:
        """The trainer's epoch; in a plain loop the number of resets after a case, from 1."""
        return self._epoch if self.engine is None else training_epoch(self.engine)

    def write(self, gather: ranks.Gather) -> None:
        """Write all files on rank 0 with the cases of all ranks; one gather."""
        self._take(wait=True)
        cases = self._cases if self.engine is None else without_padding(self._cases, self.engine)
        parts = gather((self._columns, cases, [case.values for case in self._cases]))
        columns = next((columns for columns, _, _ in parts if columns), [self.name])
        self._columns = self._columns or list(columns)
        all_cases = [case for _, cases, _ in parts for case in cases]
        rows = [row for _, _, rows in parts for row in rows]
        self._keep_details(rows)
        self._safely(lambda: self._write_all(all_cases, [row[0] for row in rows]))

    def _keep_details(self, rows: Sequence[Sequence[float]]) -> None:
        """Store the value of each class and case where MONAI's metrics do, for its ``MetricsSaver``.

        They are in the order in which it collects file names: rank by rank, including repeated samples.
        """
        details = getattr(getattr(self.engine, "state", None), "metric_details", None)
        if isinstance(details, dict) and rows:
            name = self._columns[0]
            classes = [index for index, column in enumerate(self._columns) if column.startswith(f"{name}/")]
            details[name] = torch.tensor([[row[index] for index in classes or [0]] for row in rows])

    def _write_all(self, cases: Sequence[Case], measured: Sequence[float]) -> None:
        stem = self._own_stem()
        file = self._files.table(stem)
        if not ranks.is_first():
            file.remove()
            return
        if self.op.epoch_tags:
            raw = "".join(raw_line(case.file, float32_text(case.values[0])) for case in cases)
            self._files.write_texts(stem, raw, summary_text(self.name, measured))
        file.finish(self._block(cases))

    def write_scores(
        self, cases: Sequence[str], scores: Iterable[Sequence[float]], labels: Iterable[Sequence[float]], value: float
    ) -> None:
        """Write scores and labels of each case, and a value that only the cases together have."""
        lines = zip(cases, scores, labels, strict=True)
        raw = "".join(raw_line(case, ",".join(map(str, x)), ",".join(map(str, y))) for case, x, y in lines)
        summary = f"{self.name} (of {len(cases)} cases):\n{value:.3f}\n"
        if ranks.is_first():
            self._safely(lambda: self._files.write_texts(self._own_stem(), raw, summary))

    def _safely(self, write: Any) -> None:
        try:
            write()
        except OSError as error:  # a full disk, a deleted folder: keep the values and continue the training
            if not self._failed:
                warnings.warn(f"cannot write the report of {self.name!r} to {self.folder}: {error}", stacklevel=4)
            self._failed = True

    def state_dict(self) -> dict[str, Any]:
        """Return the cases of the epoch so far, and their run."""
        self._take(wait=True)
        cases = [[case.file, case.label_file, *case.values] for case in self._cases]
        return {"run": self._files.run, "epoch": self._epoch, "columns": list(self._columns), "cases": cases}

    def load_state_dict(self, state: Mapping[str, Any], is_open: bool) -> None:
        """Continue the run, and its cases if the epoch is still open."""
        self.reset()
        self._files.run, self._epoch, self._columns = str(state["run"]), int(state["epoch"]), list(state["columns"])
        if is_open:
            self._cases = [Case(file, label, tuple(values)) for file, label, *values in state["cases"]]
        if self.engine is not None and self._files.run:
            continue_run(self.engine, self._files.run)


def is_per_case(value: Tensor, size: int) -> bool:
    """Tell whether each case has a value of its own: not one value for the whole batch, repeated."""
    return value.numel() == size and (size == 1 or value.stride(0) != 0)


def without_equal_columns(values: Mapping[str, Tensor], hub: Hub, column: str) -> dict[str, Tensor]:
    """Drop columns that equal another one by definition; ``column``, the report's own, is kept."""
    same = hub.equal_names()
    twice = {same.get(column), *(name for name in values if name in same)} - {column}
    return {name: value for name, value in values.items() if name not in twice}


def without_padding(cases: Sequence[Case], engine: Engine) -> list[Case]:
    """Drop the cases that a sampler repeats at the end so that every rank has equally many."""
    sampler = getattr(engine.state.dataloader, "sampler", None)
    if not isinstance(sampler, DistributedSampler) or len(cases) != len(sampler):
        return list(cases)
    real = range(sampler.rank, len(sampler.dataset), sampler.num_replicas)  # type: ignore[arg-type]
    return list(cases[: len(real)])


def float32_text(value: float) -> str:
    """Format a value with the digits that float32 has.

    Examples:
        >>> float32_text(0.6666666865348816), float32_text(1.0), float32_text(float("nan"))
        ('0.6666667', '1.0', 'nan')
    """
    return repr(float(f"{value:.7g}"))
