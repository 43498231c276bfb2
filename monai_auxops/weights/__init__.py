"""Clara's TensorFlow weights for PyTorch: read without TensorFlow, and proven against Clara's own graph."""

from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.network import GraphNetwork

__all__ = ["GraphNetwork", "WeightsError"]
