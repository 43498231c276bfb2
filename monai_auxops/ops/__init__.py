"""Clara's eight aux-ops, one file each."""

from monai_auxops.ops.accuracy import ComputeAccuracy
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.binary_preds import ComputeBinaryPreds
from monai_auxops.ops.compute_dice import ComputeDice
from monai_auxops.ops.dice_masked_output import DiceMaskedOutput
from monai_auxops.ops.multiclass_accuracy import ComputeMulticlassAccuracy
from monai_auxops.ops.multiclass_preds import ComputeMulticlassPreds
from monai_auxops.ops.neg_loss import NegLoss
from monai_auxops.ops.reduce_mean_masked import ReduceMeanMasked

__all__ = [
    "AuxiliaryOperation",
    "ComputeAccuracy",
    "ComputeBinaryPreds",
    "ComputeDice",
    "ComputeMulticlassAccuracy",
    "ComputeMulticlassPreds",
    "DiceMaskedOutput",
    "NegLoss",
    "ReduceMeanMasked",
]
