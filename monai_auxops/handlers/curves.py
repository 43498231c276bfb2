"""Curves that belong together in one chart of TensorBoard."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from monai_auxops.drawing.names import families, split_name, tensorboard_place
from monai_auxops.engine.hub import Hub
from monai_auxops.handlers.viewer import Viewer

Layout = dict[str, dict[str, list[Any]]]


class AuxCurvesHandler(Viewer):
    """A handler that groups the curves in TensorBoard's *Custom scalars*: training and validation in one chart.

    It writes only the layout; the curves come from ``AuxTensorBoardStatsHandler`` in the same folder.

    Args:
        evaluator: the engine whose curves to include, or several of them.
        log_dir: folder for TensorBoard's events.
        summary_writer: use this instead of an own writer in ``log_dir``.
    """

    def __init__(
        self,
        evaluator: Engine | Iterable[Engine] | None = None,
        log_dir: str | Path = "./runs",
        summary_writer: Any = None,
    ) -> None:
        super().__init__(log_dir, summary_writer)
        self.evaluators = engines_of(evaluator)
        self._written: Layout = {}

    def register(self, engine: Engine) -> None:
        """Write after the first epoch, and again if a new metric appears."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.careful("the layout of the curves", self._write))

    def _write(self, engine: Engine) -> None:
        hubs = [hub for hub in map(Hub.of, [engine, *self.evaluators]) if hub is not None]
        layout = layout_of(n for hub in hubs for each in hub.attachments if each.op.do_summary for n in each.names)
        if layout and layout != self._written:
            self.writer.add_custom_scalars(layout)
            self.writer.flush()
            self._written = layout


def engines_of(evaluator: Engine | Iterable[Engine] | None) -> list[Engine]:
    """Return no evaluator, one, or several, as a list."""
    if evaluator is None:
        return []
    return [evaluator] if isinstance(evaluator, Engine) else list(evaluator)


def layout_of(names: Iterable[str]) -> Layout:
    """Return TensorBoard's layout for metric names.

    Examples:
        >>> layout = layout_of(["train_dice", "train_dice/gray", "val_dice", "val_dice/gray", "val_support/gray"])
        >>> {category: [*charts] for category, charts in layout.items()}
        {'classes': ['train_dice', 'val_dice'], 'train and val': ['dice']}
    """
    splits: dict[str, dict[str, str]] = {}
    for name in names:
        split, rest = split_name(name)
        splits.setdefault(split, {})[rest] = name
    classes = {
        split_of[members[0]]: multiline_chart([split_of[rest] for rest in members])
        for split_of in splits.values()
        for members in map(list, (family.values() for family in families(split_of).values()))
        if len(members) > 1
    }
    rests = dict.fromkeys(rest for split_of in splits.values() for rest in split_of)
    pairs = {rest: [split_of[rest] for split_of in splits.values() if rest in split_of] for rest in rests}
    both = {rest: multiline_chart(pair) for rest, pair in pairs.items() if len(pair) > 1 and "/" not in rest}
    return {title: charts for title, charts in (("classes", classes), ("train and val", both)) if charts}


def multiline_chart(names: list[str]) -> list[Any]:
    """Return a chart of exactly these curves, escaped because TensorBoard reads tags as regular expressions."""
    tags = dict.fromkeys(tensorboard_place(name)[1] for name in names)
    return ["Multiline", [f"^{re.escape(tag)}$" for tag in tags]]
