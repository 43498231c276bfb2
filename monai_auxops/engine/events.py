"""The kind of an engine, and the event at which its raw predictions are available."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch.distributed as dist
from ignite.engine import Engine, Events
from monai.engines import Evaluator, Trainer, Workflow
from monai.engines.utils import IterationEvents
from torch.utils.data import DistributedSampler

from monai_auxops.core.ranks import world_size


def raw_predictions_event(engine: Engine) -> Any:
    """Return the event at which ``engine.state.output`` holds the network's output, before any post-processing.

    In a trainer the backward pass is done by then: its activations are freed and autocast has ended. A plain Ignite
    engine has neither such an event nor post-processing, so its output is read when the iteration is complete.
    """
    if not isinstance(engine, Workflow):
        return Events.ITERATION_COMPLETED
    return IterationEvents.BACKWARD_COMPLETED if isinstance(engine, Trainer) else IterationEvents.FORWARD_COMPLETED


def is_key(engine: Engine, name: str | None) -> bool:
    """Tell whether ``name`` is the engine's key metric; the engine may have none, and ``name`` may be None."""
    return name is not None and name == getattr(engine.state, "key_metric_name", None)


def is_training(engine: Engine) -> bool | None:
    """Tell whether the engine trains; None if it is unknown."""
    if isinstance(engine, Trainer | Evaluator):
        return isinstance(engine, Trainer)
    network = getattr(engine, "network", None)
    return None if network is None else bool(network.training)


def refuse_empty_loader(engine: Engine, op: object) -> None:
    """Report an empty loader, with which MONAI's ``run`` returns at once: an error where other ranks would wait."""
    if getattr(engine.state, "epoch_length", None) != 0:
        return
    if world_size() > 1:
        raise ValueError(
            f"the data loader of rank {dist.get_rank()} is empty, so this rank would never join the others at the end "
            "of the epoch; give every rank at least one batch (partition_dataset(..., even_divisible=True))"
        )
    text = f"{op!r}: the data loader of this {type(engine).__name__} is empty, so it will never have a value"
    warnings.warn(text, stacklevel=3)


def data_on_every_rank(engine: Engine) -> str:
    """Describe the data of an engine as far as all ranks see the same: the data set that a sampler shares among them.

    It tells equal engines apart that the ranks create and run in a different order.
    """
    sampler = getattr(engine.state.dataloader, "sampler", None)
    return f" over {len(sampler.dataset)} samples" if isinstance(sampler, DistributedSampler) else ""  # type: ignore[arg-type]


def warn_of_empty_epoch(epoch: int, ops: Sequence[object]) -> None:
    """Warn that no batch came in an epoch, as from an iterable data set that is used up."""
    if world_size() == 1:
        names = ", ".join(map(repr, ops))
        warnings.warn(f"no batch came in epoch {epoch}, so the values of {names} are NaN", stacklevel=3)
