"""Pictures of cases: those the run drew, else drawn from the predictions it saved."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np

from monai_auxops.drawing.paint import paint
from monai_auxops.report.run import Run, Table, number

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 1_000_000  # bytes of one picture


class Thumbnails:
    """The pictures of a run's cases, as ``data:`` addresses."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._saved = [path for path in run.folder.rglob("*.nii*") if path.is_file()]

    def of(self, case: dict[str, str], value: float) -> tuple[str, str] | None:
        """The picture of a case of the table, and a remark; None where the run left nothing to draw."""
        drawn = self._drawn(case, value)
        if drawn is not None:
            return drawn
        saved = saved_prediction(case["file"], self._saved)
        pixels = None if saved is None else from_volumes(case["file"], case.get("label_file", ""), saved)
        return None if pixels is None else (address(png_of(pixels)), f"saved prediction {getattr(saved, 'name', '')}")

    def _drawn(self, case: dict[str, str], value: float) -> tuple[str, str] | None:
        table = self.run.worst
        for row in [] if table is None else table.of(int(case["epoch"])):
            same = row["file"] == case["file"] and abs(number(row["value"]) - value) < 1e-4
            data = inside(table, row["picture"]) if table is not None and same else None
            if data is not None:
                return address(data), "the slice with most wrong voxels"
        return None


def inside(table: Table, picture: str) -> bytes | None:
    """A PNG file beside the table; nothing else, from nowhere else, whatever the table says."""
    path = (table.path.parent / picture).resolve()
    if not path.is_relative_to(table.path.parent.resolve()) or not path.is_file() or path.stat().st_size > LARGEST:
        return None
    data = path.read_bytes()
    return data if data.startswith(PNG) else None


def stem(path: str | Path) -> str:
    """A file's name without folder and endings.

    >>> stem("data/case_1.nii.gz")
    'case_1'
    """
    return Path(path).name.removesuffix(".gz").removesuffix(".nii")


def saved_prediction(case: str, saved: list[Path]) -> Path | None:
    """The volume that the run saved for a case: named after it, as by MONAI's ``SaveImage``."""
    name = stem(case)
    same = [p for p in saved if p.resolve() != Path(case).resolve() and stem(p).startswith(f"{name}_")]
    return min(same, key=lambda path: (len(path.name), str(path)), default=None)


def from_volumes(image: str, label: str, prediction: Path) -> np.ndarray[Any, Any] | None:
    """Image, label and prediction of one slice, as far as the files are there and of one shape."""
    predicted = volume(prediction)
    volumes = [volume(Path(path)) for path in (image, label) if path]
    if predicted is None or len(volumes) < 2 or any(v is None or v.shape != predicted.shape for v in volumes):
        return None
    image_, label_ = (v for v in volumes if v is not None)
    if predicted.ndim == 3:
        at = telling_slice(label_, predicted)
        image_, label_, predicted = (v[:, :, at] for v in (image_, label_, predicted))
    return paint(np.stack([image_, label_, predicted]))


def telling_slice(label: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> int:
    """The slice with most wrong voxels, of those that hold much of the label."""
    labelled, wrong = ((x > 0).sum((0, 1)) for x in (label, label != predicted))
    return int(np.where(labelled * 2 >= labelled.max(), wrong, -1).argmax())


def volume(path: Path) -> np.ndarray[Any, Any] | None:
    """A NIfTI volume in RAS order, of several channels the index of the highest; None if it cannot be read."""
    import nibabel

    try:
        values = np.asarray(nibabel.as_closest_canonical(nibabel.load(path)).dataobj, dtype=np.float32)
    except Exception:  # whatever a foreign file may do to its reader: then there is no picture
        return None
    return np.squeeze(values) if values.ndim < 4 or values.shape[3] == 1 else values.argmax(3).astype(np.float32)


def png_of(pixels: np.ndarray[Any, Any]) -> bytes:
    """Encode ``[H, W, 3]``."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def address(png: bytes) -> str:
    """A picture within the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
