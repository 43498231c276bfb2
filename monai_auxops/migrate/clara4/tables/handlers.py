"""Handlers, metrics and engines."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.clara4.code import CodeForm, CodeText, from_engine
from monai_auxops.migrate.clara4.tables.base import Draft, Row
from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr, literal

_TEXT: Final = "your own code that prints a line is left out; MONAI prints its own"
_MODEL_FILE: Final = "model.pt"
_SUMMARY_SINCE: Final = (0, 6)
_PERCENT, _TENTH = "90percent", "10percentile"
_SUMMARY: Final = ("mean", "median", "max", "min", _PERCENT, "std")
"""What `*` meant in MONAI 0.5."""
FINAL_FILE: Final = "final_model.pt"


def _output_transform(draft: Draft) -> None:
    """Write what an engine's output is turned into: a list of dictionaries since MONAI 0.6."""
    found = draft.args.get("output_transform")
    if not isinstance(found, CodeText):
        return
    if found.shape is CodeForm.NOTHING:
        del draft.args["output_transform"]
        draft.args["iteration_log"] = False
    elif found.shape is CodeForm.FIELDS and all(item.discrete is None for item in found.fields):
        draft.args["output_transform"] = from_engine(found.keys, found.first)


def _stats(draft: Draft) -> None:
    _output_transform(draft)
    for name in ("iteration_print_logger", "epoch_print_logger"):
        if isinstance(draft.args.get(name), CodeText):
            draft.drop(name, _TEXT)
            draft.lower(Outcome.EQUIVALENT, _TEXT)
    draft.rename("iteration_interval", "iteration_log")
    draft.rename("epoch_interval", "epoch_log")


def _meta_reader(draft: Draft) -> None:
    """Read the metadata from the image itself."""
    found = draft.args.get("batch_transform")
    if isinstance(found, CodeText) and found.keys and found.keys[0].endswith("_meta_dict"):
        key = found.keys[0].removesuffix("_meta_dict")
        draft.args["batch_transform"] = Expr(f"$lambda batch: [item[{literal(key)}].meta for item in batch]")


def _metrics_saver(draft: Draft) -> None:
    """Write the summary's columns of MONAI 0.5: its 90percent is the value that nine of ten exceed."""
    _meta_reader(draft)
    given = draft.args.get("summary_ops")
    if given is None or draft.version >= _SUMMARY_SINCE:
        return
    names = _SUMMARY if given == "*" else given
    draft.args["summary_ops"] = [_TENTH if name == _PERCENT else name for name in _listed(names)]
    if _PERCENT in _listed(names):
        draft.lower(Outcome.EQUIVALENT, f"the column {_PERCENT}, the value that nine of ten exceed, is {_TENTH} today")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _classification_saver(draft: Draft) -> None:
    _meta_reader(draft)
    _metric(draft)


def _metric(draft: Draft) -> None:
    found = draft.args.get("output_transform")
    if (
        isinstance(found, CodeText)
        and found.shape is CodeForm.FIELDS
        and not any(item.discrete for item in found.fields)
    ):
        draft.args["output_transform"] = from_engine(found.keys, found.first and not found.is_lambda)


def _checkpoint_saver(draft: Draft) -> None:
    """Write the files under the names that evaluation and inference read."""
    if draft.in_bundle:
        return
    several = _several(draft.args.get("key_metric_n_saved"))
    if draft.args.get("save_key_metric") and not several:
        draft.args.setdefault("key_metric_filename", _MODEL_FILE)
    if draft.args.get("save_final"):
        draft.args.setdefault("final_filename", FINAL_FILE)


def _several(value: Any) -> bool:
    return isinstance(value, int) and value > 1


_DEVICE: Final = {"device": "a metric follows its tensors"}
_METRICS: Final = (
    "MeanDice", "ROCAUC", "HausdorffDistance", "SurfaceDistance", "ConfusionMatrix", "MeanSquaredError",
    "MeanAbsoluteError", "RootMeanSquaredError", "PeakSignalToNoiseRatio", "RegressionMetrics",
)  # fmt: skip

HANDLERS: Final = (
    Row(
        names=("StatsHandler", "TensorBoardStatsHandler", "TensorBoardHandler"),
        edit=_stats,
        drop={"logger_handler": "the bundle's logging.conf takes its place"},
        why="The engine's output is a list of dictionaries today; `lambda x: None` is iteration_log false.",
    ),
    Row(
        names=("TensorBoardImageHandler",),
        edit=_output_transform,
        outcome=Outcome.EQUIVALENT,
        why="The same pictures.",
    ),
    Row(
        names=("MetricsSaver",),
        edit=_metrics_saver,
        why="The same tables; the metadata is part of the image today, and the old delimiter is written out.",
    ),
    Row(
        names=("ClassificationSaver",),
        edit=_classification_saver,
        why="The same table; the metadata is part of the image today.",
    ),
    Row(
        names=("CheckpointSaver",),
        edit=_checkpoint_saver,
        outcome=Outcome.EQUIVALENT,
        why="The same states, in files that evaluation and inference read.",
    ),
    Row(
        names=("CheckpointLoader",),
        why="It reads checkpoints of Clara Train 4 as they are.",
    ),
    Row(
        names=("Accuracy",),
        target="ignite.metrics.Accuracy",
        edit=_metric,
        why="Ignite's, of the items of a batch.",
    ),
    Row(
        names=_METRICS,
        edit=_metric,
        drop=_DEVICE,
        why="The same values.",
    ),
    Row(
        names=("DataStats", "DataStatsd", "DataStatsD", "DataStatsDict"),
        drop={"logger_handler": "the bundle's logging.conf takes its place"},
        why="The same statistics.",
    ),
    Row(
        names=("Decollated", "DecollateD", "DecollateDict"),
        drop={"batch_size": "the batch tells its size"},
        why="The same items.",
    ),
    Row(
        names=("SupervisedTrainer", "SupervisedEvaluator", "EnsembleEvaluator", "GanTrainer", "Trainer", "Evaluator"),
        rename={"post_transform": "postprocessing"},
        why="Every argument is wired as in the model zoo's bundles.",
    ),
)
