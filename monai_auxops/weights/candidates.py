"""The torch networks that may match a graph, best guess first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from monai.networks.nets import DenseNet121
from torch import Tensor, nn

from monai_auxops.clara.segresnet import PADDINGS, UPSAMPLINGS, ClaraSegResNet
from monai_auxops.weights import facts, segresnet
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.matching import by_order, tensor_slots, to_torch
from monai_auxops.weights.roles import Role, roles

if TYPE_CHECKING:
    from monai_auxops.weights.description import Array
    from monai_auxops.weights.network import GraphNetwork
    from monai_auxops.weights.slicing import Slice

TARGETS: Final = {"SegResNet": "monai_auxops.clara.SegResNet", "DenseNet121": "DenseNet121"}
_CLASSES: Final[dict[str, type[nn.Module]]] = {"SegResNet": ClaraSegResNet, "DenseNet121": DenseNet121}
_MOMENTUM: Final = 0.01
"""Torch's form of 0.99, which is TensorFlow's default for moving statistics."""
Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """The question which torch network computes what a graph computes.

    Attributes:
        found: the network within the graph.
        graph: the same as a module.
        tensors: its weights and statistics.
        network_def: the bundle's current definition of its network.
    """

    found: Slice
    graph: GraphNetwork
    tensors: Mapping[str, Array]
    network_def: Mapping[str, Any]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights."""
        return {name: tuple(value.shape) for name, value in self.tensors.items()}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A torch network with the graph's weights."""

    block: Block
    network: nn.Module
    keys: Mapping[str, str]

    @property
    def differs(self) -> str:
        """The arguments in which this candidate differs from the others, as text."""
        names = ("upsampling", "padding")
        return ", ".join(f"{name} {self.block[name]}" for name in names if name in self.block)


def family(question: Question) -> str | None:
    """Return the family of provable networks that the graph belongs to."""
    if segresnet.arguments(question.shapes) is not None:
        found = "SegResNet"
    else:
        found = str(question.network_def.get("_target_", "")).rpartition(".")[2]
    has_norm = any(role is Role.SCALE for role in roles(question.found).values())
    return found if found in TARGETS and (has_norm or found != "SegResNet") else None


def candidates(question: Question, name: str, size: list[int]) -> Iterator[Candidate]:
    """Yield networks of a family, starting with the one that the graph's operations indicate.

    Args:
        question: the graph.
        name: ``SegResNet`` or ``DenseNet121``.
        size: a spatial size that the network accepts.

    Raises:
        WeightsError: the weights do not fit the network.
    """
    base = _base(question, name, size)
    if name != "SegResNet":
        yield _candidate(question, name, base, size)
        return
    guess = {"upsampling": facts.upsampling(question.found) or "half_pixel", "padding": facts.padding(question.found)}
    yield _candidate(question, name, base | guess, size)
    for up, pad in itertools.product(UPSAMPLINGS, PADDINGS):
        other = {"upsampling": up, "padding": pad}
        if other != guess:
            yield _candidate(question, name, base | other, size)


def _base(question: Question, name: str, size: list[int]) -> Block:
    """Return the bundle's arguments, overridden by what the weights and the graph tell."""
    known = {key: value for key, value in question.network_def.items() if key != "_target_"}
    known.pop("pretrained", None)
    told = segresnet.arguments(question.shapes) if name == "SegResNet" else None
    return known | (told or {}) | {"norm": _norm(question, known, told or known, size)}


def _norm(question: Question, known: Mapping[str, Any], told: Mapping[str, Any], size: list[int]) -> Any:
    """Return the normalization with the graph's epsilon, as MONAI's argument."""
    found = {"eps": facts.epsilon(question.found) or 1e-5}
    if any(role.is_statistic for role in roles(question.found).values()):
        return ["BATCH", {**found, "momentum": _MOMENTUM}]
    given = known.get("norm")
    default = given[1].get("num_groups", 8) if isinstance(given, list) and len(given) == 2 else 8
    image = torch.zeros(1, int(told.get("in_channels", 1)), *size, dtype=torch.float64)
    return ["GROUP", {"num_groups": facts.groups(question.found, question.graph, image) or default, **found}]


def _candidate(question: Question, name: str, args: Block, size: list[int]) -> Candidate:
    try:
        network = _CLASSES[name](**args)
    except Exception as error:
        raise WeightsError(f"{name} cannot be built with {args}: {error}") from error
    image = torch.zeros(1, int(args.get("in_channels", 1)), *size)
    keys = _keys(question, network, image)
    state = _state(question, network, keys)
    network.load_state_dict(state)
    return Candidate({"_target_": TARGETS[name], **args}, network.double().eval(), keys)


def _keys(question: Question, network: nn.Module, image: Tensor) -> dict[str, str]:
    """Match by name if all names fit, otherwise by order of use."""
    found = roles(question.found)
    learned = [name for name, role in found.items() if role is not Role.OTHER]
    named = {name: key for name in learned if (key := segresnet.key_of(name)) is not None}
    wanted = {key for key in network.state_dict() if not key.endswith("num_batches_tracked")}
    if isinstance(network, ClaraSegResNet) and set(named) == set(learned) and set(named.values()) == wanted:
        return named
    return by_order(found, tensor_slots(network, image), question.tensors)


def _state(question: Question, network: nn.Module, keys: Mapping[str, str]) -> dict[str, Tensor]:
    state = dict(network.state_dict())
    for name, key in keys.items():
        state[key] = to_torch(question.tensors[name], tuple(state[key].shape), name, key)
    return state
