"""The base of handlers that show the values of a training's epochs, of the trainer and of its evaluators."""

from __future__ import annotations

from collections.abc import Iterable

from ignite.engine import Engine, Events

from monai_auxops.core import ranks
from monai_auxops.engine.epochs import training_epoch
from monai_auxops.handlers.curves import engines_of
from monai_auxops.handlers.viewer import Careful


class EpochViewer(Careful):
    """Base class of handlers that read the values of a trainer's epochs on the first rank, without a collective.

    Args:
        evaluator: the engine whose values to add in epochs in which it ran, or several of them.
    """

    def __init__(self, evaluator: Engine | Iterable[Engine] | None = None) -> None:
        self.evaluators = engines_of(evaluator)
        self._ran: dict[int, int] = {}  # by evaluator, the trainer's epoch in which it last ran

    def attach(self, engine: Engine) -> None:
        """Show the epochs of ``engine``, a trainer."""
        if ranks.is_first():
            engine.add_event_handler(Events.STARTED, self._started)
            for evaluator in self.evaluators:
                evaluator.add_event_handler(Events.COMPLETED, self._validated)

    def _validated(self, evaluator: Engine) -> None:
        self._ran[id(evaluator)] = training_epoch(evaluator)

    def _started(self, engine: Engine) -> None:
        """Add the handlers of the epoch's end now, so that they come after every other handler."""
        raise NotImplementedError

    def sources(self, trainer: Engine) -> list[Engine]:
        """Return the engines that have values of the trainer's epoch: itself, and the evaluators that ran in it."""
        epoch = trainer.state.epoch
        return [trainer, *(each for each in self.evaluators if self._ran.get(id(each)) == epoch)]
