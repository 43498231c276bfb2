"""MONAI's console and TensorBoard handlers, extended for the values of aux-ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.handlers import StatsHandler, TensorBoardStatsHandler

from monai_auxops.drawing.names import tensorboard_place
from monai_auxops.engine.epochs import training_epoch
from monai_auxops.engine.runs import training_of, training_step
from monai_auxops.handlers.also import WithOthers
from monai_auxops.handlers.class_writers import ClassWriters
from monai_auxops.handlers.values import epoch_numbers, is_number, loss_of, metrics_of, number_of, running_values
from monai_auxops.handlers.viewer import Careful

DEFAULT_INTERVAL = 50  # iterations between two reads of running values, each of which waits for the device
Log = bool | int | Callable[[Engine, int], bool]


def every_50th_or_last(engine: Engine, iteration: int) -> bool:
    """Tell whether an iteration is every 50th, or the last one of a training's epoch that is shorter.

    Without the last one, a training with short epochs would have no loss.
    """
    if iteration % DEFAULT_INTERVAL == 0:
        return True
    length = engine.state.epoch_length or DEFAULT_INTERVAL
    return length < DEFAULT_INTERVAL and iteration % length == 0 and training_of(engine) is engine


class AuxStatsHandler(WithOthers, Careful, StatsHandler):  # type: ignore[misc]
    """MONAI's ``StatsHandler`` that honors ``do_print`` and prints loss and running means every 50th iteration.

    If a training's epochs are shorter, it prints them in the last iteration of each. It takes the same arguments as
    MONAI's. The default ``output_transform`` is ``loss_of``, which works with and without decollation. Epochs are the
    trainer's, not the evaluator's own, unless ``global_epoch_transform`` is given. Each line of an iteration copies its
    values from the device and waits for it, so ``iteration_log`` can be a number of iterations, or a filter; ``True``
    prints every iteration.

    Args:
        iteration_log: True, False, a number of iterations, or a filter ``(engine, iteration) -> bool``.
        *args: as in MONAI.
        output_transform: maps ``engine.state.output`` to the losses.
        also: handlers to attach along with this one, at its place in a handler list.
        **kwargs: as in MONAI; ``epoch_print_logger`` and ``iteration_print_logger`` replace what is printed.

    Examples:
        >>> handler = AuxStatsHandler(iteration_log=10)
    """

    def __init__(
        self,
        iteration_log: Log = every_50th_or_last,
        *args: Any,
        output_transform: Callable[[Any], Any] = loss_of,
        also: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        self.also = also
        log = every_nth(iteration_log)
        super().__init__(log, *args, output_transform=output_transform, **kwargs)
        mine = {
            "epoch_print_logger": self.careful("an epoch's line", self._print_epoch),
            "iteration_print_logger": self.careful("an iteration's line", self._print_iteration),
        }
        replace_none(self, mine)

    def _print_epoch(self, engine: Engine) -> None:
        values = {name: value for name, value in metrics_of(engine, "do_print").items() if is_number(value)}
        epoch = own_epoch(self, engine)
        if values:
            text = "".join(self.key_var_format.format(name, values[name]) for name in sorted(values))
            self.logger.info(f"Epoch[{epoch}] Metrics -- {text}")
        state = engine.state
        if getattr(state, "key_metric_name", None) is not None and hasattr(state, "best_metric_epoch"):
            best = f"best value: {state.best_metric} at epoch: {state.best_metric_epoch}"
            self.logger.info(f"Key metric: {state.key_metric_name} {best}")
        if self.state_attributes:
            text = " ".join(f"{name}: {getattr(state, name, None)}" for name in self.state_attributes)
            self.logger.info(f"State values: {text}")

    def _print_iteration(self, engine: Engine) -> None:
        values = running_values(self, engine, "do_print")
        text = "".join(self.key_var_format.format(name, number_of(value)) for name, value in values.items())
        state, length = engine.state, engine.state.epoch_length
        at = (state.iteration - 1) % length + 1 if length else state.iteration
        epoch, epochs = own_epoch(self, engine), training_of(engine).state.max_epochs
        if text:
            self.logger.info(f"Epoch: {epoch}/{epochs}, Iter: {at}/{length} -- {text}")


class AuxTensorBoardStatsHandler(WithOthers, Careful, TensorBoardStatsHandler):  # type: ignore[misc]
    """MONAI's ``TensorBoardStatsHandler`` that honors ``do_summary``, groups the curves, and plots running means.

    It takes the same arguments, with the same default ``output_transform`` as ``AuxStatsHandler``. The epoch value of
    ``val_dice`` is ``val/dice``, over the trainer's epochs. The classes of a metric share its chart, each with a name
    and a color of its own (a folder ``classes/<class>`` beside the events; of more than 20 classes each has a chart).
    Loss and running means (in ``running/``) are written every 50th iteration, or in the last one of a training's epoch
    that is shorter. NaN is a gap. A metric that equals another one by definition is not drawn twice, unless it is the
    key metric.

    Args:
        summary_writer: use this instead of an own writer in ``log_dir``; then each class has its own chart.
        log_dir: folder for the events.
        iteration_log: True, False, a number of iterations, or a filter ``(engine, iteration) -> bool``.
        *args: as in MONAI.
        output_transform: maps ``engine.state.output`` to the losses.
        also: handlers to attach along with this one, at its place in a handler list.
        **kwargs: as in MONAI; ``epoch_event_writer`` and ``iteration_event_writer`` replace what is written.
    """

    def __init__(
        self,
        summary_writer: Any = None,
        log_dir: str | Path = "./runs",
        iteration_log: Log = every_50th_or_last,
        *args: Any,
        output_transform: Callable[[Any], Any] = loss_of,
        also: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        self.also = also
        log = every_nth(iteration_log)
        super().__init__(summary_writer, str(log_dir), log, *args, output_transform=output_transform, **kwargs)
        mine = {
            "epoch_event_writer": self._write_epoch_carefully,
            "iteration_event_writer": self._write_iteration_carefully,
        }
        replace_none(self, mine)
        self._classes = ClassWriters()

    def attach(self, engine: Engine) -> None:
        """Write the values of ``engine``; the end of the training closes the writer."""
        super().attach(engine)
        engine.add_event_handler(Events.COMPLETED, self._close_after)

    def _close_after(self, engine: Engine) -> None:
        trainer = training_of(engine)
        if trainer is engine:
            self.close()
        elif not trainer.has_event_handler(self._close_at_end, Events.COMPLETED):
            trainer.add_event_handler(Events.COMPLETED, self._close_at_end)

    def _close_at_end(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the writers created here, and their threads; a later value opens another file."""
        super().close()
        self._classes.close()

    def _write_epoch_carefully(self, engine: Engine, writer: Any) -> None:
        self.careful("an epoch's values", lambda each: self._write_epoch(each, writer))(engine)

    def _write_iteration_carefully(self, engine: Engine, writer: Any) -> None:
        self.careful("an iteration's values", lambda each: self._write_iteration(each, writer))(engine)

    def _write_epoch(self, engine: Engine, writer: Any) -> None:
        epoch = own_epoch(self, engine)
        values = epoch_numbers(engine, "do_summary")
        self._classes.write(writer, values, epoch, few=self.internal_writer)
        for name in self.state_attributes or ():
            writer.add_scalar(name, getattr(engine.state, name, None), epoch)
        writer.flush()

    def _write_iteration(self, engine: Engine, writer: Any) -> None:
        step = training_step(engine)
        for name, value in running_values(self, engine, "do_summary", prefix="running/").items():
            running = name.removeprefix("running/")
            tag = f"running/{tensorboard_place(running, few=False)[1]}" if running != name else name
            writer.add_scalar(tag, number_of(value), step)
        writer.flush()


def replace_none(handler: Any, functions: Mapping[str, Callable[..., None]]) -> None:
    """Let MONAI's handler call ``functions`` unless an argument replaced them."""
    for name, function in functions.items():
        if getattr(handler, name) is None:
            setattr(handler, name, function)


def every_nth(log: Log) -> Any:
    """Convert ``iteration_log`` for MONAI, where a number means every nth iteration."""
    if isinstance(log, bool) or callable(log):
        return log
    if log < 1:
        raise ValueError(f"expected iteration_log to be at least 1 iteration, got {log}")

    def is_due(engine: Engine, iteration: int) -> bool:  # noqa: ARG001  # Ignite's signature
        return iteration % log == 0

    return is_due


def own_epoch(handler: Any, engine: Engine) -> Any:
    """Return the trainer's epoch, or the result of the handler's ``global_epoch_transform``."""
    own = handler.global_epoch_transform(engine.state.epoch)
    return training_epoch(engine) if own == engine.state.epoch else own
