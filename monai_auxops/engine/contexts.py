"""What an aux-op reads of an iteration: predictions, label and all else that the engine knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai_auxops.core.context import BuildContext
from monai_auxops.core.inputs import batches_of, naming_errors
from monai_auxops.engine.events import is_training
from monai_auxops.engine.outputs import filenames, split_output

if TYPE_CHECKING:
    from ignite.engine import Engine

    from monai_auxops.engine.attachment import Attachment


def parts_and_batches(entry: Attachment, output: Any) -> tuple[dict[str, Any], list[tuple[Any, Any]]]:
    """Return what an op reads from the engine's output, and its batches: several if the samples differ in size."""
    parts = split_output(output, entry.output_transform, entry.op)
    with naming_errors(entry.op):
        batches = batches_of(parts["pred"], parts.get("label"))
    if len(batches) > 1:
        return parts, batches
    return {**parts, "pred": batches[0][0], "label": batches[0][1]}, batches


def make_context(
    engine: Engine, entry: Attachment, parts: dict[str, Any], batch: Any, values: dict[str, Any]
) -> BuildContext:
    """Return the context of an iteration for one op; its predictions and label are in ``parts``."""
    optimizer = getattr(engine, "optimizer", None)
    learning_rate = None if optimizer is None else optimizer.param_groups[0]["lr"]
    with naming_errors(entry.op):
        return BuildContext(
            parts["pred"],
            parts.get("label"),
            loss=parts.get("loss"),
            image=parts.get("image"),
            is_train=is_training(engine),
            learning_rate=learning_rate,
            data_property=getattr(engine.state, "data_property", None),
            filenames=filenames(parts.get("image")),
            batch=batch if isinstance(batch, dict) else None,
            values=values,
        )
