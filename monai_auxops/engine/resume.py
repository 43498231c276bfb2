"""Where a resumed run goes on."""

from __future__ import annotations

import warnings

from ignite.engine import Engine


def begins_anew(engine: Engine, epoch_length: int | None, carried: bool) -> bool:
    """Whether the first epoch of a run begins with its first sample; a resumed engine is set back so that it does.

    Ignite goes on in mid-epoch with the loader's *first* items, and keeps the checkpoint's number of iterations even if
    the loader's batches have another size: both would be an epoch of some samples twice and others never. It is safe to
    go on only where all aux-ops were restored with the engine and the loader can continue: where it has
    ``load_state_dict``.

    Args:
        engine: at the start of the first epoch of its run, checkpoints loaded.
        epoch_length: the iterations of an epoch as this run was set up, where that is known.
        carried: whether all aux-ops hold the epoch's samples so far.
    """
    state = engine.state
    done, length = state.epoch - 1, state.epoch_length
    if state.iteration == done == 0:
        return False  # a new engine: an aux-op that was restored goes on with the rest of the data
    if not length or done != state.iteration // length:
        return True  # not resumed: the epoch before was given up by terminate(), or an evaluator runs again
    problem, into = "", state.iteration % length
    if epoch_length and epoch_length != length:
        problem = f"the checkpoint's epochs have {length} iterations, this run's {epoch_length}"
    elif into and not (carried and hasattr(state.dataloader, "load_state_dict")):
        problem = f"the checkpoint was saved after {into} of {length} iterations, and the loader begins anew"
    if problem:
        state.epoch_length = epoch_length or length
        state.iteration = done * state.epoch_length
        warnings.warn(f"{problem}: epoch {state.epoch} is run from its beginning, for its values' sake", stacklevel=2)
    return bool(problem) or not into
