"""Faults in choosing the best model, and tags used twice."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torchmetrics as tm
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, EarlyStopping
from ignite.metrics import Average
from monai.handlers import CheckpointSaver
from torch import Tensor
from torchmetrics.segmentation import DiceScore
from torchmetrics.wrappers import MetricTracker

import monai_auxops as ma
from benchmarks.fault_rows.common import OURS, Fault, ignite_engine, ignite_metric, near
from benchmarks.fault_rows.small import Scripted, batches_of, both, dataset, evaluator, monai_handler


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


def best_of(scores: Sequence[float], ours: bool, less: bool = False) -> float:
    """The best metric of an evaluator that ran once for each score."""
    now: list[float] = []
    direction = {"metric_cmp_fn": lambda new, best: new < best} if less else {}
    engine = evaluator(OURS, dataset(2), key_val_metric={"score": score_of(now, ours)}, **direction)
    for score in scores:
        now[:] = [score]
        engine.run()
    return round(float(engine.state.best_metric), 6)


def tracked(scores: Sequence[float], maximize: bool = True) -> float | None:
    tracker = MetricTracker(tm.MeanMetric(nan_strategy="disable"), maximize=maximize)
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


def watched_values() -> list[Fault]:
    """What else chooses: where smaller is better, by a value beside the key metric, and when to stop."""
    nan = math.nan
    lower = [0.5, nan, 0.3, 0.4]
    by_lower = {
        OURS: lambda: best_of([nan, *lower], ours=True, less=True),
        "MONAI": lambda: best_of([nan, *lower], ours=False, less=True),
        "torchmetrics": lambda: tracked([nan, *lower], maximize=False),
        "Ignite": lambda: -checkpointed([-x for x in [nan, *lower]]),
    }
    beside = [nan, 0.5, 0.7, 0.6]
    by_beside = {
        OURS: lambda: saved_by(beside, ours=True),
        "MONAI": lambda: saved_by(beside, ours=False),
        "Ignite": lambda: checkpointed(beside),
    }
    stops = [0.5, nan, 0.4, 0.6, 0.7, 0.8]  # patience 2: NaN and 0.4 are no improvement
    by_stops = {OURS: lambda: stopped_at(stops, ours=True), "Ignite": lambda: stopped_at(stops, ours=False)}
    return [
        Fault("smaller is better, NaN first", by_lower, lambda _, best: near(best, 0.3), "NaN stays the best"),
        Fault("NaN first in another watched value", by_beside, lambda _, best: near(best, 0.7), "NaN stays the best"),
        Fault("early stopping, NaN in the middle", by_stops, lambda _, epoch: epoch == 3, "NaN is an improvement"),
    ]


def score_of(now: list[float], ours: bool) -> Any:
    """A metric whose epoch value is that of ``now``."""

    class Score(ma.AuxiliaryOperation):
        accumulated = ("score",)

        def get_output_tensors(self, predictions: Tensor, label: Tensor | None, build_ctx: Any) -> dict[str, Tensor]:
            return {"score": torch.tensor(now[0], dtype=torch.float64)}

    return Score() if ours else Average(output_transform=lambda _: now[0])


def saved_by(scores: Sequence[float], ours: bool) -> float:
    """The score in the name of the file that MONAI's saver keeps, of a metric that is not the key metric."""
    now: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        saver = CheckpointSaver(folder, {"net": Scripted()}, save_key_metric=True, key_metric_name="other")
        more = {"additional_metrics": {"other": score_of(now, ours)}, "val_handlers": [saver]}
        engine = evaluator(OURS if ours else "MONAI", dataset(2), **more)
        for score in scores:
            now[:] = [score]
            engine.run()
        return float(next(Path(folder).iterdir()).stem.split("=")[1])


def stopped_at(scores: Sequence[float], ours: bool) -> int:
    """The epoch in which Ignite's early stopping ends the training."""
    now: list[float] = [0.0]
    engine = Engine(lambda *_: {"pred": torch.zeros(1, 1)})
    engine.add_event_handler(Events.EPOCH_STARTED, lambda e: now.__setitem__(0, scores[e.state.epoch - 1]))
    score_of(now, ours).attach(engine, "score")
    stopper = EarlyStopping(2, lambda e: float(e.state.metrics["score"]), engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, stopper)
    engine.run([0], max_epochs=len(scores))
    return int(engine.state.epoch)


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
