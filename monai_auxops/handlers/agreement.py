"""A check during training that two values which should be equal are equal."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

from ignite.engine import Engine, Events

from monai_auxops.core import ranks


class AuxAgreementHandler:
    """A handler that warns in the first epoch in which two values differ that should be equal, or one is missing.

    ``monai-auxops attach --check`` checks this for one epoch; this handler checks a whole training. It reads
    ``engine.state.metrics`` after the metrics have been written, on the first rank only, without a collective.

    Args:
        pairs: maps each value of the bundle to the aux-op's: ``{"val_mean_dice": "val_dice"}``.
        tolerance: the largest difference that counts as equal; MONAI's means are float32.

    Raises:
        ValueError: no pairs, or a negative tolerance.

    Examples:
        >>> handler = AuxAgreementHandler({"val_mean_dice": "val_dice"})
        >>> engine = Engine(lambda engine, batch: None)
        >>> handler.attach(engine)
        >>> engine.state.metrics = {"val_mean_dice": 0.75, "val_dice": 0.75}
        >>> _ = engine.run([0], max_epochs=2)
        >>> handler.parted
        {}
    """

    def __init__(self, pairs: Mapping[str, str], tolerance: float = 1e-4) -> None:
        if not isinstance(pairs, Mapping) or not pairs:
            raise ValueError(f"AuxAgreementHandler: expected pairs to be a dict of two names each, got {pairs!r}")
        if not tolerance >= 0:
            raise ValueError(f"AuxAgreementHandler: expected tolerance to be 0 or more, got {tolerance!r}")
        self.pairs, self.tolerance = dict(pairs), tolerance
        self.parted: dict[str, tuple[int, float, float]] = {}  # the epoch and the values, by the bundle's name
        self._unreadable: set[str] = set()

    def attach(self, engine: Engine) -> None:
        """Compare after each epoch of ``engine``, whose metrics hold both values."""
        if ranks.is_first():
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.compare)

    def compare(self, engine: Engine) -> None:
        """Compare all pairs in the metrics of ``engine``."""
        for theirs, ours in self.pairs.items():
            values = [self._read(engine, name) for name in (theirs, ours)]
            if None not in values:
                self._compare(engine.state.epoch, theirs, ours, *values)  # type: ignore[arg-type]

    def _read(self, engine: Engine, name: str) -> float | None:
        """Return one value; None, with one warning, if there is none or several."""
        try:
            return float(engine.state.metrics[name])
        except KeyError:
            problem = f"no metric named {name!r}; there are {sorted(engine.state.metrics)}"
        except (TypeError, ValueError):
            problem = f"{name!r} is not a single number"
        if name not in self._unreadable:
            self._unreadable.add(name)
            warnings.warn(f"AuxAgreementHandler: {problem}", stacklevel=2)
        return None

    def _compare(self, epoch: int, theirs: str, ours: str, value: float, other: float) -> None:
        both_nan = math.isnan(value) and math.isnan(other)
        if theirs in self.parted or both_nan or abs(value - other) <= self.tolerance:
            return
        self.parted[theirs] = (epoch, value, other)
        warnings.warn(
            f"AuxAgreementHandler: {theirs} and {ours} should be equal but differ in epoch {epoch}: {value:.6f} and "
            f"{other:.6f}; docs/attach.md lists the usual reasons",
            stacklevel=2,
        )
