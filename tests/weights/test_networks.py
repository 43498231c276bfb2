"""Whole networks against TensorFlow's stored outputs; the graph as a module that trains and exports."""

import copy
import json

import numpy as np
import pytest
import torch

from monai_auxops.weights import GraphNetwork, WeightsError
from monai_auxops.weights.checkpoint import Checkpoint
from monai_auxops.weights.description import describe
from monai_auxops.weights.graphdef import read_graph
from monai_auxops.weights.slicing import cut
from tests.weights.conftest import NETWORKS, arrays

STORED = [name for name in NETWORKS if name not in ("densenet121", "unet_training")]


def network_of(path, read=None):
    description = describe(cut(read_graph(path)), read)
    network = GraphNetwork(json.loads(json.dumps(description.graph)))
    network.load_state_dict({name: torch.tensor(np.array(value)) for name, value in description.tensors.items()})
    return network.eval()


def from_checkpoint(folder):
    return network_of(folder / "model.ckpt.meta", Checkpoint(folder / "model.ckpt").read)


def activated(network, x):
    logits = network(torch.from_numpy(x)).detach()
    functions = {"sigmoid": torch.sigmoid, "softmax": lambda y: y.softmax(1), None: lambda y: y}
    return functions[network.activation](logits).numpy()


@pytest.mark.parametrize("name", STORED)
def test_a_checkpoint_predicts_what_tensorflow_did(name, golden):
    folder = golden(name)
    stored = arrays(folder)
    np.testing.assert_allclose(activated(from_checkpoint(folder), stored["x"]), stored["y"], atol=5e-6)


@pytest.mark.parametrize(
    "name", ["segresnet_2d_repeat", "segresnet_2d_batch", "segresnet_3d_last", "unet", "unet_last"]
)
def test_a_frozen_graph_predicts_what_tensorflow_did(name, golden):
    folder = golden(name)
    stored = arrays(folder)
    network = network_of(folder / "model.fzn.pb")
    np.testing.assert_allclose(activated(network, stored["x"]), stored["y"], atol=5e-6)
    assert set(network.state_dict()) == set(from_checkpoint(folder).state_dict())


def test_training_uses_and_moves_statistics_as_tensorflow_did(golden):
    folder = golden("unet_training")
    stored = arrays(folder)
    network = from_checkpoint(folder).train()
    np.testing.assert_allclose(activated(network, stored["x"]), stored["y"], atol=5e-6)
    moved = {name: value for name, value in network.named_buffers() if "moving_" in name}
    assert len(moved) == 4
    for name, value in moved.items():
        np.testing.assert_allclose(value.numpy(), stored[name], atol=1e-6)


@pytest.fixture
def unet(golden):
    return from_checkpoint(golden("unet"))


def test_every_parameter_learns_and_statistics_do_not(unet):
    loss = unet.train()(torch.randn(2, 1, 16, 8)).square().mean()
    loss.backward()
    assert all(parameter.grad is not None for parameter in unet.parameters())
    assert {name.rpartition("/")[2] for name, _ in unet.named_buffers()} == {"moving_mean", "moving_variance"}


def test_dropout_works_in_training_only(unet):
    x = torch.randn(1, 1, 16, 8)
    assert torch.equal(unet(x), unet(x))
    unet.train()
    assert not torch.equal(unet(x), unet(x))


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (3, 1, 20, 32)])
def test_other_sizes_and_batches(unet, shape):
    assert unet(torch.zeros(shape)).shape == (shape[0], 2, *shape[2:])


@pytest.mark.parametrize("name", ["unet", "unet_last"])
def test_an_image_of_other_channels_is_refused(name, golden):
    network = from_checkpoint(golden(name))
    with pytest.raises(WeightsError, match=r"expected an image of 1 channels, got one of shape \[1, 2, 16, 8\]"):
        network(torch.zeros(1, 2, 16, 8))


def test_copies_and_state_dicts_compute_the_same(unet):
    x = torch.randn(1, 1, 16, 8)
    twin = copy.deepcopy(unet)
    twin.load_state_dict(unet.state_dict())
    assert torch.equal(twin(x), unet(x))


@pytest.mark.filterwarnings("ignore")  # tracing is deprecated, and warns of sizes of weights that it fixes
@pytest.mark.parametrize(
    "name", ["unet", "unet_last", "segresnet_2d_repeat", "segresnet_3d_last", "segresnet_2d_batch"]
)
def test_traced_networks_keep_their_sizes_free(name, golden):
    network = from_checkpoint(golden(name))
    channels, dims = (1, 2) if name.startswith("unet") else (2, 3 if "3d" in name else 2)
    traced = torch.jit.trace(network, torch.randn(1, channels, *(8, 16, 12)[:dims]), check_trace=False)
    for shape in [(2, channels, *(16, 8, 4)[:dims]), (3, channels, *(12, 24, 8)[:dims])]:
        x = torch.randn(shape)
        torch.testing.assert_close(traced(x), network(x))


@pytest.mark.slow
def test_exported_networks_keep_their_sizes_free(unet):
    free = [torch.export.Dim(f"half{axis}", min=2, max=64) for axis in range(2)]
    sizes = {0: torch.export.Dim("batch", min=2, max=16)} | {axis + 2: 2 * half for axis, half in enumerate(free)}
    x = torch.randn(3, 1, 8, 16)
    exported = torch.export.export(unet, (x,), dynamic_shapes=(sizes,)).module()
    for shape in [x.shape, (2, 1, 16, 6)]:
        y = torch.randn(shape)
        torch.testing.assert_close(exported(y), unet(y))


@pytest.mark.slow
def test_a_network_in_space_is_exported_for_one_size(golden):
    network = from_checkpoint(golden("segresnet_3d_last"))
    x = torch.randn(1, 2, 8, 4, 6)
    torch.testing.assert_close(torch.export.export(network, (x,)).module()(x), network(x))
