"""Small engines of each library, on the same few cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import IgniteMetricHandler
from monai.metrics import DiceMetric
from monai.transforms import AsDiscreted, Compose
from torch import Tensor

import monai_auxops as ma
from benchmarks.fault_rows.common import CASES, OURS, Batch, Cell, by_hand, logits_of, near, pools


class Scripted(torch.nn.Module):
    """Returns the prediction that stands in the image, through one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.one


def dataset(n: int = 7) -> list[dict[str, Tensor]]:
    return [{"image": logits_of([p])[0], "label": torch.tensor([t])} for t, p in list(zip(*CASES, strict=True))[:n]]


def loader(items: Sequence[Any], batch_size: int = 2) -> DataLoader:
    return DataLoader(Dataset(list(items)), batch_size=batch_size)


ONEHOT = Compose([AsDiscreted(keys="pred", argmax=True, to_onehot=3), AsDiscreted(keys="label", to_onehot=3)])
OUTPUT = {"output_transform": lambda output: ([o["pred"] for o in output], [o["label"] for o in output])}


def monai_handler() -> IgniteMetricHandler:
    return IgniteMetricHandler(metric_fn=DiceMetric(), **OUTPUT)


def evaluator(library: str, items: Sequence[Any], batch_size: int = 2, **more: Any) -> SupervisedEvaluator:
    """An evaluator with the library's Dice as key metric."""
    metric = ma.ComputeDice("dice") if library == OURS else monai_handler()
    arguments = {
        "device": torch.device("cpu"),
        "val_data_loader": loader(items, batch_size),
        "network": Scripted(),
        "key_val_metric": {"dice": metric},
    } | ({} if library == OURS else {"postprocessing": ONEHOT})
    return SupervisedEvaluator(**(arguments | more))


def trainer(
    library: str, batch_size: int, network: torch.nn.Module | None = None, epochs: int = 2, step: Any = None
) -> SupervisedTrainer:
    """A trainer with the library's Dice as key metric; it learns nothing, so every epoch has the same value."""
    network = network or Scripted()
    metric = ma.ComputeDice("dice") if library == OURS else monai_handler()
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=loader(dataset(), batch_size),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), 0.0),
        loss_function=lambda x, y: torch.nn.functional.cross_entropy(x, y[:, 0]),
        key_train_metric={"dice": metric},
        iteration_update=step,
        **({} if library == OURS else {"postprocessing": ONEHOT}),
    )


def batches_of(batch_size: int = 2) -> list[Batch]:
    return [(data["image"], data["label"]) for data in loader(dataset(), batch_size)]


def right_epoch(library: str, value: float) -> bool:
    """The Dice of the seven cases."""
    return near(value, by_hand(CASES[1], CASES[0], pools(library)))


def both(run: Callable[[str], Any]) -> dict[str, Cell]:
    """The same in a MONAI engine, with our metric and with MONAI's."""
    return {library: lambda library=library: run(library) for library in (OURS, "MONAI")}
