"""Generated batches of the shape that a bundle's network takes, for ``attach --check``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from monai.data import DataLoader, Dataset, MetaTensor
from torch import Tensor

SIDES: Final = {1: (64, 256), 2: (64, 128, 256), 3: (32, 64, 96)}  # tried from the smallest up to the declared size
_TRAINING: Final = 4
_VALIDATION: Final = 3


@dataclass(frozen=True)
class DataShape:
    """The input and output shapes of a network.

    Args:
        image: the shape of one image, channels first.
        prediction: the shape of one prediction, channels first.
        classes: the number of classes of the labels; 0 if each channel is a label of its own.
    """

    image: tuple[int, ...]
    prediction: tuple[int, ...]
    classes: int


def image_sizes(channels: int, spatial: Sequence[Any]) -> list[tuple[int, ...]]:
    """Return shapes to try for an image, smallest first; a size that is not a number is free.

    Examples:
        >>> image_sizes(1, [96, 96, 48])[0], image_sizes(3, ["32*n", "32*n"])[0]
        ((1, 32, 32, 32), (3, 64, 64))
    """
    sides = SIDES.get(len(spatial), (32,))
    declared = [side if isinstance(side, int) else sides[-1] for side in spatial]
    sizes = [tuple(min(side, most) for most in declared) for side in (*sides, max([*declared, *sides]))]
    return [(channels, *size) for size in dict.fromkeys(sizes)]


def smallest_shape(network: Any, sizes: Sequence[tuple[int, ...]], device: Any, index_labels: bool) -> DataShape:
    """Return the smallest shape that a network accepts in training mode.

    Raises:
        RuntimeError: it accepts none; with its message for the last shape.
    """
    problem = "no size to try"
    for size in sizes:
        try:
            with torch.no_grad():
                output = network.train()(torch.rand(2, *size, device=device))
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            continue
        first = output[0] if isinstance(output, list | tuple) else output
        if not isinstance(first, Tensor):
            raise RuntimeError(f"the network returns a {type(first).__name__}, for which no label can be generated")
        indexed = index_labels and first.shape[1] > 1
        return DataShape(size, tuple(first.shape[1:]), first.shape[1] if indexed else 0)
    raise RuntimeError(f"the network accepts no image of {[list(size) for size in sizes]}: {problem}")


def make_loader(shape: dict[str, Any], trains: bool) -> DataLoader:
    """Return a loader of generated samples, the same in every process.

    Args:
        shape: the fields of a ``DataShape``.
        trains: whether the loader is for training, with batches of two.
    """
    made = DataShape(tuple(shape["image"]), tuple(shape["prediction"]), shape["classes"])
    generator = torch.Generator().manual_seed(int(trains))
    items = [sample(made, index, generator) for index in range(_TRAINING if trains else _VALIDATION)]
    return DataLoader(Dataset(items), batch_size=2 if trains else 1, num_workers=0)


def sample(shape: DataShape, index: int, generator: torch.Generator) -> dict[str, Any]:
    """Return an image and its label, in which some classes are absent."""
    image = torch.rand(shape.image, generator=generator)
    label = _label(shape, generator)
    meta = {"filename_or_obj": f"synthetic_{index}.nii.gz"}
    if label.dim() == 0:
        return {"image": MetaTensor(image, meta=dict(meta)), "label": label}
    return {"image": MetaTensor(image, meta=dict(meta)), "label": MetaTensor(label, meta=dict(meta))}


def _label(shape: DataShape, generator: torch.Generator) -> Tensor:
    """Return class indices, or 0 and 1 in each channel; in space they form blocks."""
    spatial = shape.prediction[1:]
    if not shape.classes:
        return _blocks(shape.prediction[0], spatial, 2, generator).float()
    if not spatial:
        return torch.randint(shape.classes, (), generator=generator)
    return _blocks(1, spatial, shape.classes, generator).float()


def _blocks(channels: int, spatial: Sequence[int], classes: int, generator: torch.Generator) -> Tensor:
    """Return random values of 4 blocks along each axis."""
    coarse = torch.randint(classes, (channels, *(min(4, side) for side in spatial)), generator=generator)
    for axis, side in enumerate(spatial, 1):
        coarse = coarse.index_select(axis, torch.arange(side) * coarse.shape[axis] // side)
    return coarse


def make_file_loader(shape: dict[str, Any], folder: str, transform: Any) -> DataLoader:
    """Return a loader of generated files that pass a bundle's own preprocessing, which an evaluation inverts.

    Args:
        shape: the fields of a ``DataShape``.
        folder: where the files are written.
        transform: the preprocessing.
    """
    import nibabel
    import numpy as np

    made = DataShape(tuple(shape["image"]), tuple(shape["prediction"]), shape["classes"])
    generator = torch.Generator().manual_seed(2)
    items = []
    for index in range(2):
        item = {}
        for key, value in sample(made, index, generator).items():
            path = Path(folder) / f"{key}_{index}.nii.gz"
            array = np.moveaxis(np.asarray(value, dtype=np.float32), 0, -1).squeeze()
            nibabel.save(nibabel.Nifti1Image(array, np.diag([1.0, 1.2, 1.4, 1.0])), path)
            item[key] = str(path)
        items.append(item)
    return DataLoader(Dataset(items, transform), batch_size=1, num_workers=0)


def loader_config(shape: DataShape, trains: bool) -> dict[str, Any]:
    """Return the configuration of ``make_loader``."""
    return {"_target_": f"{__name__}.make_loader", "shape": asdict(shape), "trains": trains}
