"""Handlers that show what the hub computed. None of them calls a collective."""

from monai_auxops.handlers.agreement import AuxAgreementHandler
from monai_auxops.handlers.confusion import AuxConfusionHandler
from monai_auxops.handlers.console import AuxConsoleHandler
from monai_auxops.handlers.curves import AuxCurvesHandler
from monai_auxops.handlers.report import AuxReportHandler
from monai_auxops.handlers.results import AuxResultsHandler
from monai_auxops.handlers.run_facts import AuxRunFactsHandler
from monai_auxops.handlers.stats import AuxStatsHandler, AuxTensorBoardStatsHandler
from monai_auxops.handlers.values import loss_of
from monai_auxops.handlers.worst_cases import AuxWorstCasesHandler

__all__ = [
    "AuxAgreementHandler",
    "AuxConfusionHandler",
    "AuxConsoleHandler",
    "AuxCurvesHandler",
    "AuxReportHandler",
    "AuxResultsHandler",
    "AuxRunFactsHandler",
    "AuxStatsHandler",
    "AuxTensorBoardStatsHandler",
    "AuxWorstCasesHandler",
    "loss_of",
]
