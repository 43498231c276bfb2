"""An aux-op in the place of MONAI's metric leaves the details that ``MetricsSaver`` writes."""

import csv

import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.handlers import MeanDice, MetricsSaver, from_engine
from monai.transforms import AsDiscreted

from monai_auxops import ComputeDice

FILES = [f"case_{number}.nii.gz" for number in range(3)]


def evaluated(folder, metric):
    """The rows of `val_dice_raw.csv` that an evaluation with `metric` leaves."""
    generator = torch.Generator().manual_seed(0)
    items = [
        {
            "image": MetaTensor(torch.rand(3, 8, 8, generator=generator), meta={"filename_or_obj": name}),
            "label": torch.randint(3, (1, 8, 8), generator=generator),
        }
        for name in FILES
    ]
    saver = MetricsSaver(
        folder, metric_details="val_dice", batch_transform=lambda batch: [x["image"].meta for x in batch]
    )
    engine = SupervisedEvaluator(
        "cpu",
        DataLoader(Dataset(items), batch_size=2),
        torch.nn.Identity(),
        postprocessing=AsDiscreted(["pred", "label"], argmax=[True, False], to_onehot=3),
        key_val_metric={"val_dice": metric},
        val_handlers=[saver],
    )
    engine.run()
    with (folder / "val_dice_raw.csv").open() as file:
        return list(csv.reader(file, delimiter="\t" if "\t" in (folder / "val_dice_raw.csv").read_text() else ","))


@pytest.mark.parametrize("names", [["a", "b"], None])
def test_the_saver_writes_the_same_cases(tmp_path, names):
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
    theirs = evaluated(tmp_path / "theirs", MeanDice(False, output_transform=from_engine(["pred", "label"])))
    op = ComputeDice("dice", skip_background=True, class_names=names, report_path=tmp_path / "cases")
    ours = evaluated(tmp_path / "ours", op)
    assert [row[0] for row in ours[1:]] == [row[0] for row in theirs[1:]] == FILES
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        if names:
            assert [float(x) for x in mine[1:3]] == pytest.approx([float(x) for x in other[1:3]], abs=1e-4)
        assert float(mine[-1]) == pytest.approx(float(other[-1]), abs=1e-4)
