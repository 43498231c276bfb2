"""Clara's validation metrics, one file each."""

from monai_auxops.metrics.auc import ComputeAUC
from monai_auxops.metrics.average import ComputeAverage
from monai_auxops.metrics.average_dice import ComputeAverageDice
from monai_auxops.metrics.multiclass_average import ComputeMulticlassAverage

__all__ = ["ComputeAUC", "ComputeAverage", "ComputeAverageDice", "ComputeMulticlassAverage"]
