"""The command line of ``monai-auxops evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EvaluateOptions:
    """The command line of ``evaluate``."""

    predictions: Path
    labels: Path
    output: Path
    classes: Sequence[str] = ()
    regions: Sequence[str] = ()
    ignored: Sequence[int] = ()
    background: bool = False
    surface: bool = False
    tolerance: float = 1.0
    probabilities: bool = False
    threshold: float = 0.5
    resample: bool = False
    workers: int = 1
    images: Path | None = None
