"""What is proven, and that wrong padding, upsampling, epsilon, activation and tensors are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from monai_auxops.weights import WeightsError
from monai_auxops.weights.candidates import Candidate, Question, candidates
from monai_auxops.weights.convert import convert, load
from monai_auxops.weights.description import describe
from monai_auxops.weights.files import find_models
from monai_auxops.weights.proof import BOUND, difference, first_difference, inputs, sizes
from monai_auxops.weights.slicing import cut
from monai_auxops.weights.verify import smallest_dice
from tests.weights.conftest import PROVABLE

UPSAMPLING = ["repeat", "half_pixel", "align_corners", "nearest"]


def question_of(folder, change=lambda graph: None):
    files = find_models(folder)
    graph = dict(files.graph)
    change(graph)
    found = cut(graph)
    description = describe(found, files.read)
    return Question(found, load(description), description.tensors, {"_target_": "SegResNet"})


def all_candidates(question):
    return list(candidates(question, "SegResNet", sizes(question, "SegResNet")[1]))


@pytest.mark.parametrize("name", PROVABLE)
def test_the_graph_tells_which_network_it_is(name, golden):
    conversion = convert(golden(name), {"_target_": "SegResNet"})
    assert conversion.outcome == "proven"
    if name.removeprefix("segresnet_2d_") in UPSAMPLING:
        assert conversion.network_def["upsampling"] == name.removeprefix("segresnet_2d_")
    assert conversion.network_def["padding"] == ("symmetric" if "symmetric" in name else "same")
    assert float(conversion.sentence.split("proven: ")[1].split()[0]) < 1e-12


def test_small_networks_of_another_kind_are_proven_by_order(golden):
    network = {"_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1, "out_channels": 3}
    network |= {"init_features": 4, "growth_rate": 2, "block_config": [1, 2]}
    conversion = convert(golden("densenet_3d"), network)
    assert conversion.outcome == "proven"
    assert conversion.network_def["norm"][1]["eps"] == pytest.approx(1.001e-5)


@pytest.mark.parametrize("name", ["segresnet_2d_repeat", "segresnet_2d_half_pixel", "segresnet_3d_vae"])
def test_only_one_padding_and_upsampling_is_within_the_bound(name, golden):
    question = question_of(golden(name))
    images = inputs(question, "SegResNet")
    distances = [difference(question.graph, item.network, images) for item in all_candidates(question)]
    assert len(distances) == 8
    assert [distance <= BOUND for distance in distances] == [True] + [False] * 7
    assert min(distances[1:]) > 1e-3


@pytest.mark.parametrize("epsilon", [1e-3, 1e-6, 1.001e-5])
def test_another_epsilon_is_outside_of_the_bound(epsilon, golden):
    question = question_of(golden("segresnet_2d_repeat"))
    right = all_candidates(question)[0]
    for module in right.network.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.eps = epsilon
    assert difference(question.graph, right.network, inputs(question, "SegResNet")) > 10 * BOUND


def test_a_swapped_tensor_is_outside_of_the_bound_and_named(golden):
    question = question_of(golden("segresnet_3d_vae"))
    right = all_candidates(question)[0]
    state = right.network.state_dict()
    one, other = "down_layers.1.1.conv1.conv.weight", "down_layers.1.1.conv2.conv.weight"
    state[one], state[other] = state[other].clone(), state[one].clone()
    right.network.load_state_dict(state)
    images = inputs(question, "SegResNet")
    assert difference(question.graph, right.network, images) > 1e-3
    assert "Down0_1_0/conv3d/Conv3D (down_layers.1.1.conv1.conv)" in first_difference(question, right, images[0])


def mutated(folder, change, monkeypatch):
    """Convert a copy of a graph in which something differs."""
    from monai_auxops.weights import convert as module

    files = find_models(folder)
    graph = dict(files.graph)
    change(graph)
    monkeypatch.setattr(module, "find_models", lambda _: replace(files, graph=graph))
    return module.convert(folder, {"_target_": "SegResNet"}, "sigmoid")


def attribute(name, **values):
    def change(graph):
        node = graph[name].decoded()
        graph[name] = replace(node, attributes={**node.attributes, **values})

    return change


def constant(name, value):
    return attribute(name, value=np.array(value, np.float32))


def last(graph, op):
    return next(name for name in reversed(graph) if graph[name].op == op)


def other_activation(graph):
    name = last(graph, "Sigmoid")
    graph[name] = replace(graph[name], op="Softmax")


def one_other_activation_inside(graph):
    name = next(name for name in graph if graph[name].op == "Relu")
    graph[name] = replace(graph[name], op="Elu")


def one_other_epsilon(graph):
    name = next(name for name in graph if name.endswith("Down1_0_0/batch_norm_scope/add/y"))
    constant(name, 2e-5)(graph)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_activation, "the graph's softmax is not over the channels|ends in softmax"),
        (one_other_activation_inside, "weights refused: the nearest SegResNet.*the first layer that differs is Down"),
        (one_other_epsilon, "weights refused: .*the first layer that differs is Down1_0_0/conv2d/Conv2D"),
        (
            lambda graph: attribute(last(graph, "ResizeBilinear"), half_pixel_centers=True)(graph),
            None,
        ),
        (
            attribute("DownscaleConvOne_0_0/conv2d/Conv2D", dilations=[1, 1, 2, 2]),
            "weights refused: .*the first layer that differs is DownscaleConvOne_0_0",
        ),
    ],
)
def test_a_changed_graph_is_refused_or_proven_as_what_it_is(change, message, golden, monkeypatch):
    if message is None:
        conversion = mutated(golden("segresnet_2d_repeat"), change, monkeypatch)
        assert conversion.network_def["upsampling"] == "half_pixel"
        return
    with pytest.raises(WeightsError, match=message):
        mutated(golden("segresnet_2d_repeat"), change, monkeypatch)


def test_the_graph_itself_is_a_way_out(golden):
    conversion = convert(golden("segresnet_2d_repeat"), {"_target_": "SegResNet"}, use_graph=True)
    assert conversion.outcome == "equivalent"
    assert json.dumps(conversion.graph)


def test_another_architecture_is_refused_with_the_first_weight_that_differs(golden):
    network = {"_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1, "out_channels": 3}
    with pytest.raises(WeightsError, match=r"conv1/conv/kernel has the shape \[7, 7, 7, 1, 4\]"):
        convert(golden("densenet_3d"), network)


def test_dice_of_two_empty_masks_is_one():
    empty = torch.zeros(1, 2, 4, dtype=torch.bool)
    assert smallest_dice(empty, empty) == 1.0


def test_a_candidate_says_what_is_its_own():
    block = {"_target_": "SegResNet", "upsampling": "repeat", "padding": "same"}
    assert Candidate(block, torch.nn.Identity(), {}).differs == "upsampling repeat, padding same"
