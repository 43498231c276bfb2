"""MONAI's console and TensorBoard handlers, which also know what an aux-op wants to show."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ignite.engine import Engine
from monai.handlers import StatsHandler, TensorBoardStatsHandler

from monai_auxops.engine.hub import Hub


def loss_of(output: Any) -> Any:
    """The loss in an engine's output: a dict, MONAI's decollated list of dicts, or ``(y_pred, y, loss)``; else None.

    >>> loss_of([{"loss": 0.5}]), loss_of({"loss": 0.5}), loss_of({"pred": 1})
    (0.5, 0.5, None)
    """
    if isinstance(output, list) and output and isinstance(output[0], dict):
        output = output[0]
    if isinstance(output, dict):
        return output.get("loss")
    return output[2] if isinstance(output, tuple) and len(output) == 3 else None


class AuxStatsHandler(StatsHandler):  # type: ignore[misc]
    """MONAI's ``StatsHandler``: honours ``do_print``, and prints the running means while an epoch runs.

    Takes the same arguments. The default ``output_transform`` is :func:`loss_of`, which works with and without
    decollation. The values printed after an epoch are those of ``state.metrics``, but a NaN key metric is shown as NaN
    (``state.metrics`` holds ``-inf`` there, so that it never becomes the best). Running means are copied from the
    device when they are printed: give ``iteration_log`` a filter to print, and wait, less often.

    >>> from monai_auxops import ComputeDice
    >>> handler = AuxStatsHandler(iteration_log=lambda engine, iteration: iteration % 50 == 0)
    """

    def __init__(self, *args: Any, output_transform: Callable[[Any], Any] = loss_of, **kwargs: Any) -> None:
        super().__init__(*args, output_transform=output_transform, **kwargs)

    def _default_epoch_print(self, engine: Engine) -> None:
        with shown(engine, "do_print"):
            super()._default_epoch_print(engine)

    def _default_iteration_print(self, engine: Engine) -> None:
        with with_running(self, engine, "do_print"):
            super()._default_iteration_print(engine)


class AuxTensorBoardStatsHandler(TensorBoardStatsHandler):  # type: ignore[misc]
    """MONAI's ``TensorBoardStatsHandler``: honours ``do_summary``, and plots the running means while an epoch runs.

    Takes the same arguments, with the same default ``output_transform`` as :class:`AuxStatsHandler`. Epoch values keep
    their metric names, over epochs; running means stand under ``running/<metric name>``, over iterations. NaN is a gap.
    """

    def __init__(self, *args: Any, output_transform: Callable[[Any], Any] = loss_of, **kwargs: Any) -> None:
        super().__init__(*args, output_transform=output_transform, **kwargs)

    def _default_epoch_writer(self, engine: Engine, writer: Any) -> None:
        with shown(engine, "do_summary"):
            super()._default_epoch_writer(engine, writer)

    def _default_iteration_writer(self, engine: Engine, writer: Any) -> None:
        with with_running(self, engine, "do_summary", prefix="running/"):
            super()._default_iteration_writer(engine, writer)


@contextlib.contextmanager
def shown(engine: Engine, flag: str) -> Iterator[None]:
    """While MONAI's handler reads ``state.metrics``: without what is not to be shown, with NaN where it is NaN."""
    hub, metrics = Hub.of(engine), engine.state.metrics
    if hub is not None:
        hidden, honest = hub.hidden(flag), getattr(engine.state, "aux_metrics", {})
        engine.state.metrics = {k: honest.get(k, v) for k, v in metrics.items() if k not in hidden}
    try:
        yield
    finally:
        engine.state.metrics = metrics


@contextlib.contextmanager
def with_running(handler: Any, engine: Engine, flag: str, prefix: str = "") -> Iterator[None]:
    """While MONAI's handler transforms the output: add the running means to the losses."""
    original, hub = handler.output_transform, Hub.of(engine)

    def transform(output: Any) -> Any:
        losses = original(output)
        means = {} if hub is None else {prefix + name: value for name, value in hub.running(flag).items()}
        if not means:
            return losses
        return means | (
            losses if isinstance(losses, dict) else {handler.tag_name: losses} if losses is not None else {}
        )

    handler.output_transform = transform
    try:
        yield
    finally:
        handler.output_transform = original
