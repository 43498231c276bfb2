"""Clara Train's auxiliary operations as in-training metrics for MONAI, and a converter from MMARs to MONAI bundles.

The names below are loaded on first use, so that ``monai-auxops --help`` needs neither torch nor MONAI. If MONAI is
already imported, they are loaded at once, because its bundle parser finds short names (``"_target_": "ComputeDice"``)
only in loaded modules. Before you parse such a configuration, import MONAI first, or use a name of this package.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "AuxiliaryOperation": "ops",
    "BuildContext": "core.context",
    "ComputeAccuracy": "ops",
    "ComputeBinaryPreds": "ops",
    "ComputeDice": "ops",
    "ComputeMulticlassAccuracy": "ops",
    "ComputeMulticlassPreds": "ops",
    "DiceMaskedOutput": "ops",
    "NegLoss": "ops",
    "ReduceMeanMasked": "ops",
    "ComputeAUC": "metrics",
    "ComputeAverage": "metrics",
    "ComputeAverageDice": "metrics",
    "ComputeMulticlassAverage": "metrics",
    "AuxAgreementHandler": "handlers",
    "AuxConfusionHandler": "handlers",
    "AuxConsoleHandler": "handlers",
    "AuxCurvesHandler": "handlers",
    "AuxReportHandler": "handlers",
    "AuxRunFactsHandler": "handlers",
    "AuxStatsHandler": "handlers",
    "AuxTensorBoardStatsHandler": "handlers",
    "AuxWorstCasesHandler": "handlers",
    "AuxResultsHandler": "handlers",
    "loss_of": "handlers",
    "MetricOp": "metric_op",
    "Recorder": "recorder",
    "nan_loses": "engine.choosing",
}
__all__ = [*_HOME, "__version__"]  # noqa: PLE0604 (the keys are strings)
_MODULES = ("functional",)  # public modules: not in __all__, since MONAI's bundles look for classes

if TYPE_CHECKING:
    from monai_auxops import functional as functional
    from monai_auxops.core.context import BuildContext as BuildContext
    from monai_auxops.engine.choosing import nan_loses as nan_loses
    from monai_auxops.handlers import AuxAgreementHandler as AuxAgreementHandler
    from monai_auxops.handlers import AuxConfusionHandler as AuxConfusionHandler
    from monai_auxops.handlers import AuxConsoleHandler as AuxConsoleHandler
    from monai_auxops.handlers import AuxCurvesHandler as AuxCurvesHandler
    from monai_auxops.handlers import AuxReportHandler as AuxReportHandler
    from monai_auxops.handlers import AuxResultsHandler as AuxResultsHandler
    from monai_auxops.handlers import AuxRunFactsHandler as AuxRunFactsHandler
    from monai_auxops.handlers import AuxStatsHandler as AuxStatsHandler
    from monai_auxops.handlers import AuxTensorBoardStatsHandler as AuxTensorBoardStatsHandler
    from monai_auxops.handlers import AuxWorstCasesHandler as AuxWorstCasesHandler
    from monai_auxops.handlers import loss_of as loss_of
    from monai_auxops.metric_op import MetricOp as MetricOp
    from monai_auxops.metrics import ComputeAUC as ComputeAUC
    from monai_auxops.metrics import ComputeAverage as ComputeAverage
    from monai_auxops.metrics import ComputeAverageDice as ComputeAverageDice
    from monai_auxops.metrics import ComputeMulticlassAverage as ComputeMulticlassAverage
    from monai_auxops.ops import AuxiliaryOperation as AuxiliaryOperation
    from monai_auxops.ops import ComputeAccuracy as ComputeAccuracy
    from monai_auxops.ops import ComputeBinaryPreds as ComputeBinaryPreds
    from monai_auxops.ops import ComputeDice as ComputeDice
    from monai_auxops.ops import ComputeMulticlassAccuracy as ComputeMulticlassAccuracy
    from monai_auxops.ops import ComputeMulticlassPreds as ComputeMulticlassPreds
    from monai_auxops.ops import DiceMaskedOutput as DiceMaskedOutput
    from monai_auxops.ops import NegLoss as NegLoss
    from monai_auxops.ops import ReduceMeanMasked as ReduceMeanMasked
    from monai_auxops.recorder import Recorder as Recorder


def _load() -> None:
    importlib.import_module("monai")
    for module in sorted({*_HOME.values()}):
        importlib.import_module(f"{__name__}.{module}")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _load()
    value = globals()[name] = getattr(
        sys.modules[f"{__name__}.{_HOME[name]}"], name
    )  # cached: the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})


if "monai" in sys.modules:
    _load()
