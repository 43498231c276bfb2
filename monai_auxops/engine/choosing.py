"""Keep NaN from being chosen by whatever selects a model or stops training.

Every comparison with NaN is false, so a NaN that once became the best value stays the best, and a later NaN may look
like an improvement. Values stay NaN wherever they are shown or stored; the code that compares them is guarded instead.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, EarlyStopping
from torch import Tensor

if TYPE_CHECKING:
    from monai_auxops.ops.base import AuxiliaryOperation

COMPARISON = (
    "Workflow._register_metrics.<locals>._compare_metrics"  # MONAI's comparison, registered for EPOCH_COMPLETED
)
FUNCTIONS = types.FunctionType, types.MethodType, functools.partial  # what may refer to an object that chooses


def nan_loses(score_function: Callable[[Engine], Any]) -> Callable[[Engine], Any]:
    """Return ``score_function`` with minus infinity instead of NaN, for comparisons outside an engine's handlers.

    Ignite's ``Checkpoint`` and ``EarlyStopping``, and MONAI's handlers built on them, need it only if a script calls
    them itself. Added to an engine that has aux-ops, or to the trainer that runs it, they are guarded automatically.

    Examples:
        >>> score = nan_loses(lambda engine: engine.state.metrics["val_dice"])
        >>> engine = Engine(lambda engine, batch: None)
        >>> engine.state.metrics["val_dice"] = math.nan
        >>> score(engine)
        -inf
    """

    @functools.wraps(score_function)
    def score(engine: Engine) -> Any:
        value = score_function(engine)
        return -math.inf if is_nan(value) else value

    return score


def is_nan(value: Any) -> bool:
    """Tell whether ``value`` is a single number that is NaN."""
    if isinstance(value, Tensor):
        return value.numel() == 1 and bool(value.isnan())
    return isinstance(value, float) and math.isnan(value)


class Guard:
    """A guard that keeps handlers of engines from choosing NaN, no matter when they were added."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()

    def watch(self, engine: Engine) -> None:
        """Guard the handlers of ``engine`` that compare. Call it again for handlers added later."""
        for registered in engine._event_handlers.values():
            for handler, args, kwargs in registered:
                for part in (handler, *args, *kwargs.values()):
                    for chooser in choosers_of(part):
                        self._guard(chooser)
        self._guard_best(engine)

    def release(self) -> None:
        """Restore the original handlers."""
        self._undo.close()

    def _guard(self, chooser: Checkpoint | EarlyStopping) -> None:
        """Change the class of one handler to one that skips NaN; the object stays the same for all who hold it."""
        original = type(chooser)
        if issubclass(original, _SkipsNaN):
            return
        kind = _SkipsNaN if isinstance(chooser, Checkpoint) else _LosesWithNaN
        chooser.__class__ = type(original.__name__, (kind, original), {})
        self._undo.callback(setattr, chooser, "__class__", original)

    def _guard_best(self, engine: Engine) -> None:
        """Let MONAI compare the key metric only if it is not NaN."""
        for handler, _, _ in engine._event_handlers[Events.EPOCH_COMPLETED]:
            if getattr(handler, "__qualname__", "") == COMPARISON and not hasattr(handler, "_parent"):
                guarded = compares_numbers(handler)
                _replace_handler(engine, handler, guarded)
                self._undo.callback(_replace_handler, engine, guarded, handler)


def _replace_handler(engine: Engine, handler: Any, other: Any) -> None:
    """Replace a handler of EPOCH_COMPLETED by ``other``, keeping the order."""
    registered = engine._event_handlers[Events.EPOCH_COMPLETED]
    for i, (current, args, kwargs) in enumerate(registered):
        if current is handler:
            registered[i] = (other, args, kwargs)


