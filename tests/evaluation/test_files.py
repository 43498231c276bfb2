"""Files as other tools write them, and damaged ones: the numbers are right, or the case fails with its reason."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path

import itk
import nibabel
import nrrd
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from monai_auxops.evaluation.classes import Naming
from monai_auxops.evaluation.formats import read_volume
from monai_auxops.evaluation.measure import Measured, Settings, measure
from monai_auxops.evaluation.pairing import CasePair
from tests.evaluation.test_evaluate import SPACING, blobs, run, save

LABEL, PREDICTION = blobs(3)
AFFINE = np.array([[0, -1.2, 0, 5], [1.5, 0, 0, -3], [0, 0, 2, 7], [0, 0, 0, 1.0]])
LPS = np.diag([-1.0, -1.0, 1.0])


def measured(prediction: Path, label: Path, **settings: object) -> Measured:
    return measure(CasePair("a", prediction, label), Settings(Naming({}), **settings))  # type: ignore[arg-type]


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE, order: str = "<", unit: int = 2) -> Path:
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(values.dtype)
    image = nibabel.Nifti1Image(values, affine, header)
    image.header["xyzt_units"] = unit
    nibabel.save(image, path)
    return path


def write_nrrd(path: Path, values: np.ndarray, **header: object) -> Path:
    directions = (LPS @ AFFINE[:3, :3]).T
    space = {"space": "left-posterior-superior", "space directions": directions, "space origin": LPS @ AFFINE[:3, 3]}
    nrrd.write(str(path), values, space | {key.replace("_", " "): value for key, value in header.items()})
    return path


def write_mha(path: Path, values: np.ndarray) -> Path:
    """Write the file by hand, so that nothing of ITK takes part."""
    direction = " ".join(map(str, (LPS @ AFFINE[:3, :3] / (1.5, 1.2, 2)).T.ravel()))
    data = zlib.compress(values.tobytes(order="F"))
    header = {"ObjectType": "Image", "NDims": 3, "BinaryData": True, "BinaryDataByteOrderMSB": False}
    header |= {"CompressedData": True, "CompressedDataSize": len(data), "TransformMatrix": direction}
    header |= {"Offset": " ".join(map(str, LPS @ AFFINE[:3, 3])), "ElementSpacing": "1.5 1.2 2"}
    header |= {"DimSize": " ".join(map(str, values.shape)), "ElementType": "MET_UCHAR", "ElementDataFile": "LOCAL"}
    path.write_bytes("".join(f"{key} = {value}\n" for key, value in header.items()).encode() + data)
    return path


WRITERS = {
    "big-endian": lambda path, values: write_nifti(path, values.astype(">i2"), order=">"),
    "big-endian floats": lambda path, values: write_nifti(path, values.astype(">f8"), order=">"),
    "five dimensions": lambda path, values: write_nifti(path, values[..., None, None]),
    "rounded floats": lambda path, values: write_nifti(path, values.astype(np.float32) * np.float32(1 / 3) * 3 + 1e-7),
    "layer of a NRRD": lambda path, values: write_nrrd(path.with_suffix(".nrrd"), values),
    "RAS": lambda path, values: write_nrrd(
        path.with_suffix(".nrrd"), values, space="RAS", space_directions=AFFINE[:3, :3].T, space_origin=AFFINE[:3, 3]
    ),
    "LAS": lambda path, values: write_nrrd(
        path.with_suffix(".nrrd"),
        values,
        space="left-anterior-superior",
        space_directions=AFFINE[:3, :3].T * [-1, 1, 1],
        space_origin=AFFINE[:3, 3] * [-1, 1, 1],
    ),
    "MetaImage": lambda path, values: write_mha(path.with_suffix(".mha"), values),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_a_file_of_any_kind_is_measured_as_the_plain_one(tmp_path, writer):
    label = write_nifti(tmp_path / "label.nii.gz", LABEL)
    result = measured(writer(tmp_path / "a.nii", PREDICTION), label)
    expected = [[((i == LABEL) & (j == PREDICTION)).sum() for j in range(4)] for i in range(4)]
    assert result.reason == ""
    assert result.joint.voxels.tolist() == expected
    assert result.voxel == pytest.approx(1.5 * 1.2 * 2)


@pytest.mark.parametrize("axis", [0, 3])
def test_a_nrrd_with_channels_on_any_axis(tmp_path, axis):
    directions = np.insert((LPS @ AFFINE[:3, :3]).T, axis, np.nan, 0)
    scores = np.moveaxis(np.eye(4, dtype=np.float32)[PREDICTION], -1, axis)
    kinds = ["domain"] * 3
    kinds.insert(axis, "vector")
    path = write_nrrd(tmp_path / "a.nrrd", scores, space_directions=directions, kinds=kinds)
    result = measured(path, write_nifti(tmp_path / "label.nii", LABEL), probabilities=True)
    assert result.joint.voxels.sum() == LABEL.size
    assert np.trace(result.joint.voxels) == (LABEL == PREDICTION).sum()


def test_a_nrrd_without_directions(tmp_path):
    nrrd.write(str(tmp_path / "a.nrrd"), LABEL, {"spacings": [1.5, 1.2, 2.0]})
    assert read_volume(tmp_path / "a.nrrd").spacing == (1.5, 1.2, 2.0)
    nrrd.write(str(tmp_path / "b.nrrd"), LABEL)
    assert read_volume(tmp_path / "b.nrrd").spacing == (1.0, 1.0, 1.0)


def test_probabilities_as_itk_writes_them_to_nifti(tmp_path):
    scores = np.eye(4, dtype=np.float32)[PREDICTION]
    itk.imwrite(itk.image_from_array(scores.transpose(2, 1, 0, 3).copy(), is_vector=True), str(tmp_path / "a.nii.gz"))
    itk.imwrite(itk.image_from_array(LABEL.T.copy()), str(tmp_path / "label.nii.gz"))
    result = measured(tmp_path / "a.nii.gz", tmp_path / "label.nii.gz", probabilities=True)
    assert np.trace(result.joint.voxels) == (LABEL == PREDICTION).sum()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
@pytest.mark.parametrize("damage", ["a bit", "the end"])
def test_a_damaged_file_has_no_numbers(tmp_path, suffix, damage):
    writers = {".mha": write_mha, ".nrrd": write_nrrd}
    path = writers.get(suffix, write_nifti)(tmp_path / f"a{suffix}", PREDICTION)
    content = bytearray(path.read_bytes())
    if damage == "the end":
        del content[-100:]
    elif suffix == ".nii":
        pytest.skip("a file without a checksum")
    else:
        content[-60] ^= 16
    path.write_bytes(content)
    result = measured(path, write_nifti(tmp_path / "label.nii.gz", LABEL))
    assert result.joint is None
    assert str(path) in result.reason


def test_what_the_name_says_about_compression_does_not_matter(tmp_path):
    plain = write_nifti(tmp_path / "a.nii", LABEL).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(plain)
    (tmp_path / "c.nii").write_bytes(gzip.compress(plain))
    for name in ("b.nii.gz", "c.nii"):
        assert (read_volume(tmp_path / name).values == LABEL).all()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colors; expected one number per voxel"),
        (LABEL.astype(np.complex64), "values of type complex64; expected one number per voxel"),
        (LABEL[:0], "no voxels, shape [0"),
        (np.where(LABEL > 1, 1e30, LABEL), "values that are not whole numbers, such as 1e+30"),
        (np.where(LABEL > 1, np.inf, LABEL), "values that are not whole numbers, such as inf"),
        (LABEL + 0.001, "values that are not whole numbers, such as 0.001"),
    ],
)
def test_what_is_no_label_map(tmp_path, values, reason):
    path = write_nifti(tmp_path / "a.nii", values)
    assert measured(path, path).reason.startswith(f"{path}: {reason}")


def test_a_tiff_of_several_pages_is_refused(tmp_path):
    pages = [Image.fromarray(LABEL[:, :, z]) for z in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert "3 pages; expected one picture" in measured(tmp_path / "a.tif", tmp_path / "a.tif").reason


@pytest.mark.parametrize(("unit", "mm"), [(1, 1000), (2, 1), (3, 0.001), (0, 1)])
def test_lengths_are_mm_whatever_the_unit_of_the_file(tmp_path, unit, mm):
    path = write_nifti(tmp_path / "a.nii", LABEL, unit=unit | 8)
    assert measured(path, path).voxel == pytest.approx(3.6 * mm**3)


def test_volumes_of_a_sheared_grid_are_right_and_distances_are_refused(tmp_path):
    sheared = AFFINE @ np.array([[1, 0, 0.4, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    path = write_nifti(tmp_path / "a.nii", LABEL, sheared)
    assert measured(path, path).voxel == pytest.approx(abs(np.linalg.det(sheared)))
    assert "the axes are not perpendicular" in measured(path, path, surface=True).reason


def distances(prediction: np.ndarray, label: np.ndarray, spacing: tuple[float, ...]) -> list[float]:
    """Compute the HD95 and the mean distance of two masks by SciPy."""
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (prediction, label)]
    maps = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    there, back = maps[1][edges[0]], maps[0][edges[1]]
    return [max(np.percentile(there, 95), np.percentile(back, 95)), np.concatenate([there, back]).mean()]


@pytest.mark.parametrize("flat", [False, True])
def test_a_slice_of_any_orientation_is_measured_in_its_plane(tmp_path, flat):
    coronal = np.array([[1.5, 0, 0, 0], [0, 0, 1, 0], [0, 1.2, 0, 0], [0, 0, 0, 1.0]])
    cut = np.s_[:, :, 1:2] if flat else np.s_[:, :, 1]
    label = write_nifti(tmp_path / "y.nii", LABEL[cut], coronal)
    result = measured(write_nifti(tmp_path / "x.nii", PREDICTION[cut], coronal), label, surface=True)
    assert result.voxel == pytest.approx(1.8)
    value = int(LABEL[:, :, 1].max())
    masks = [values[:, :, 1] == value for values in (PREDICTION, LABEL)]
    expected = distances(*masks, spacing=(1.5, 1.2))
    found = result.distances[f"label {value}"]
    assert [found["hd95_mm"], found["assd_mm"]] == pytest.approx(expected, rel=1e-6)


def test_large_labels_are_resampled_exactly_and_grids_apart_are_refused(tmp_path):
    large = LABEL.astype(np.int32) * 70_000_001
    label = write_nifti(tmp_path / "y.nii", large)
    flip = AFFINE @ np.array([[-1, 0, 0, LABEL.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    flipped = write_nifti(tmp_path / "x.nii", large[::-1], flip)
    result = measured(flipped, label, resample=True)
    assert result.joint.values.tolist() == [0, 70_000_001, 140_000_002, 210_000_003]
    assert np.trace(result.joint.voxels) == LABEL.size
    far = AFFINE + np.array([[0, 0, 0, 500.0], *[[0] * 4] * 3])
    assert (
        "have no place in common" in measured(write_nifti(tmp_path / "z.nii", large, far), label, resample=True).reason
    )


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.eye(4)[PREDICTION], ""),
        (np.stack([LABEL == 1, LABEL > 0, LABEL > 1, LABEL > 2], -1), "do not add up to 1"),
        (np.eye(4)[PREDICTION][..., :3], "labels have the value 3, which predictions with channels for 3 classes lack"),
        ((PREDICTION > 0) * 1.0, "labels have the value 3, which predictions with channels for 2 classes lack"),
    ],
)
def test_scores_that_may_mean_something_else_are_remarked(tmp_path, capsys, scores, message):
    save(tmp_path / "label/a.nii.gz", LABEL)
    save(tmp_path / "pred/a.nii.gz", scores.astype(np.float32))
    remarks = run(tmp_path, "--probabilities")[1]["remarks"]
    assert [message in remark for remark in remarks if remark] == [True] * bool(message)


def test_scores_that_do_not_reach_the_edge_of_the_label_add_up_to_1(tmp_path):
    save(tmp_path / "label/a.nii.gz", LABEL)
    save(tmp_path / "pred/a.nii.gz", np.eye(4, dtype=np.float32)[LABEL[1:-1]], shift=SPACING[0])
    rows, summary = run(tmp_path, "--probabilities", "--resample")
    inside = np.pad(LABEL[1:-1], ((1, 1), (0, 0), (0, 0)))
    assert summary["remarks"] == []
    assert int(rows[0]["tp"]) == ((LABEL == 1) & (inside == 1)).sum()


def test_nan_scores_are_told_from_labels_without_annotation(tmp_path):
    scores = np.eye(4, dtype=np.float32)[PREDICTION]
    scores[0, 0, 0] = np.nan
    save(tmp_path / "label/a.nii.gz", LABEL)
    save(tmp_path / "pred/a.nii.gz", scores)
    (remark,) = run(tmp_path, "--probabilities")[1]["remarks"]
    assert remark.startswith("negative predictions, or scores with NaN")


def test_nothing_to_measure_is_said(tmp_path, capsys):
    for folder in ("label", "pred"):
        save(tmp_path / folder / "a.nii.gz", LABEL * 0)
    run(tmp_path, code=1)
    assert "there is nothing to measure" in capsys.readouterr().err


def test_an_unnamed_value_is_not_counted_under_the_name_of_another(tmp_path):
    save(tmp_path / "label/a.nii.gz", LABEL)
    save(tmp_path / "pred/a.nii.gz", PREDICTION)
    rows, _ = run(tmp_path, "--classes", "label 2=1", code=1)
    assert [row["class"] for row in rows] == ["label 2", "value 2", "label 3"]


@pytest.mark.parametrize("option", [("--tolerance", "nan"), ("--threshold", "nan")])
def test_options_that_are_no_numbers(tmp_path, capsys, option):
    from monai_auxops.cli import main

    save(tmp_path / "a.nii.gz", LABEL)
    (tmp_path / "b").mkdir()
    assert main(["evaluate", "--pred", str(tmp_path), "--label", str(tmp_path / "b"), "-o", "o", *option]) == 2
    assert f"{option[0]}: expected" in capsys.readouterr().err


def test_the_same_folder_twice_is_refused(tmp_path, capsys):
    from monai_auxops.cli import main

    save(tmp_path / "a.nii.gz", LABEL)
    assert main(["evaluate", "--pred", str(tmp_path), "--label", str(tmp_path), "-o", str(tmp_path / "o")]) == 2
    assert "are the same folder" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_found_before_the_measurement(tmp_path, capsys, monkeypatch):
    from monai_auxops.cli import main

    for folder in ("label", "pred"):
        save(tmp_path / folder / "a.nii.gz", LABEL)
    monkeypatch.setattr(Path, "touch", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied", "o")))
    monkeypatch.setattr("monai_auxops.evaluation.run.measure", lambda *_: pytest.fail("measured"))
    arguments = ["evaluate", "--pred", tmp_path / "pred", "--label", tmp_path / "label", "-o", tmp_path / "out"]
    assert main([*map(str, arguments)]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_an_evaluation_beside_its_predictions_can_be_repeated(tmp_path):
    for folder in ("label", "pred"):
        save(tmp_path / folder / "a.nii.gz", LABEL)
    for _ in range(2):
        run(tmp_path)
        (tmp_path / "pred/out").unlink(missing_ok=True)
        (tmp_path / "pred/out").symlink_to(tmp_path / "out")
    assert json.loads((tmp_path / "out/summary.json").read_text())["complete"]


def test_no_page_of_an_earlier_evaluation_stays(tmp_path, monkeypatch):
    save(tmp_path / "label/a.nii.gz", LABEL)
    save(tmp_path / "pred/a.nii.gz", PREDICTION)
    run(tmp_path)
    (tmp_path / "out/report.html").write_text("earlier")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "vl_convert" else name)
    run(tmp_path)
    assert not (tmp_path / "out/report.html").exists()


def test_an_image_that_is_missing_or_does_not_fit_is_told(tmp_path, capsys):
    for case in "abc":
        save(tmp_path / f"label/{case}.nii.gz", LABEL)
        save(tmp_path / f"pred/{case}.nii.gz", PREDICTION)
    (tmp_path / "images").mkdir()
    run(tmp_path, "--images", str(tmp_path / "images"))
    assert "--images: no image in" in capsys.readouterr().err
    save(tmp_path / "images/a.nii.gz", LABEL.astype(np.float32))
    save(tmp_path / "images/b.nii.gz", LABEL[1:].astype(np.float32))
    run(tmp_path, "--images", str(tmp_path / "images"))
    told = capsys.readouterr().err
    assert f"c: no image in {tmp_path / 'images'}" in told
    assert "b: no picture (its image" in told
    assert len(list((tmp_path / "out/pictures").glob("*.png"))) == 2


WITHOUT_EXTRAS = """
import importlib.util, sys
known, hidden = importlib.util.find_spec, ("PIL", "vl_convert", "itk", "nrrd", "tqdm", "tensorboard")
importlib.util.find_spec = lambda name, *rest: None if name in hidden else known(name, *rest)
sys.modules.update(dict.fromkeys(hidden))
from monai_auxops.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_the_packages_for_pictures_and_pages_there_is_a_table(tmp_path):
    save(tmp_path / "label/a.nii.gz", LABEL)
    save(tmp_path / "pred/a.nii.gz", PREDICTION)
    for folder in ("label", "pred"):
        Image.fromarray(LABEL[..., 4]).save(tmp_path / folder / "b.png")
    given = ["evaluate", "--pred", tmp_path / "pred", "--label", tmp_path / "label", "-o", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, *map(str, given)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert 'b.png: this format needs Pillow: pip install "monai-auxops[evaluate]"' in done.stderr
    assert "a: no picture" in done.stderr
    assert "label 1" in done.stdout
    assert (tmp_path / "out/cases.csv").is_file()
