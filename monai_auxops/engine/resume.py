"""Decide where a resumed run continues."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ignite.engine import Engine


@dataclass(frozen=True)
class Resume:
    """How the first epoch of a run starts.

    Args:
        anew: whether it starts with its first samples, so that aux-ops start empty.
        rewind_to: the iteration to rewind the engine to; None continues where it is.
        epoch_length: the iterations of an epoch from here on; None keeps the engine's.
        why: the reason for rewinding.
    """

    anew: bool
    rewind_to: int | None = None
    epoch_length: int | None = None
    why: str = ""


def plan_resume(epoch: int, iteration: int, length: int | None, expected: int | None, can_continue: bool) -> Resume:
    """Return where the first epoch of a run starts, so that each of its samples counts once.

    When Ignite resumes in the middle of an epoch, it continues with the loader's *first* items, and it keeps the
    checkpoint's number of iterations even if the batch size has changed. Either way the epoch would count some
    samples twice and others never.

    Args:
        epoch: the number of the epoch that starts, from 1.
        iteration: the iterations done before it.
        length: the iterations of an epoch according to the engine's state.
        expected: the iterations of an epoch as this run was set up, if a checkpoint has since replaced that number.
        can_continue: whether all aux-ops hold the epoch's samples so far, and the loader can continue.

    Examples:
        >>> plan_resume(epoch=3, iteration=7, length=3, expected=3, can_continue=False).rewind_to
        6
    """
    done = epoch - 1
    if iteration == done == 0:
        return Resume(anew=False)  # a new engine: a restored aux-op continues with the rest of the data
    if not length or done != iteration // length:
        return Resume(anew=True)  # not resumed: terminate() ended the previous epoch, or an evaluator runs again
    into = iteration % length
    if expected and expected != length:
        why = f"the checkpoint's epochs have {length} iterations and this run's have {expected}"
        return Resume(True, done * expected, expected, why)
    if into and not can_continue:
        why = f"the checkpoint was saved after {into} of {length} iterations and the data loader starts over"
        return Resume(True, done * length, None, why)
    return Resume(anew=not into)


class LoadedLength:
    """A record of an engine's intended epoch length, taken just before a checkpoint replaces it."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.expected = engine, None
        load = engine.load_state_dict

        @functools.wraps(load)
        def noting_length(state_dict: Any) -> None:
            if self.expected is None:
                self.expected = engine.state.epoch_length
            load(state_dict)

        engine.load_state_dict = noting_length

    def forget(self) -> None:
        """Discard the record, so that the current length counts as intended."""
        self.expected = None

    def release(self) -> None:
        """Restore the engine."""
        del self._engine.load_state_dict
