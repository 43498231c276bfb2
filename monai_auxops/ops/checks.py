"""Checks of a batch before an aux-op measures it: errors name the op and the argument that helps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from monai_auxops.core.context import BuildContext
    from monai_auxops.ops.naming import Named


def check_inputs(op: Named, build_ctx: BuildContext) -> None:
    """Raise a ``ValueError`` unless predictions are a batch and the label a tensor or None; warn of equal outputs."""
    label, predictions = build_ctx.label, build_ctx.predictions
    _check_predictions(op, predictions)
    if label is not None and not isinstance(label, Tensor):
        op.fail(f"label to be a tensor, got {type(label).__name__}")
    if build_ctx.equal_outputs:
        op.warn_once(
            f"the network has {build_ctx.equal_outputs} outputs of the same size, and the first one is measured; pass "
            "output_transform=-1 for the last one, or output_transform=0 for the first without this warning",
            about="outputs",
        )


def _check_predictions(op: Named, predictions: Any) -> None:
    if isinstance(predictions, dict):
        keys = [*predictions] or ["key"]
        op.fail(f"predictions to be a tensor, got a dict of {keys}; choose one, as in output_transform={keys[0]!r}")
    if not isinstance(predictions, Tensor):
        kind = type(predictions).__name__
        op.fail(f"predictions to be a tensor, got {kind}; pass output_transform= to say where it is")
    if hasattr(predictions, "full_tensor"):
        op.fail("predictions to be a plain tensor, got a DTensor; pass its full_tensor()")
    if predictions.dim() == 0:
        op.fail(
            "predictions with a batch axis [B, ...], got a scalar; squeeze() removes that axis from a last batch of "
            "one sample: name the axis, as in squeeze(1), or restore it with output_transform="
        )


def concatenate_outputs(values: Sequence[Tensor]) -> Tensor:
    """Concatenate the outputs of several batches of one for one tag; if they do not fit, return the first."""
    if len(values) == 1:
        return values[0]
    rows = [value.reshape(1) if value.dim() == 0 else value for value in values]
    fit = len({row.shape[1:] for row in rows}) == 1
    return torch.cat(rows) if fit else rows[0]
