"""The curves of a run as one picture in its folder, like nnU-Net and ultralytics write."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from pathlib import Path

from ignite.engine import Engine, Events

from monai_auxops.drawing.results import Curves, save_results
from monai_auxops.handlers.epoch_viewer import EpochViewer
from monai_auxops.handlers.values import is_number, metrics_of, number_of


class AuxResultsHandler(EpochViewer):
    """A handler that draws ``<log_dir>/results.png`` after each epoch, with training and validation in one panel.

    It needs matplotlib; without it there is no picture and no warning. It starts with the second epoch, because one
    point is not a curve.

    Args:
        evaluator: the engine whose metrics to include, or several of them.
        log_dir: folder for the picture.
    """

    def __init__(self, evaluator: Engine | Iterable[Engine] | None = None, log_dir: str | Path = "./runs") -> None:
        super().__init__(evaluator)
        self.path = Path(log_dir) / "results.png"
        self.curves: Curves = {}

    def _started(self, engine: Engine) -> None:
        if engine.state.epoch == 0:
            self.curves = {}
        if not engine.has_event_handler(self._completed):  # added now, so that it comes after every other handler
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._completed)

    def _completed(self, engine: Engine) -> None:
        self.careful("results.png", self._draw)(engine)

    def _draw(self, engine: Engine) -> None:
        for source in self.sources(engine):
            for name, value in metrics_of(source, "do_summary").items():
                if is_number(value) and math.isfinite(value := number_of(value)):
                    self.curves.setdefault(name, {})[engine.state.epoch] = value
        if max((len(points) for points in self.curves.values()), default=0) < 2:
            return
        with contextlib.suppress(ImportError):
            save_results(self.curves, self.path)
