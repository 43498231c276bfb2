"""Every operation against its value from TensorFlow 1.15, and padding against its definition."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monai_auxops.weights import GraphNetwork, WeightsError
from monai_auxops.weights.description import describe
from monai_auxops.weights.graphdef import Node, read_graph
from monai_auxops.weights.operations import OPERATIONS
from monai_auxops.weights.operations.layers import same_padding
from monai_auxops.weights.slicing import cut
from tests.weights.conftest import GOLDEN, NETWORKS, unpack


def _cases():
    with np.load(GOLDEN / "operations.npz") as found:
        cases, graphs, outputs = json.loads(str(found["cases"])), found["graphs"].tobytes(), found["outputs"]
    graph_at = output_at = 0
    for case in cases:
        size = int(np.prod(case["output"]))
        case["graph"] = graphs[graph_at : graph_at + case["bytes"]]
        case["y"] = outputs[output_at : output_at + size].reshape(case["output"])
        graph_at, output_at = graph_at + case["bytes"], output_at + size
    return {case["name"]: case for case in cases}


CASES = _cases()


def network_of(path, **options):
    description = describe(cut(read_graph(path), **options), lambda name: pytest.fail(f"{name} is no constant"))
    description.graph["channels_last"] = [False, False]
    network = GraphNetwork(description.graph)
    network.load_state_dict({name: torch.tensor(value) for name, value in description.tensors.items()})
    return network.eval()


@pytest.mark.parametrize("name", CASES)
def test_equals_tensorflow(name, tmp_path):
    case = CASES[name]
    path = tmp_path / "case.pb"
    path.write_bytes(case["graph"])
    x = np.random.RandomState(3).standard_normal(case["input"]).astype(np.float32)
    found = network_of(path, keep_activation=True)(torch.from_numpy(x)).detach().numpy()
    assert found.shape == case["y"].shape
    np.testing.assert_allclose(found, case["y"], rtol=2e-5, atol=2e-6)


def test_every_operation_has_a_value_from_tensorflow(tmp_path):
    seen = set()
    for case in CASES.values():
        path = tmp_path / "case.pb"
        path.write_bytes(case["graph"])
        seen |= {node.op for node in cut(read_graph(path), keep_activation=True).nodes}
    for name in NETWORKS:
        folder = unpack(name, tmp_path / name)
        for path in [*folder.glob("*.meta"), *folder.glob("*.pb")]:
            seen |= {node.op for node in cut(read_graph(path), keep_activation=True).nodes}
    assert set(OPERATIONS) - seen == set()


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_same_padding_is_tensorflows_formula(size, kernel, stride, dilation):
    before, after = same_padding(size, kernel, stride, dilation)
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    assert before + after == total
    assert after - before == total % 2
    assert (size + before + after - reach) // stride + 1 == -(-size // stride)


def test_an_unknown_operation_is_named_with_its_node():
    graph = {
        "format": 1,
        "input": "image",
        "output": "mine/Zeta",
        "channels_last": [False, False],
        "activation": None,
        "needed": 2,
        "parameters": {},
        "buffers": {},
        "updates": {},
        "nodes": [["image", "Input", [], {}], ["mine/Zeta", "Zeta", ["image"], {}]],
    }
    with pytest.raises(WeightsError, match="mine/Zeta uses TensorFlow's operation Zeta"):
        GraphNetwork(graph)


@pytest.mark.parametrize("text", ["", "name"])
def test_a_node_without_attributes_has_none(text):
    assert Node(text, "Add").decoded().attributes == {}
