"""Pictures of cases: from the set of the best epoch; without it, drawn by the run, or from saved predictions."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from monai_auxops.drawing.paint import paint
from monai_auxops.report.markup import four_decimals, short_name
from monai_auxops.report.run import Run, number_or_none
from monai_auxops.report.tables import case_of, numeric_columns, table_number

PNG = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 1_000_000  # most bytes of one picture
PANELS = ("image", "label", "prediction", "errors")
MAX_PICTURES = 24  # most pictures of a set


class Picture(NamedTuple):
    """A picture as a ``data:`` address, with its caption and remark."""

    address: str
    panels: tuple[str, ...]
    place: str
    caption: str
    epoch: int | None
    remark: str = ""


def best_pictures(run: Run) -> list[Picture]:
    """Return the pictures that the run kept of its best epoch: worst, median and best case."""
    folder = run.best_set.get("folder")
    if not isinstance(folder, Path):
        return []
    known = run.best_set.get("panels")
    panels = tuple(str(name) for name in known[:4]) if isinstance(known, list) else PANELS
    found = []
    for case in run.best_set["cases"][:MAX_PICTURES]:
        data = picture_inside(folder, f"{case.get('name')}.png") if isinstance(case, dict) else None
        if data is None:
            continue
        epoch = number_or_none(run.best_set.get("epoch"))
        place = str(case.get("place", ""))
        found.append(Picture(address(data), panels, place, caption_of(case), None if epoch is None else int(epoch)))
    return found


def caption_of(case: dict[str, Any]) -> str:
    """Return value, name and slice of a case."""
    value, at, of_all = (case.get(key) for key in ("value", "slice", "slices"))
    texts = [four_decimals(number_or_none(value)), short_name(str(case.get("file", "")))]
    if at not in (None, ""):
        texts.append(f"slice {at} of {of_all}" if of_all else f"slice {at}")
    return " · ".join(text for text in texts if text)


def worst_pictures(run: Run, most: int) -> list[Picture]:
    """Return pictures of the worst cases, as far as they can be drawn."""
    drawn = drawn_pictures(run, most)
    if drawn or run.cases is None:
        return drawn
    saved = [path for path in run.folder.rglob("*.nii*") if path.is_file()]
    names = numeric_columns(run.cases)
    if not saved or not names:
        return []
    by = names[0]
    valid = [row for row in run.cases.rows if table_number(row[by]) == table_number(row[by])]
    found = []
    for row in sorted(valid, key=lambda row: table_number(row[by]), reverse=run.judge.higher is False)[:most]:
        prediction = saved_prediction(case_of(row), saved)
        pixels = None if prediction is None else slice_of_volumes(case_of(row), row.get("label_file", ""), prediction)
        if pixels is not None and prediction is not None:
            caption, remark = (
                f"{four_decimals(table_number(row[by]))} · {case_of(row)}",
                f"saved prediction {prediction.name}",
            )
            found.append(Picture(address(png_of(pixels)), PANELS[:3], "", caption, run.cases.epoch, remark))
    return found


def drawn_pictures(run: Run, most: int) -> list[Picture]:
    """Return the pictures that the run drew of the shown epoch."""
    if run.worst is None:
        return []
    found = []
    for row in run.worst.rows[:most]:
        data = picture_inside(run.worst.path.parent, row.get("picture", ""))
        if data is not None:
            caption = caption_of({**row, "file": case_of(row)})
            panels = PANELS if row.get("slice") is not None else PANELS[:3]
            found.append(Picture(address(data), panels, f"worst {row.get('place', '')}", caption, run.worst.epoch))
    return found


def picture_inside(folder: Path, picture: str) -> bytes | None:
    """Return a PNG file below ``folder``, and never another file, because a table may name anything."""
    try:
        path = (folder / picture).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        data = path.read_bytes()
    except (OSError, ValueError):  # the name is too long, or has a NUL
        return None
    return data if data.startswith(PNG) else None


def file_stem(path: str | Path) -> str:
    """Return a file's name without folder and endings.

    Examples:
        >>> file_stem("data/case_1.nii.gz")
        'case_1'
    """
    return Path(path).name.removesuffix(".gz").removesuffix(".nii")


def saved_prediction(case: str, saved: list[Path]) -> Path | None:
    """Return the volume that the run saved for a case, named after it as by MONAI's ``SaveImage``."""
    name = file_stem(case)
    same = [p for p in saved if p.resolve() != Path(case).resolve() and file_stem(p).startswith(f"{name}_")]
    return min(same, key=lambda path: (len(path.name), str(path)), default=None)


def slice_of_volumes(image: str, label: str, prediction: Path) -> np.ndarray[Any, Any] | None:
    """Return image, label and prediction of one slice, if the files exist and have the same shape."""
    predicted = read_nifti(prediction)
    volumes = [read_nifti(Path(path)) for path in (image, label) if path]
    if predicted is None or len(volumes) < 2 or any(v is None or v.shape != predicted.shape for v in volumes):
        return None
    image_, label_ = (v for v in volumes if v is not None)
    if predicted.ndim == 3:
        at = most_wrong_slice(label_, predicted)
        image_, label_, predicted = (v[:, :, at] for v in (image_, label_, predicted))
    return paint(np.stack([image_, label_, predicted]))


def most_wrong_slice(label: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> int:
    """Return the slice with most wrong voxels among those with much of the label."""
    labeled, wrong = ((x > 0).sum((0, 1)) for x in (label, label != predicted))
    return int(np.where(labeled * 2 >= labeled.max(), wrong, -1).argmax())


def read_nifti(path: Path) -> np.ndarray[Any, Any] | None:
    """Read a NIfTI volume in RAS order, by argmax if it has several channels; None if it cannot be read."""
    import nibabel

    try:
        values = np.asarray(nibabel.as_closest_canonical(nibabel.load(path)).dataobj, dtype=np.float32)
    except Exception:  # a foreign file may raise anything; then there is no picture
        return None
    return np.squeeze(values) if values.ndim < 4 or values.shape[3] == 1 else values.argmax(3).astype(np.float32)


def png_of(pixels: np.ndarray[Any, Any]) -> bytes:
    """Encode ``[H, W, 3]`` as PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def address(png: bytes) -> str:
    """Return a picture as a ``data:`` address."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
