"""What this bundle needs beyond MONAI and monai_auxops: labeled slices, a loss over several labels, one aux-op."""

from .loss import LabelFormatLoss
from .slices import labeled_slices
from .view_accuracy import ViewAccuracy

__all__ = ["LabelFormatLoss", "ViewAccuracy", "labeled_slices"]
