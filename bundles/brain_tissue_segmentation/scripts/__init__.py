"""What this bundle compares its network with."""

from .thresholds import BestThresholds

__all__ = ["BestThresholds"]
