"""One handler for all that ``monai-auxops report`` shows beside the curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine

from monai_auxops.handlers.confusion import AuxConfusionHandler
from monai_auxops.handlers.curves import AuxCurvesHandler
from monai_auxops.handlers.recorder import Recorder
from monai_auxops.handlers.run_facts import AuxRunFactsHandler
from monai_auxops.handlers.worst_cases import AuxWorstCasesHandler


class AuxReportHandler(Recorder):
    """Leaves in ``log_dir`` what ``monai-auxops report`` shows beside the curves of ``AuxTensorBoardStatsHandler``.

    Run facts, curves grouped by class, and in every ``interval``-th epoch and the last one the confusion matrix and the
    worst cases of the evaluator. Attached to the trainer. Each of the four is a handler of its own, too.

    Args:
        evaluator: whose cases are shown.
        interval: a number of epochs.
        class_names: of all classes, the background too.
        tag: the aux-op's output that tells how bad a case is; default the evaluator's first.
        worst: how many cases are drawn.
        matrix: whether to count a confusion matrix; only for classes that exclude each other, with index labels.
        config: anything JSON can hold that describes the run, or the path of a configuration file.
        log_dir: where everything goes.
        summary_writer: use this instead of an own writer in ``log_dir``.

    >>> from ignite.engine import Engine
    >>> import tempfile
    >>> trainer = Engine(lambda engine, batch: {"loss": 1.0})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     AuxReportHandler(log_dir=folder).attach(trainer)
    ...     _ = trainer.run([0], max_epochs=2)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['run.json']
    """

    def __init__(
        self,
        evaluator: Engine | None = None,
        interval: int = 5,
        class_names: Sequence[str] | None = None,
        tag: str | None = None,
        worst: int = 3,
        matrix: bool = True,
        config: Any = None,
        log_dir: str | Path = "./runs",
        summary_writer: Any = None,
    ) -> None:
        super().__init__(log_dir, summary_writer)
        if interval < 1:
            raise ValueError(f"AuxReportHandler: expected interval to be at least 1 epoch, got {interval}")
        self.evaluator, self.interval = evaluator, interval
        self.class_names, self.tag, self.worst, self.matrix = class_names, tag, worst, matrix
        self.config = config

    def register(self, engine: Engine) -> None:
        """Attach the parts, which share one writer."""
        names = None if self.class_names is None else list(self.class_names)
        AuxRunFactsHandler(self.evaluator, self.log_dir, self.config, names).attach(engine)
        if self.evaluator is None:
            return

        def is_due(epoch: int) -> bool:
            return epoch % self.interval == 0 or epoch == engine.state.max_epochs

        shared: dict[str, Any] = {"log_dir": self.log_dir, "summary_writer": self.writer}
        AuxCurvesHandler(self.evaluator, **shared).attach(engine)
        if self.matrix:
            AuxConfusionHandler(is_due, names, **shared).attach(self.evaluator)
        AuxWorstCasesHandler(is_due, self.tag, self.worst, **shared).attach(self.evaluator)