def choosers_of(handler: Any, depth: int = 3) -> Iterator[Checkpoint | EarlyStopping]:
    """Yield the objects in ``handler`` that choose a model or stop training.

    They are the handler itself, attributes of its object (MONAI's ``CheckpointSaver`` and ``EarlyStopHandler`` wrap
    Ignite's), or objects that a function or a ``functools.partial`` refers to, through at most ``depth`` functions.
    """
    for part in _parts_of(handler):
        if isinstance(part, Checkpoint | EarlyStopping):
            if part.score_function is not None:
                yield part
        elif depth and isinstance(part, FUNCTIONS) and part is not handler:
            yield from choosers_of(part, depth - 1)


def _parts_of(handler: Any) -> list[Any]:
    """Return the objects that a handler holds or refers to, including itself."""
    parent = getattr(handler, "_parent", None)  # Ignite's own wrapper of an event with a filter
    handler = handler if parent is None else parent()
    if isinstance(handler, functools.partial):
        return [handler.func, *handler.args, *handler.keywords.values()]
    owner = getattr(handler, "__self__", handler)
    parts = [owner, *getattr(owner, "__dict__", {}).values()]
    with contextlib.suppress(TypeError, ValueError):  # not a function, or one whose variables have no value yet
        variables = inspect.getclosurevars(handler)
        parts += [*variables.nonlocals.values(), *variables.globals.values()]
    return parts


class _SkipsNaN:
    """Mixin for Ignite's ``Checkpoint``: if the score is NaN, nothing is saved and nothing is removed."""

    score_function: Callable[[Engine], Any]

    def __call__(self, engine: Engine, *args: Any, **kwargs: Any) -> None:
        score_function = self.score_function
        self.score_function = lambda engine: self._number(score_function(engine))
        try:
            super().__call__(engine, *args, **kwargs)  # type: ignore[misc]
        except _NaNScoreError:
            engine.logger.info("The score is NaN, so no checkpoint was saved.")
        finally:
            self.score_function = score_function

    def _number(self, score: Any) -> Any:
        if is_nan(score):
            raise _NaNScoreError
        return score


class _LosesWithNaN(_SkipsNaN):
    """Mixin for Ignite's ``EarlyStopping``: NaN is worse than every number, so it is not an improvement."""

    def _number(self, score: Any) -> Any:
        worst = math.inf if getattr(self, "mode", "max") == "min" else -math.inf
        return worst if is_nan(score) else score


class _NaNScoreError(Exception):
    """A score is NaN."""


def compares_numbers(compare: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return MONAI's comparison with the best key metric, without effect if the metric is NaN."""

    @functools.wraps(compare)
    def guarded(engine: Any) -> None:
        state = engine.state
        if is_nan(state.best_metric):  # restored from a checkpoint that was saved without this guard
            state.best_metric_epoch = -1
        if not is_nan(state.metrics.get(state.key_metric_name)):
            compare(engine)

    guarded._parent = lambda: compare  # type: ignore[attr-defined]  # like Ignite's own wrappers
    return guarded


def warn_of_direction(engine: Engine, op: AuxiliaryOperation) -> None:
    """Warn once if the engine's comparison takes the worse value of its key metric ``op`` for the better one."""
    larger = prefers_larger(getattr(engine, "metric_cmp_fn", None))
    if larger is None or op.higher_is_better in (None, larger):
        return
    better, kept, sign = ("larger", "smaller", ">") if op.higher_is_better else ("smaller", "larger", "<")
    op.warn_once(
        f"{better} is better, but the engine keeps the {kept} value of this key metric as the best; "
        f"construct it with metric_cmp_fn=lambda new, best: new {sign} best"
    )


def prefers_larger(compare: Callable[[Any, Any], Any] | None) -> bool | None:
    """Tell whether ``compare(new, best)`` is true for a larger new value; None if it is unknown.

    Examples:
        >>> prefers_larger(lambda new, best: new < best)
        False
    """
    if compare is None:
        return None
    try:
        up, down = bool(compare(1.0, 0.0)), bool(compare(0.0, 1.0))
    except Exception:  # a user's function that expects other values
        return None
    return up if up != down else None
