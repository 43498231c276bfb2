"""Small images and labels that every environment makes alike, and weights that do not depend on PyTorch's generator."""

import json
import zlib
from pathlib import Path

import nibabel
import numpy as np

SIZE = (40, 36, 32)
AFFINE = np.array([[-1.2, 0, 0, 30], [0, 1.1, 0, -20], [0, 0, 1.5, 5], [0, 0, 0, 1.0]])


def volume(index):
    """Return an image of three nested blobs and its label."""
    rng = np.random.RandomState(index)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, side) for side in SIZE], indexing="ij"))
    center = np.array([0.1, -0.05, 0.05]).reshape(3, 1, 1, 1) * (index % 3)
    distance = np.sqrt(((grid - center) ** 2).sum(0))
    label = (distance < 0.7).astype(np.float32) + (distance < 0.4)
    image = 40 * label + rng.uniform(-30, 30, SIZE)
    return image.astype(np.float32), label.astype(np.float32)


def make_volumes(folder, classes=3):
    """Write four cases and their data list."""
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for index in range(4):
        names = [f"image_{index}.nii.gz", f"label_{index}.nii.gz"]
        for name, values in zip(names, volume(index)):  # noqa: B905 (Python 3.9)
            known = np.minimum(values, classes - 1) if name.startswith("label") else values
            nibabel.save(nibabel.Nifti1Image(known, AFFINE), str(folder / name))
        items.append({"image": names[0], "label": names[1]})
    lists = {"training": items, "validation": items[:2], "test": [{"image": item["image"]} for item in items[:2]]}
    (folder / "dataset.json").write_text(json.dumps(lists))


def make_pictures(folder):
    """Write four color pictures that are not square, each with a vector of three labels."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for index in range(4):
        pixels = np.random.RandomState(index).randint(0, 256, (48, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(str(folder / f"picture_{index}.png"))
        items.append({"image": f"picture_{index}.png", "label": [float(index % 2), float(index // 2), 1.0 - index % 2]})
    (folder / "dataset.json").write_text(json.dumps({"training": items, "validation": items}))


def fill(network):
    """Give a network weights that follow from the names of its tensors."""
    import torch

    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if not tensor.dtype.is_floating_point:
                continue
            if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
                tensor.fill_(1.0 if name.endswith("running_var") else 0.9)
            elif tensor.ndim < 2:
                tensor.fill_(0.01)
            else:
                rng = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
                scale = 1.0 / np.sqrt(max(int(np.prod(tensor.shape[1:])), 1))
                tensor.copy_(torch.as_tensor(rng.standard_normal(tuple(tensor.shape)) * scale))


def files_of(folder):
    """Return shape, affine and sum of every image in a folder, and the text of every table."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.name.endswith(".nii.gz"):
            image = nibabel.load(str(path))
            values = np.asarray(image.dataobj)
            found[path.name] = {
                "shape": list(values.shape),
                "affine": np.round(image.affine, 5).tolist(),
                "sum": float(values.astype(np.float64).sum()),
            }
    return found
