"""Classes without a counterpart that trains the same (interactive segmentation, whole slides), with successors."""

from __future__ import annotations

from typing import Final

from monai_auxops.migrate.clara4.tables.base import Row
from monai_auxops.migrate.diagnostics import Outcome

_DEEPGROW: Final = (
    "Deepgrow works on items instead of batches today: start from DeepEdit or DeepGrow in MONAI Label, or from "
    "`monai.apps.deepgrow`, and train again."
)
_PATHOLOGY: Final = (
    "Today's whole-slide datasets take other arguments and other items: start from the model zoo's bundle "
    "pathology_tumor_detection, NVIDIA's own successor."
)

SUCCESSORS: Final = (
    Row(
        names=(
            "AddGuidanceSignald", "AddGuidanceSignalD", "FindDiscrepancyRegionsd", "AddRandomGuidanced",
            "AddInitialSeedPointd", "FindAllValidSlicesd", "Interaction", "ClickInteraction", "DeepgrowStatsHandler",
        ),
        outcome=Outcome.MANUAL,
        why=_DEEPGROW,
    ),
    Row(
        names=("PatchWSIDataset", "SmartCachePatchWSIDataset", "MaskedInferenceWSIDataset", "ProbMapProducer",
               "SlidingWindowWSIDataset", "ProbMapSaver"),
        outcome=Outcome.MANUAL,
        until=(0, 9),
        why=_PATHOLOGY,
    ),
)  # fmt: skip
