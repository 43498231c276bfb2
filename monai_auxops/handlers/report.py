"""One handler for everything that ``monai-auxops report`` shows besides the curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from monai_auxops.core import ranks
from monai_auxops.engine.runs import training_of
from monai_auxops.handlers.best import BestSet
from monai_auxops.handlers.confusion import AuxConfusionHandler
from monai_auxops.handlers.curves import AuxCurvesHandler, engines_of
from monai_auxops.handlers.results import AuxResultsHandler
from monai_auxops.handlers.run_facts import AuxRunFactsHandler
from monai_auxops.handlers.viewer import Viewer
from monai_auxops.handlers.worst_cases import AuxWorstCasesHandler


class AuxReportHandler(Viewer):
    """A handler that writes what ``monai-auxops report`` shows besides the curves of ``AuxTensorBoardStatsHandler``.

    It writes run facts, ``results.png``, and pictures and confusion matrices of the best epoch so far, of every
    ``interval``-th validation and of the last epoch. Attach it to the trainer. Each part is also available as its own
    handler. Parts that do not fit an evaluator (a matrix of overlapping labels, pictures of vectors) are left out with
    a warning, and no part ever stops the training. ``docs/formats.md`` describes the files.

    Args:
        evaluator: the engine whose cases are shown; with several, the others go to folders ``<log_dir>/2`` and so on.
            Without one there are neither pictures nor a matrix, with a warning; ``[]`` says that it is intended.
        interval: a number of validations.
        class_names: names of all classes, or of all but the background; default those of the aux-ops.
        tag: the tag or metric name that tells how bad a case is; default the evaluator's first.
        worst: how many cases to draw; with 0 there are no pictures of cases.
        matrix: whether to count a confusion matrix.
        config: a JSON-compatible description of the run, or the path of a configuration file.
        log_dir: folder for all files.
        summary_writer: use this instead of an own writer in ``log_dir``.
        case_key: the key of the batch that names a case; default the image's file, or a running number.
        threshold: threshold of one channel if no aux-op of the evaluator says so.

    Raises:
        ValueError: an interval below one epoch.

    Examples:
        >>> from ignite.engine import Engine
        >>> import tempfile
        >>> trainer = Engine(lambda engine, batch: {"loss": 1.0})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     AuxReportHandler([], log_dir=folder).attach(trainer)
        ...     _ = trainer.run([0], max_epochs=2)
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['run.json']
    """

    def __init__(
        self,
        evaluator: Engine | Sequence[Engine] | None = None,
        interval: int = 5,
        class_names: Sequence[str] | None = None,
        tag: str | None = None,
        worst: int = 3,
        matrix: bool = True,
        config: Any = None,
        log_dir: str | Path = "./runs",
        summary_writer: Any = None,
        *,
        case_key: str | None = None,
        threshold: float | None = None,
    ) -> None:
        super().__init__(log_dir, summary_writer)
        if interval < 1:
            raise ValueError(f"AuxReportHandler: expected interval to be at least 1 epoch, got {interval}")
        self.evaluators, self.interval = engines_of(evaluator), interval
        self._lacks_evaluator = evaluator is None
        self.class_names, self.tag, self.worst, self.matrix = class_names, tag, worst, matrix
        self.config, self.case_key, self.threshold = config, case_key, threshold

    def attach(self, engine: Engine) -> None:
        """Attach the parts, which share one writer."""
        if not ranks.is_first():
            return
        if self._lacks_evaluator:
            self.leave_out("pictures and confusion matrix", "expected evaluator= to be the engine that validates")
        names = None if self.class_names is None else list(self.class_names)
        AuxRunFactsHandler(self.evaluators, self.log_dir, self.config, names).attach(engine)
        super().attach(engine)  # closes the writer
        AuxResultsHandler(self.evaluators, self.log_dir).attach(engine)
        if self.evaluators:
            AuxCurvesHandler(self.evaluators, self.log_dir).sharing(self).attach(engine)
        for number, evaluator in enumerate(self.evaluators, 1):
            self._show_cases(evaluator, engine, number)

    def register(self, engine: Engine) -> None:
        """Do nothing, because the parts register themselves."""

    def _show_cases(self, evaluator: Engine, trainer: Engine, number: int) -> None:
        folder = self.log_dir if number == 1 else self.log_dir / str(number)
        due, best = every_validation(evaluator, trainer, self.interval), BestSet(folder)
        given: dict[str, Any] = {"log_dir": folder, "threshold": self.threshold, "best": best}
        parts: list[Viewer] = []
        if self.worst:
            parts.append(AuxWorstCasesHandler(due, self.tag, self.worst, case_key=self.case_key, **given))
        if self.matrix:
            parts.append(AuxConfusionHandler(due, self.class_names, **given))
        for part in parts:
            (part.sharing(self) if number == 1 else part).attach(evaluator)


def every_validation(evaluator: Engine, trainer: Engine, interval: int) -> Any:
    """Return a function that tells whether an epoch is every ``interval``-th validation, or the trainer's last."""
    seen: list[int] = []

    def note(engine: Engine) -> None:
        seen.append(int(training_of(engine).state.epoch))

    def is_due(epoch: int) -> bool:
        return epoch == trainer.state.max_epochs or (len(set(seen)) % interval == 0 and bool(seen))

    evaluator.add_event_handler(Events.EPOCH_STARTED, note)
    return is_due
