"""TensorFlow's operations on torch: one function each, found by name.

A function gets the step (the node, and what the run is about) and the values that the node reads. It returns one value,
or a list of them if the node has several outputs.
"""

from monai_auxops.weights.operations.registry import OPERATIONS, Step, operation

__all__ = ["OPERATIONS", "Step", "operation"]

from monai_auxops.weights.operations import (  # noqa: F401  (they register)
    creation,
    elementwise,
    flow,
    layers,
    padding,
    parts,
    reductions,
    resampling,
    shapes,
)
