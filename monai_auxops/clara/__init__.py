"""Parts of Clara Train that migrated bundles need and MONAI lacks."""

from monai_auxops.clara.labels import BratsClassesd
from monai_auxops.clara.layout import CaseLayout
from monai_auxops.clara.losses import MulticlassClassificationLoss
from monai_auxops.clara.predictions import ActivateByLabelFormatd
from monai_auxops.clara.segresnet import ClaraSegResNet as SegResNet

__all__ = ["ActivateByLabelFormatd", "BratsClassesd", "CaseLayout", "MulticlassClassificationLoss", "SegResNet"]
