"""What an engine is, and at which of its events raw predictions are there."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist
from ignite.engine import Engine, Events
from monai.engines import Evaluator, Trainer, Workflow
from monai.engines.utils import IterationEvents

from monai_auxops.core.ranks import world_size


def raw_predictions_event(engine: Engine) -> Any:
    """Return the event at which ``engine.state.output`` holds the network's output, before any post-processing.

    In a trainer the backward pass is over by then: its activations are freed and autocast is closed. A plain Ignite
    engine has no such event and no post-processing, so its output is read when the iteration has completed.
    """
    if not isinstance(engine, Workflow):
        return Events.ITERATION_COMPLETED
    return IterationEvents.BACKWARD_COMPLETED if isinstance(engine, Trainer) else IterationEvents.FORWARD_COMPLETED


def is_key(engine: Engine, name: str | None) -> bool:
    """Tell whether ``name`` is the engine's key metric; an engine may have none, and an aux-op no name."""
    return name is not None and name == getattr(engine.state, "key_metric_name", None)


def is_training(engine: Engine) -> bool | None:
    """Tell whether the engine trains; None where it cannot be told."""
    if isinstance(engine, Trainer | Evaluator):
        return isinstance(engine, Trainer)
    network = getattr(engine, "network", None)
    return None if network is None else bool(network.training)


def refuse_empty_loader(engine: Engine) -> None:
    """``ValueError`` on a rank whose loader is empty: MONAI's ``run`` returns there and the other ranks would wait."""
    if world_size() > 1 and getattr(engine.state, "epoch_length", None) == 0:
        raise ValueError(
            f"the data loader of rank {dist.get_rank()} is empty, so this rank would never join the others at the "
            "epoch's end; give every rank at least one batch (partition_dataset(..., even_divisible=True))"
        )
