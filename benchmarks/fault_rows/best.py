"""Faults in choosing the best model, and tags used twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torchmetrics as tm
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint
from ignite.metrics import Average
from torch import Tensor
from torchmetrics.segmentation import DiceScore
from torchmetrics.wrappers import MetricTracker

import monai_auxops as ma
from benchmarks.fault_rows.common import OURS, Fault, ignite_engine, ignite_metric
from benchmarks.fault_rows.small import batches_of, both, dataset, evaluator, monai_handler


def best_models() -> list[Fault]:
    """The epoch whose model is kept, of a run with these scores."""
    nan = math.nan
    rows = {"first": [nan, 0.5, 0.7, 0.6], "in the middle": [0.5, nan, 0.7, 0.6], "always": [nan] * 3}

    def right(_: str, best: Any) -> bool:
        return best == 0.7 or best is None or math.isnan(best) or best == -math.inf

    faults = []
    for name, scores in rows.items():
        by = {
            OURS: lambda scores=scores: best_of(scores, ours=True),
            "MONAI": lambda scores=scores: best_of(scores, ours=False),
            "torchmetrics": lambda scores=scores: tracked(scores),
            "Ignite": lambda scores=scores: checkpointed(scores),
        }
        check = right if name == "always" else lambda _, best: best == 0.7
        faults.append(Fault(f"key metric NaN {name}", by, check, "NaN stays the best"))
    return faults


def best_of(scores: Sequence[float], ours: bool) -> float:
    """The best metric of an evaluator that ran once for each score."""

    class Score(ma.AuxiliaryOperation):
        accumulated = ("score",)

        def get_output_tensors(self, predictions: Tensor, label: Tensor | None, build_ctx: Any) -> dict[str, Tensor]:
            return {"score": torch.tensor(now[0], dtype=torch.float64)}

    now: list[float] = []
    metric = Score() if ours else Average(output_transform=lambda _: now[0])
    engine = evaluator(OURS, dataset(2), key_val_metric={"score": metric})
    for score in scores:
        now[:] = [score]
        engine.run()
    return round(float(engine.state.best_metric), 6)


def tracked(scores: Sequence[float]) -> float | None:
    tracker = MetricTracker(tm.MeanMetric(nan_strategy="disable"), maximize=True)
    for score in scores:
        tracker.increment()
        tracker.update(score)
    best = tracker.best_metric()
    return None if best is None else round(best, 6)


def checkpointed(scores: Sequence[float]) -> float:
    """The score of the checkpoint that Ignite keeps."""
    engine = Engine(lambda _, batch: batch)
    saver = Checkpoint(
        {"engine": engine}, lambda *_: None, score_function=lambda e: scores[e.state.epoch - 1], n_saved=1
    )
    engine.add_event_handler(Events.EPOCH_COMPLETED, saver)
    engine.run([0], max_epochs=len(scores))
    kept = [item.priority for item in saver._saved]
    return float(kept[0])


def duplicate_tags() -> Fault:
    """Two different metrics under one name: an error, or else one of them is lost without a word."""

    def attached(library: str) -> int:
        engine = evaluator(library, dataset())
        second = ma.ComputeAccuracy("accuracy") if library == OURS else monai_handler()
        second.attach(engine, "dice")
        engine.run()
        return len(engine.state.metrics)

    def torchmetrics() -> int:
        metrics = [DiceScore(3, input_format="index"), DiceScore(3, include_background=False, input_format="index")]
        return len(tm.MetricCollection(metrics).compute())

    def ignite() -> int:
        engine = ignite_engine(ignite_metric())
        ignite_metric(first=1).attach(engine, "dice")
        return len(engine.run(batches_of()).metrics)

    by = both(attached) | {"torchmetrics": torchmetrics, "Ignite": ignite}
    return Fault("two metrics of one name", by, lambda _, n: n == 2, "one lost silently", may_raise=True)
