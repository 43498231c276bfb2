"""``--verify IMAGE``: Clara's graph and the bundle's network on a user's image."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monai_auxops.weights.bundle_files import activation_of
from monai_auxops.weights.convert import state_of
from monai_auxops.weights.description import describe
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.files import find_models
from monai_auxops.weights.network import GraphNetwork
from monai_auxops.weights.slicing import cut


@dataclass(frozen=True, slots=True)
class Comparison:
    """The distance of the bundle's network from Clara's graph on one image.

    Attributes:
        shape: the shape of the output.
        difference: the largest difference of the probabilities, in float32.
        dice: the smallest Dice coefficient of a class between the two predictions.
        seconds: the times of the graph and of the bundle's network.
    """

    shape: tuple[int, ...]
    difference: float
    dice: float
    seconds: tuple[float, float]

    @property
    def sentence(self) -> str:
        """The result as text."""
        sizes = " x ".join(str(size) for size in self.shape[1:])
        return (
            f"verified on an image: {sizes} probabilities differ by at most {self.difference:.1e}, "
            f"Dice {self.dice:.4f}, {self.seconds[0]:.1f} s by Clara's graph and {self.seconds[1]:.1f} s by the bundle"
        )


def verify(models: Path, bundle: Path, image: list[Path]) -> Comparison:
    """Compare both networks on an image after the bundle's preprocessing, through the bundle's inferer.

    Args:
        models: an MMAR, or its ``models`` folder.
        bundle: the bundle, with its weights.
        image: the file, or the files of its channels.
    """
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser["bundle_root"] = str(bundle)
    names = [str(path) for path in image]
    try:
        item = parser.get_parsed_content("preprocessing")({"image": names if len(names) > 1 else names[0]})
        network, inferer = parser.get_parsed_content("network_def"), parser.get_parsed_content("inferer")
    except Exception as error:
        raise WeightsError(f"the bundle's preprocessing of {names[0]} failed: {_first_cause(error)}") from error
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", map_location="cpu", weights_only=True))
    batch = torch.as_tensor(item["image"]).float()[None]
    return compare(_graph(models), network.eval(), inferer, batch, activation_of(bundle))


def _first_cause(error: BaseException) -> BaseException:
    """Return the error that the first transform met, which MONAI's own message does not repeat."""
    return error if error.__cause__ is None else _first_cause(error.__cause__)


def _graph(models: Path) -> GraphNetwork:
    files = find_models(models)
    description = describe(cut(files.graph), files.read)
    graph = GraphNetwork(description.graph)
    graph.load_state_dict(state_of(description))
    return graph.eval()


@torch.no_grad()
def compare(graph: nn.Module, network: nn.Module, inferer: Any, batch: Tensor, activation: str | None) -> Comparison:
    """Run both networks through an inferer and compare their probabilities and classes."""
    start = time.perf_counter()
    expected = _activated(torch.as_tensor(inferer(batch, graph)), activation)
    middle = time.perf_counter()
    got = _activated(torch.as_tensor(inferer(batch, network)), activation)
    end = time.perf_counter()
    worst = (expected - got).abs().max().item()
    dice = smallest_dice(_classes(expected, activation), _classes(got, activation))
    return Comparison(tuple(got.shape), worst, dice, (middle - start, end - middle))


def _activated(logits: Tensor, activation: str | None) -> Tensor:
    functions: Mapping[str | None, Any] = {"sigmoid": torch.sigmoid, "softmax": lambda x: x.softmax(1)}
    found: Tensor = functions.get(activation, lambda x: x)(logits)
    return found


def _classes(values: Tensor, activation: str | None) -> Tensor:
    """Return a mask per class: values above one half, or the class with the largest value."""
    if activation == "sigmoid" or values.shape[1] == 1:
        return values > 0.5
    return torch.nn.functional.one_hot(values.argmax(1), values.shape[1]).movedim(-1, 1).bool()


def smallest_dice(a: Tensor, b: Tensor) -> float:
    """Return the smallest Dice coefficient over the classes; two empty masks agree.

    Examples:
        >>> mask = torch.tensor([[[True, True]], [[False, False]]]).movedim(0, 1)
        >>> smallest_dice(mask, mask), smallest_dice(mask, ~mask)
        (1.0, 0.0)
    """
    axes = [axis for axis in range(a.dim()) if axis != 1]
    overlap, total = (a & b).sum(axes), a.sum(axes) + b.sum(axes)
    return float(torch.where(total > 0, 2 * overlap / total.clamp(min=1), torch.ones(())).min())
