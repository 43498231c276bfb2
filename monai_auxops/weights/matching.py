"""Match the weights of a graph with those of a torch network, by order of use."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.roles import Role

if TYPE_CHECKING:
    from monai_auxops.weights.description import Array

_NORMS = (nn.GroupNorm, nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
_CONVS = (nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, slots=True)
class TensorSlot:
    """A place for a tensor in a torch network."""

    key: str
    role: Role
    shape: tuple[int, ...]


def tensor_slots(network: nn.Module, image: Tensor) -> list[TensorSlot]:
    """Return the tensors of a network in order of use; only shapes are computed."""
    shapes = copy.deepcopy(network).to("meta").eval()
    found: list[TensorSlot] = []
    names = {module: name for name, module in shapes.named_modules()}

    def note(module: nn.Module, *_: object) -> None:
        found.extend(_slots_of(names[module], module))

    for module in names:
        module.register_forward_hook(note)
    shapes(image.to("meta"))
    return found


def _slots_of(name: str, module: nn.Module) -> Iterator[TensorSlot]:
    if isinstance(module, _NORMS):
        roles = {"weight": Role.SCALE, "bias": Role.SHIFT, "running_mean": Role.MEAN, "running_var": Role.VARIANCE}
    elif isinstance(module, (*_CONVS, nn.Linear)):
        roles = {"weight": Role.KERNEL, "bias": Role.BIAS}
    else:
        return
    for attribute, role in roles.items():
        value = getattr(module, attribute, None)
        if value is not None:
            yield TensorSlot(f"{name}.{attribute}", role, tuple(value.shape))


def by_order(roles: Mapping[str, Role], places: list[TensorSlot], tensors: Mapping[str, Array]) -> dict[str, str]:
    """Return the key of each weight of the graph.

    Args:
        roles: the weights of the graph in order of use.
        places: the tensors of the torch network in order of use.
        tensors: the values of the weights.

    Raises:
        WeightsError: the numbers of weights or their shapes differ; the message names the first difference.
    """
    queues = {role: [name for name, found in roles.items() if found is role] for role in Role}
    found = {}
    for place in places:
        queue = queues[place.role]
        if not queue:
            raise WeightsError(f"the graph has no {place.role.value} left for {place.key}")
        name = queue.pop(0)
        to_torch(tensors[name], place.shape, name, place.key)
        found[name] = place.key
    left = next((name for role in Role if role is not Role.OTHER for name in queues[role]), None)
    if left is not None:
        raise WeightsError(f"the graph's weight {left} has no counterpart")
    return found


def to_torch(value: Array, shape: tuple[int, ...], name: str, key: str) -> Tensor:
    """Return a weight in torch's layout: kernels have their output channels first.

    Raises:
        WeightsError: the shape differs.
    """
    array = np.asarray(value)
    if array.ndim >= 2:
        array = np.moveaxis(array, (-1, -2), (0, 1))
    if 1 in (*array.shape, *shape) and array.size == np.prod(shape):  # a product of matrices as a 1 x 1 convolution
        array = array.reshape(shape)
    if array.shape != shape:
        raise WeightsError(
            f"{name} has the shape {list(value.shape)}, which {key} of the shape {list(shape)} cannot take"
        )
    return torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))
