"""Clara's validation metrics."""

from monai_auxops.metrics.auc import ComputeAUC, ComputeMulticlassAverage
from monai_auxops.metrics.average import ComputeAverage
from monai_auxops.metrics.average_dice import ComputeAverageDice

__all__ = ["ComputeAUC", "ComputeAverage", "ComputeAverageDice", "ComputeMulticlassAverage"]
