"""Handlers without a collective: they show what the hub computed."""

from monai_auxops.handlers.console import AuxConsoleHandler
from monai_auxops.handlers.stats import AuxStatsHandler, AuxTensorBoardStatsHandler, loss_of

__all__ = ["AuxConsoleHandler", "AuxStatsHandler", "AuxTensorBoardStatsHandler", "loss_of"]
