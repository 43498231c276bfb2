"""Read an image file whole: its values, and where its voxels are. A damaged file is an error, never other values."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import nibabel
import numpy as np
import numpy.typing as npt
from monai.data import ITKReader, PILReader
from monai.transforms import LoadImage

from monai_auxops.evaluation.meta_image import check_meta_image

NIFTI: Final = (".nii", ".nii.gz")
PICTURES: Final = (".png", ".tif", ".tiff")
MM_PER_UNIT: Final = {1: 1000.0, 3: 0.001}  # NIfTI's codes of meters and micrometers
SPATIAL_KINDS: Final = ("domain", "space")
NEGATIVE_IN_RAS: Final = ("left", "posterior", "inferior")
Array = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]


class Volume(NamedTuple):
    """Class indices ``[*S]`` or scores ``[C, *S]``, and the position of the voxels."""

    values: Array
    affine: Affine  # [3, d + 1]: voxel to mm; a spacing of 1 if the file has none
    path: Path

    @property
    def dimensions(self) -> int:
        """The number of spatial dimensions."""
        return int(self.affine.shape[1]) - 1

    @property
    def spacing(self) -> tuple[float, ...]:
        """The lengths of a voxel's edges."""
        return tuple(np.linalg.norm(self.affine[:, :-1], axis=0).tolist())

    @property
    def voxel(self) -> float:
        """The content of a voxel in mm³, in mm² for two dimensions, also where its edges are not perpendicular."""
        edges = self.affine[:, :-1]
        return float(np.sqrt(np.linalg.det(edges.T @ edges)))


def read_volume(path: Path) -> Volume:
    """Read a file without changing orientation or type.

    Raises:
        ValueError: a file that is damaged, needs a package that is not installed, or holds something else than numbers
            of one image.
    """
    try:
        values, affine = _reader_of(path)(path)
    except ValueError:
        raise
    except Exception as error:  # the readers' errors have no common type, and do not always name the file
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    if not values.size:
        raise ValueError(f"{path}: no voxels, shape {list(values.shape)}")
    if values.dtype.kind not in "buif":
        raise ValueError(f"{path}: {_kind_of_values(values)}; expected one number per voxel")
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    dimensions = affine.shape[1] - 1
    return Volume(native[0] if native.ndim > dimensions and len(native) == 1 else native, affine, path)


def _reader_of(path: Path) -> Callable[[Path], tuple[Array, Affine]]:
    name = path.name.lower()
    if name.endswith(NIFTI):
        return read_nifti
    return read_nrrd if name.endswith(".nrrd") and _is_installed("nrrd") else _read_with_monai


def read_nifti(path: Path) -> tuple[Array, Affine]:
    """Read a NIfTI file to its end, because gzip's checksum is there."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    kinds = [
        kind for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image) if kind.header_class.may_contain_header(content)
    ]
    if not kinds:
        raise ValueError(f"{path}: not a NIfTI file, or cut off within its header ({len(content)} bytes)")
    image: Any = kinds[0].from_bytes(content)
    values = np.asanyarray(image.dataobj)
    values = values.squeeze(tuple(axis for axis in range(3, values.ndim) if values.shape[axis] == 1))
    dimensions = min(values.ndim, 3)
    affine = image.affine[:3, [*range(dimensions), 3]] * MM_PER_UNIT.get(int(image.header["xyzt_units"]) % 8, 1.0)
    return (np.moveaxis(values, -1, 0) if values.ndim == 4 else values), affine


def read_nrrd(path: Path) -> tuple[Array, Affine]:
    """Read a NRRD file, whose axis of channels may be any."""
    import nrrd  # type: ignore[import-untyped,unused-ignore]

    values, header = nrrd.read(str(path))
    directions = _nrrd_directions(header, values.ndim)
    spatial = [axis for axis in range(values.ndim) if not np.isnan(directions[axis]).any()]
    edges = directions[spatial].T
    origin = np.nan_to_num(np.asarray(header.get("space origin", np.zeros(len(edges))), np.float64))
    affine = np.zeros((3, len(spatial) + 1))
    affine[: len(edges), :-1], affine[: len(edges), -1] = edges, origin
    affine *= _signs_of_space(header)[:, None]
    others = [axis for axis in range(values.ndim) if axis not in spatial]
    return values.transpose(*others, *spatial), affine


def _nrrd_directions(header: Mapping[str, Any], axes: int) -> Affine:
    """Return the edge of a voxel along each axis ``[axes, d]``, NaN for an axis that is not spatial."""
    if "space directions" in header:
        return np.asarray(header["space directions"], np.float64)
    kinds = header.get("kinds", ["domain"] * axes)
    lengths = np.nan_to_num(np.asarray(header.get("spacings", np.ones(axes)), np.float64), nan=1.0)
    spatial = [axis for axis in range(axes) if kinds[axis] in SPATIAL_KINDS]
    directions = np.full((axes, len(spatial)), np.nan)
    directions[spatial] = np.diag(lengths[spatial])
    return directions


def _signs_of_space(header: Mapping[str, Any]) -> Affine:
    """Return by which signs the axes of a NRRD file's space become right, anterior and superior."""
    words = str(header.get("space", "left-posterior-superior")).lower().split("-")[:3]
    if len(words) == 1 and len(words[0]) >= 3:  # RAS, LPST
        words = [next((word for word in NEGATIVE_IN_RAS if word[0] == letter), letter) for letter in words[0][:3]]
    return np.array([-1.0 if word in NEGATIVE_IN_RAS else 1.0 for word in [*words, "", ""][:3]])


def _read_with_monai(path: Path) -> tuple[Array, Affine]:
    """Read a picture or a file for ITK with MONAI's readers."""
    image = LoadImage(image_only=True, dtype=None)(path, reader=_monai_reader(path))
    values = np.asarray(image.array)
    dimensions = len(np.atleast_1d(image.meta["spatial_shape"]))
    known = np.asarray(image.affine, np.float64)[:-1]
    affine = np.zeros((3, dimensions + 1))
    affine[: len(known), :-1], affine[: len(known), -1] = known[:, :dimensions], known[:, -1]
    if values.ndim == dimensions + 1:
        values = np.moveaxis(values, int(image.meta["original_channel_dim"]), 0)
    return values, affine


def _monai_reader(path: Path) -> Any:
    """Return the reader of a file that it reads whole."""
    is_picture = path.name.lower().endswith(PICTURES)
    module, package = ("PIL", "Pillow") if is_picture else ("itk", "ITK")
    if not _is_installed(module):
        raise ValueError(f'{path}: this format needs {package}: pip install "monai-auxops[evaluate]"')
    if is_picture:
        _refuse_pages(path)
        return PILReader()
    check_meta_image(path)
    return ITKReader()


def _refuse_pages(path: Path) -> None:
    """Refuse a file of several pictures, of which Pillow reads the first one only."""
    from PIL import Image  # needed for pictures only

    with Image.open(path) as image:
        pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise ValueError(f"{path}: {pages} pages; expected one picture (save volumes as NIfTI, NRRD or MHA)")


def _kind_of_values(values: Array) -> str:
    return "colors" if values.dtype.names else f"values of type {values.dtype}"


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
