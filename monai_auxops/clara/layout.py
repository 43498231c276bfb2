"""Output paths of predictions: one folder per case, inside the folders of the data list."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from monai.data import FolderLayoutBase


class CaseLayout(FolderLayoutBase):  # type: ignore[misc]
    """Name the file of a prediction: ``<output_dir>/<folders>/<case>/<case>_<postfix><extension>``.

    ``<folders>`` are those between ``data_root_dir`` and the image, so two cases whose files have one name keep two
    predictions. An image outside ``data_root_dir`` keeps all of its folders. Nothing is written outside ``output_dir``.

    Args:
        output_dir: the folder to write to.
        postfix: appended to the name of the case.
        extension: of the file, for example ``".nii.gz"``.
        data_root_dir: the folder that the data list is relative to.

    Examples:
        >>> layout = CaseLayout("eval", "pred", ".nii.gz", data_root_dir="/data")
        >>> for image in ("/data/a.nii.gz", "/data/case 1/volume.nii.gz", "/mnt/b/volume.nii.gz"):
        ...     print(layout.path(image).as_posix())
        eval/a/a_pred.nii.gz
        eval/case 1/volume/volume_pred.nii.gz
        eval/mnt/b/volume/volume_pred.nii.gz
    """

    def __init__(
        self, output_dir: str | PathLike[str], postfix: str, extension: str, data_root_dir: str | PathLike[str] = ""
    ) -> None:
        self.output_dir, self.data_root_dir = Path(output_dir), Path(data_root_dir)
        self.postfix, self.extension = postfix, extension

    def filename(self, subject: str | PathLike[str] = "subject", idx: int | None = None, **_: Any) -> str:
        """Return the path for the image ``subject`` (and the patch ``idx`` of it); its folder is created."""
        path = self.path(subject, idx)
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def path(self, subject: str | PathLike[str], idx: int | None = None) -> Path:
        """Return the path for the image ``subject``; nothing is created."""
        image = Path(subject)
        case = image.name.removesuffix(".gz").rpartition(".")[0] or image.name
        patch = "" if idx is None else f"_{idx}"
        name = f"{case}_{self.postfix}{patch}{self.extension}"
        return self.output_dir.joinpath(*self._folders(image.parent), case, name)

    def _folders(self, folder: Path) -> list[str]:
        """Return the names of the folders that lead to an image, never ``..``."""
        root = self.data_root_dir.absolute()
        inside = folder.absolute().is_relative_to(root)
        parts = folder.absolute().relative_to(root).parts if inside else folder.absolute().parts[1:]
        return [part for part in parts if part != ".."]
