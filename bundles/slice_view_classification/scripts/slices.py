"""Slices of a brain along its three axes, each with its view and whether it is a central one."""

from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import LoadImage

VIEWS = ("axial", "coronal", "sagittal")
AXES = {"axial": 2, "coronal": 1, "sagittal": 0}  # of a volume in RAS order


def labeled_slices(image: str, mask: str | None = None, min_area: int = 250) -> list[dict[str, Any]]:
    """All slices that show at least ``min_area`` pixels of brain, along each axis.

    Args:
        image: a T1 volume in RAS order, zero outside the brain unless ``mask`` is given.
        mask: a volume that is 1 inside the brain; everything else is set to zero.
        min_area: smallest slice to keep, in pixels.

    Returns:
        ``{"image": [1, H, W], "label": [view, central]}`` per slice. ``view`` is an index into ``VIEWS``; ``central``
        is 1 in the middle half of the kept slices of that view, 0 towards both ends. The image's
        ``meta["filename_or_obj"]`` says volume, view and position.
    """
    load = LoadImage()
    volume = load(image)
    source = str(volume.meta["filename_or_obj"])
    volume = volume.as_tensor() if mask is None else volume.as_tensor() * load(mask).as_tensor()
    slices = []
    for index, view in enumerate(VIEWS):
        planes = volume.unbind(AXES[view])
        kept = [i for i, plane in enumerate(planes) if int((plane > 0).sum()) >= min_area]
        middle, reach = (kept[0] + kept[-1]) / 2, (kept[-1] - kept[0]) / 4
        for i in kept:
            meta = {"filename_or_obj": f"{source}:{view}:{i}"}
            label = torch.tensor([index, int(abs(i - middle) <= reach)])
            slices.append({"image": MetaTensor(planes[i][None], meta=meta), "label": label})
    return slices
