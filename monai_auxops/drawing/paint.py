"""A slice as a picture: image, label and prediction side by side. Needs only numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COLORS = ("#4c9be8", "#f2a33a", "#5dbb63", "#d65db1", "#e8574c", "#3fc1c9", "#b49b57", "#8e7cc3")
Pixels = npt.NDArray[np.uint8]


def paint(three: npt.NDArray[np.float32]) -> Pixels:
    """Draw three panels side by side, ``[H, 3 W, 3]``: the image, and over it label and prediction in color.

    Examples:
        >>> paint(np.zeros((3, 2, 2), np.float32)).shape
        (2, 6, 3)
    """
    image, *masks = (np.flipud(panel.T) for panel in three)
    low, high = np.percentile(image, [1, 99.5])
    gray = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    base = np.repeat(gray[..., None], 3, axis=2)
    side_by_side = np.concatenate([base, *(cover(base, mask) for mask in masks)], axis=1)
    return (255 * side_by_side).astype(np.uint8)


def cover(base: npt.NDArray[np.float32], mask: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cover ``base`` with a color for each class above 0."""
    over: npt.NDArray[np.float32] = base.copy()
    for index in (int(value) for value in np.unique(mask) if value > 0):
        color = COLORS[(index - 1) % len(COLORS)]
        rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        over[mask == index] = 0.45 * base[mask == index] + 0.55 * rgb
    return over
