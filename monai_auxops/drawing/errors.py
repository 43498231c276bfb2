"""Pictures of prediction errors, in colors that color-blind people can distinguish. Needs only numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monai_auxops.drawing.paint import Pixels, paint

MISSED, FALSE, CONFUSED = "#e69f00", "#0072b2", "#cc79a7"  # orange, blue, purple of Okabe and Ito
Floats = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


def paint_case(three: Floats) -> Pixels:
    """Draw image, label, prediction and errors side by side, ``[H, 4 W, 3]``.

    Examples:
        >>> paint_case(np.zeros((3, 2, 2), np.float32)).shape
        (2, 8, 3)
    """
    return np.concatenate([paint(three), paint_errors(three)], axis=1)


def paint_errors(three: Floats) -> Pixels:
    """Paint missed, false and wrongly classified pixels over the image, ``[H, W, 3]``.

    The label's outline is white. Pixels that the label leaves out (-1) are not errors.

    Examples:
        >>> label, predicted = np.array([[1, 1, 0]]), np.array([[1, 0, 1]])
        >>> colors = paint_errors(np.stack([np.zeros((1, 3)), label, predicted]).astype(np.float32))
        >>> [tuple(int(x) for x in pixel) for pixel in colors[:, 0]]  # x is drawn to the right, y upward
        [(0, 79, 124), (237, 187, 76), (0, 0, 0)]
    """
    image, label, predicted = (np.flipud(panel.T) for panel in three)
    base = np.repeat(scale_brightness(image)[..., None], 3, axis=2) * 0.8
    truth, found = label.astype(np.int64), predicted.astype(np.int64)
    outline = outline_of(truth)
    base[outline] = 1.0
    for color, where in (
        (MISSED, (truth > 0) & (found <= 0)),
        (FALSE, (truth == 0) & (found > 0)),
        (CONFUSED, (truth > 0) & (found > 0) & (truth != found)),
    ):
        base[where] = 0.3 * base[where] + 0.7 * rgb(color)
    return np.asarray(255 * base, dtype=np.uint8)


def outline_of(classes: Classes) -> npt.NDArray[np.bool_]:
    """Return the pixels of a class that touch another class or none; the border of the picture is not an edge.

    Examples:
        >>> outline_of(np.array([[0, 1, 1, 1, 0]])).astype(int)
        array([[0, 1, 0, 1, 0]])
    """
    padded = np.pad(classes, 1, mode="edge")
    neighbors = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    differs = np.zeros(classes.shape, dtype=bool)
    for neighbor in neighbors:
        differs |= neighbor != classes
    return differs & (classes > 0)


def scale_brightness(image: Floats) -> Floats:
    """Scale brightness to 0 to 1, clipping the darkest and brightest pixels."""
    finite = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.percentile(finite, [1, 99.5])
    return np.asarray(np.clip((finite - low) / max(high - low, 1e-6), 0, 1), dtype=np.float32)


def rgb(color: str) -> npt.NDArray[np.float64]:
    """Return the three channels of ``#rrggbb``, between 0 and 1."""
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
