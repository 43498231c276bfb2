"""Convert a graph with weights to a proven network or to the graph itself, or refuse it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from monai_auxops.weights import segresnet
from monai_auxops.weights.candidates import Block, Candidate, Question, candidates, family
from monai_auxops.weights.description import Description, describe
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.files import ModelFiles, NoGraphError, find_models
from monai_auxops.weights.network import GraphNetwork
from monai_auxops.weights.proof import (
    BOUND,
    LIMIT,
    check_activation,
    depends_on_image,
    difference,
    first_difference,
    inputs,
    sizes,
)
from monai_auxops.weights.roles import Role, roles
from monai_auxops.weights.slicing import cut

UNKNOWN: Final = "unknown"
"""The activation of a bundle that does not tell it."""
_WORDS: Final = {"in_channels": "input", "out_channels": "output"}
_GRAPH_TARGET: Final = "monai_auxops.weights.GraphNetwork"


@dataclass(frozen=True, slots=True)
class Conversion:
    """Converted weights.

    Attributes:
        outcome: ``proven``, or ``equivalent`` if the graph itself is the network.
        sentence: the message for the user.
        network_def: the bundle's block for a network that computes the same.
        state: its state dict, in float32 as saved.
        graph: the content of ``graph.json``, if the network needs it.
    """

    outcome: str
    sentence: str
    network_def: Block
    state: Mapping[str, Tensor]
    graph: Mapping[str, Any] | None = None


def convert(
    models: Path, network_def: Mapping[str, Any], activation: str | None = UNKNOWN, use_graph: bool = False
) -> Conversion:
    """Return the weights of an MMAR in a network that computes the same as Clara's.

    Args:
        models: an MMAR, or its ``models`` folder.
        network_def: the bundle's block for its network.
        activation: what the bundle applies to the network's output: ``sigmoid``, ``softmax`` or None.
        use_graph: use the graph itself as the network, whatever it is.

    Raises:
        WeightsError: nothing can be proven, or a file cannot be read; the message says what differs and what to do.
    """
    try:
        return _convert(find_models(models), network_def, activation, use_graph)
    except NoGraphError as error:
        raise WeightsError(f"{error}. {mapping_of(error)}") from error
    except (MemoryError, RecursionError) as error:
        raise WeightsError(f"the file needs more memory than this machine has ({type(error).__name__})") from error


def mapping_of(error: NoGraphError) -> str:
    """Describe how the weights of a checkpoint without a graph would be mapped."""
    checkpoint = error.checkpoint
    keys = {name: key for name in checkpoint.entries if (key := segresnet.key_of(name)) is not None}
    told = segresnet.arguments({name: checkpoint.shape(name) for name in keys})
    if told is None:
        return f"It has {len(checkpoint.entries)} tensors, whose names are not those of SegResnet. Nothing was loaded."
    arguments = ", ".join(f"{name}={value}" for name, value in told.items())
    rows = "".join(f"\n  {name} -> {key}" for name, key in sorted(keys.items()))
    return f"By their names {len(keys)} tensors are those of SegResNet({arguments}); nothing was loaded:{rows}"


def _convert(files: ModelFiles, network_def: Mapping[str, Any], activation: str | None, use_graph: bool) -> Conversion:
    found = cut(files.graph)
    description = describe(found, files.read)
    _refuse_nan(description)
    question = Question(found, load(description), description.tensors, network_def)
    whole = load(describe(cut(files.graph, keep_activation=True), files.read))
    name = None if use_graph else family(question)
    images = inputs(question, name or "")
    _check_activation(question, whole, activation, images)
    _check_channels(question, images[1])
    if name is None:
        return _graph_itself(question, description, images)
    return _proven(question, name, images)


def _refuse_nan(description: Description) -> None:
    for name, value in description.tensors.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise WeightsError(f"{name} holds NaN or infinite numbers: the training had diverged; use other weights")


def _check_channels(question: Question, image: Tensor) -> None:
    """Compare the graph's numbers of channels with the configuration's, for which its data and labels are."""
    with torch.no_grad():
        actual = {"in_channels": image.shape[1], "out_channels": question.graph(image).shape[1]}
    for name, channels in actual.items():
        wanted = question.network_def.get(name)
        if isinstance(wanted, int) and wanted != channels:
            raise WeightsError(f"Clara's graph has {channels} {_WORDS[name]} channels, the configuration {wanted}")


def load(description: Description) -> GraphNetwork:
    """Return a graph as a module in float64, in evaluation, with a bound on what it may allocate."""
    network = GraphNetwork(description.graph)
    network.load_state_dict(state_of(description))
    network.limit = LIMIT
    return network.double().eval()


def state_of(description: Description) -> dict[str, Tensor]:
    """Return the tensors of a graph as a state dict."""
    return {name: torch.from_numpy(np.array(value)) for name, value in description.tensors.items()}


def _check_activation(question: Question, whole: GraphNetwork, expected: str | None, images: list[Tensor]) -> None:
    """Compare the graph's last activation with the bundle's, except for classifiers, whose metrics apply it."""
    if question.graph.activation is not None:
        check_activation(question.graph, whole, images)
    with torch.no_grad():
        is_classifier = question.graph(images[1]).dim() == 2
    actual = question.graph.activation
    if expected != UNKNOWN and not is_classifier and actual != expected:
        raise WeightsError(
            f"Clara's graph ends in {actual or 'no activation'}, and the bundle applies {expected or 'none'}: "
            "set final_activation in config_train.json to the graph's, and migrate again"
        )


def _proven(question: Question, name: str, images: list[Tensor]) -> Conversion:
    best, nearest = float("inf"), None
    for candidate in candidates(question, name, sizes(question, name)[1]):
        distance = difference(question.graph, candidate.network, images[:1])
        if distance < best or nearest is None:
            best, nearest = distance, candidate
        if best <= BOUND:
            break
    assert nearest is not None
    if best <= BOUND:
        best = max(best, difference(question.graph, nearest.network, images[1:]))
    if not best <= BOUND:
        raise WeightsError(_refusal(question, name, nearest, best, images[0]))
    if not depends_on_image(question.graph, images[0]):
        raise WeightsError("Clara's graph gives the same for any image (are its weights zero?): nothing can be proven")
    sentence = f"weights: {len(nearest.keys)} tensors, proven: {best:.0e} from Clara's graph on {len(images)} inputs"
    return Conversion("proven", sentence, nearest.block, nearest.network.float().state_dict())


def _refusal(question: Question, name: str, nearest: Candidate, distance: float, image: Tensor) -> str:
    detail = f" with {nearest.differs}" if nearest.differs else ""
    return (
        f"weights refused: the nearest {name}{detail} is {distance:.1e} from Clara's graph, "
        f"at most {BOUND:.0e} is a proof{first_difference(question, nearest, image)}; "
        "`monai-auxops weights --graph` uses Clara's graph itself as the network"
    )


def _graph_itself(question: Question, description: Description, images: list[Tensor]) -> Conversion:
    """Use the graph as the network; it runs on both inputs here, so it also runs in the bundle."""
    with torch.no_grad():
        for image in images:
            question.graph(image)
    statistics = any(role.is_statistic for role in roles(question.found).values())
    frozen = statistics and not question.found.updates
    remark = (
        "; training keeps the batch norm statistics fixed, because a frozen graph does not tell how they are updated"
    )
    learned = [role for role in roles(question.found).values() if role is not Role.OTHER]
    sentence = (
        f"weights: {len(learned)} tensors, equivalent: the network is Clara's graph, run operation by operation"
        f"{remark * frozen}"
    )
    block = {"_target_": _GRAPH_TARGET, "graph": "$@bundle_root + '/models/graph.json'"}
    return Conversion("equivalent", sentence, block, state_of(description), description.graph)
