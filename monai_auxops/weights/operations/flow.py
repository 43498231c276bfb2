"""Operations that pass a value on, or choose among values."""

from __future__ import annotations

import numpy as np
import torch

from monai_auxops.weights.operations.registry import Step, operation
from monai_auxops.weights.values import DEAD, Value, host_array, is_host, number, operand, tensor


@operation(
    "Identity",
    "StopGradient",
    "ReadVariableOp",
    "CheckNumerics",
    "PlaceholderWithDefault",
    "Snapshot",
    "PreventGradient",
)
def identity(step: Step, x: Value) -> Value:
    """Return the value."""
    return x


@operation("Switch", "RefSwitch")
def switch(step: Step, x: Value, condition: Value) -> list[Value]:
    """Send the value to one of two outputs; the other output is dead."""
    return [DEAD, x] if number(condition) else [x, DEAD]


@operation("Merge", "RefMerge")
def merge(step: Step, *values: Value) -> list[Value]:
    """Return the value that is alive, and its index."""
    alive = [index for index, value in enumerate(values) if value is not DEAD]
    return [values[alive[0]], host_array(alive[0])] if alive else [DEAD, DEAD]


@operation("Select", "SelectV2")
def select(step: Step, condition: Value, a: Value, b: Value) -> Value:
    """Take elements of one value or the other; ``Select`` may choose whole rows."""
    if is_host(condition) and is_host(a) and is_host(b):
        return host_array(np.where(condition.astype(bool), a, b))
    if is_host(condition) and condition.size == 1:
        return a if number(condition) else b
    mask = tensor(condition, step.like)
    if step.node.op == "Select" and mask.dim() == 1 and a.ndim > 1:
        mask = mask.reshape([-1] + [1] * (a.ndim - 1))
    return torch.where(mask, operand(a, step.like), operand(b, step.like))
