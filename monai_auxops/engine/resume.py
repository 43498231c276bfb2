"""Decide where a resumed run continues."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from ignite.engine import Engine


@dataclass(frozen=True)
class Resume:
    """How the first epoch of a run begins.

    Args:
        anew: whether its first samples come now, so that aux-ops start from nothing.
        rewind_to: the iteration to set the engine back to; None: it continues where it is.
        epoch_length: the iterations of an epoch from here on; None: as the engine says.
        why: the reason for setting it back.
    """

    anew: bool
    rewind_to: int | None = None
    epoch_length: int | None = None
    why: str = ""


def plan(epoch: int, iteration: int, length: int | None, expected: int | None, can_continue: bool) -> Resume:
    """Return where the first epoch of a run begins, so that each of its samples counts once.

    In mid-epoch Ignite continues with the loader's *first* items, and it keeps the checkpoint's number of iterations
    even if the loader's batches have another size. Both would be an epoch of some samples twice and others never.

    Args:
        epoch: the number of the epoch that starts, from 1.
        iteration: the iterations done before it.
        length: the iterations of an epoch, by the engine's state.
        expected: the iterations of an epoch as this run was set up, if a checkpoint has replaced that number since.
        can_continue: whether all aux-ops hold the epoch's samples so far, and the loader can continue.

    Examples:
        >>> plan(epoch=3, iteration=7, length=3, expected=3, can_continue=False).rewind_to
        6
    """
    done = epoch - 1
    if iteration == done == 0:
        return Resume(anew=False)  # a new engine: an aux-op that was restored continues with the rest of the data
    if not length or done != iteration // length:
        return Resume(anew=True)  # not resumed: the epoch before was ended by terminate(), or an evaluator runs again
    into = iteration % length
    if expected and expected != length:
        why = f"the checkpoint's epochs have {length} iterations, this run's {expected}"
        return Resume(True, done * expected, expected, why)
    if into and not can_continue:
        why = f"the checkpoint was saved after {into} of {length} iterations, and the loader starts from its beginning"
        return Resume(True, done * length, None, why)
    return Resume(anew=not into)


class LoadedLength:
    """Notes how long an engine's epochs were meant to be, just before a checkpoint replaces that number."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.expected = engine, None
        load = engine.load_state_dict

        @functools.wraps(load)
        def noting(state_dict: Any) -> None:
            if self.expected is None:
                self.expected = engine.state.epoch_length
            load(state_dict)

        engine.load_state_dict = noting

    def forget(self) -> None:
        """Take the length that was run with for the one that was meant."""
        self.expected = None

    def release(self) -> None:
        """Leave the engine as it was."""
        del self._engine.load_state_dict
