"""Curves that belong together in one chart of TensorBoard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from monai_auxops.handlers.console import short
from monai_auxops.handlers.recorder import Recorder
from monai_auxops.hub import Hub

Layout = dict[str, dict[str, list[Any]]]


class AuxCurvesHandler(Recorder):
    """Groups the curves in TensorBoard's *Custom scalars*: a chart per aux-op with all its classes, and a chart per
    class with training and validation.

    Only says which curves stand together: the curves are those of ``AuxTensorBoardStatsHandler``, in the same folder.

    Args:
        evaluator: whose curves belong to it, too.
        log_dir: where TensorBoard's events go.
        summary_writer: use this instead of an own writer in ``log_dir``.
    """

    def __init__(
        self, evaluator: Engine | None = None, log_dir: str | Path = "./runs", summary_writer: Any = None
    ) -> None:
        super().__init__(log_dir, summary_writer)
        self.evaluator = evaluator
        self._written: Layout = {}

    def register(self, engine: Engine) -> None:
        """Write after the first epoch, and again if another aux-op turns up."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _write(self, engine: Engine) -> None:
        engines = [engine] if self.evaluator is None else [engine, self.evaluator]
        hubs = [hub for hub in map(Hub.of, engines) if hub is not None]
        layout = layout_of([[*hub.names(entry)] for hub in hubs for entry in hub.entries if entry.op.do_summary])
        if layout and layout != self._written:
            self.writer.add_custom_scalars(layout)
            self.writer.flush()
            self._written = layout


def layout_of(families: list[list[str]]) -> Layout:
    """TensorBoard's layout of metric names, given by aux-op.

    >>> layout = layout_of([["train_dice", "train_dice_grey"], ["val_dice", "val_dice_grey"], ["val_auc"]])
    >>> {category: [*charts] for category, charts in layout.items()}
    {'classes': ['train_dice', 'val_dice'], 'train and val': ['dice', 'dice_grey']}
    """
    classes = {names[0]: multiline(names) for names in families if len(names) > 1}
    pairs: dict[str, list[str]] = {}
    for name in (name for names in families for name in names):
        pairs.setdefault(short(name), []).append(name)
    both = {name: multiline(names) for name, names in pairs.items() if len(names) > 1}
    return {title: charts for title, charts in (("classes", classes), ("train and val", both)) if charts}


def multiline(names: list[str]) -> list[Any]:
    """A chart of exactly these curves: TensorBoard takes names as regular expressions."""
    return ["Multiline", [f"^{re.escape(name)}$" for name in names]]
