"""Handlers without a collective: they show what the hub computed."""

from monai_auxops.handlers.stats import AuxStatsHandler, AuxTensorBoardStatsHandler, loss_of

__all__ = ["AuxStatsHandler", "AuxTensorBoardStatsHandler", "loss_of"]
