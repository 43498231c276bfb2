"""Clara's two report files, byte for byte."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

HEADER = "    mean  median     max     min   90percent   std"


def summary_text(name: str, values: Sequence[float]) -> str:
    """Return the statistics of the valid values. The column ``90percent`` is the **10th** percentile, as in Clara.

    Examples:
        >>> print(summary_text("mean_dice", [0.5, 0.7, float("nan"), 0.9]), end="")
        mean_dice (statistics of 3 valid cases):
            mean  median     max     min   90percent   std
           0.700   0.700   0.900   0.500   0.540     0.163
        <BLANKLINE>
    """
    valid = np.asarray([value for value in values if not math.isnan(value)], dtype=np.float64)
    numbers = [np.nan] * 6
    if len(valid):
        with np.errstate(invalid="ignore"):  # with an infinite distance, the deviation is NaN
            tenth, deviation = np.percentile(valid, 10), valid.std()
        numbers = [valid.mean(), np.median(valid), valid.max(), valid.min(), tenth, deviation]
    row = "".join(f"{number:8.3f}" for number in numbers[:5]) + f"{numbers[5]:10.3f}"
    return f"{name} (statistics of {len(valid)} valid cases):\n{HEADER}\n{row}\n\n"


def raw_line(files: str, *columns: str) -> str:
    """Return a case's line: its files joined by commas, then tab-separated columns."""
    return "\t".join([one_line(files), *columns]) + "\n"


def one_line(text: str) -> str:
    """Return ``text`` on one line, without tabs, with escapes for what is not UTF-8.

    Examples:
        >>> one_line("a" + chr(10) + "b" + chr(0xDCE9) + ".nii")
        'a b\\\\udce9.nii'
    """
    flat = " ".join(text.replace("\t", " ").replace("\0", "\\0").splitlines())
    return flat.encode("utf-8", "backslashreplace").decode()
