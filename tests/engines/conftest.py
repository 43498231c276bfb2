"""A tiny segmentation that every engine test trains: three classes, one of them absent from some labels."""

from __future__ import annotations

import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer

TAGS = ["dice", "dice_a", "dice_b"]


def cases(n: int, seed: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    items = []
    for i in range(n):
        label = torch.randint(0, 2 if i % 3 == 0 else 3, (1, 8, 8), generator=generator)
        items.append({"image": label + 0.4 * torch.randn(1, 8, 8, generator=generator), "label": label})
    return items


def cross_entropy(predictions: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(predictions, label[:, 0].long())


def network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 1))


class Engines:
    """Makes trainers and evaluators on the same data; every argument of MONAI's can be given."""

    def trainer(self, net=None, batch_size=3, n=7, **kwargs):
        net = network() if net is None else net
        defaults = {
            "device": torch.device("cpu"),
            "max_epochs": 2,
            "train_data_loader": DataLoader(Dataset(cases(n, 0)), batch_size=batch_size),
            "network": net,
            "optimizer": torch.optim.Adam(net.parameters(), 0.05),
            "loss_function": cross_entropy,
        }
        return SupervisedTrainer(**(defaults | kwargs))

    def evaluator(self, net=None, batch_size=2, n=5, **kwargs):
        defaults = {
            "device": torch.device("cpu"),
            "val_data_loader": DataLoader(Dataset(cases(n, 1)), batch_size=batch_size),
            "network": network() if net is None else net,
        }
        return SupervisedEvaluator(**(defaults | kwargs))


@pytest.fixture
def engines() -> Engines:
    return Engines()
