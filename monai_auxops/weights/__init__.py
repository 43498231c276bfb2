"""Convert Clara's TensorFlow weights to PyTorch, without TensorFlow, and prove them against Clara's own graph."""

from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.network import GraphNetwork

__all__ = ["GraphNetwork", "WeightsError"]
