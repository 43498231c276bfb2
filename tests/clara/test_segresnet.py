"""Clara's SegResNet: MONAI's keys, TensorFlow's padding and upsampling, scripted and exported."""

import itertools
import subprocess
import sys

import monai.networks.nets
import pytest
import torch

from monai_auxops.clara import SegResNet
from monai_auxops.clara.segresnet import PADDINGS, UPSAMPLINGS

ARGS = {"init_filters": 8, "in_channels": 1, "out_channels": 2, "blocks_down": (1, 2, 1), "blocks_up": (1, 1)}


def image(dims):
    return torch.randn(1, 1, *(16, 8, 24)[:dims], generator=torch.Generator().manual_seed(0))


@pytest.mark.filterwarnings("ignore")  # scripting is deprecated; ckpt_export uses it
@pytest.mark.parametrize(("dims", "upsampling", "padding"), list(itertools.product((2, 3), UPSAMPLINGS, PADDINGS)))
def test_scripted_it_computes_the_same(dims, upsampling, padding):
    network = SegResNet(spatial_dims=dims, upsampling=upsampling, padding=padding, dropout_prob=0.2, **ARGS).eval()
    x = image(dims)
    assert torch.equal(torch.jit.script(network)(x), network(x))


def test_weights_move_between_both_classes_and_only_monais_way_computes_the_same():
    network = SegResNet(spatial_dims=3, padding="symmetric", **ARGS).eval()
    twin = monai.networks.nets.SegResNet(spatial_dims=3, **ARGS).eval()
    twin.load_state_dict(network.state_dict())
    x = image(3)
    assert torch.equal(network(x), twin(x))
    other = SegResNet(spatial_dims=3, padding="same", **ARGS).eval()
    other.load_state_dict(twin.state_dict())
    assert (other(x) - twin(x)).abs().max() > 1e-3


@pytest.mark.parametrize("size", [7, 8])
def test_padding_is_tensorflows_for_every_size(size):
    layer = SegResNet(spatial_dims=2, **ARGS).down_layers[1][0]
    x = torch.randn(1, 8, size, size)
    total = (-(-size // 2) - 1) * 2 + 3 - size
    padded = torch.nn.functional.pad(x, [total // 2, total - total // 2] * 2)
    torch.testing.assert_close(layer(x), torch.nn.functional.conv2d(padded, layer.conv.weight, stride=2))


@pytest.mark.parametrize("option", ["upsampling", "padding"])
def test_unknown_options_are_refused(option):
    with pytest.raises(ValueError, match=f"expected {option} among"):
        SegResNet(spatial_dims=2, **{option: "cubic"}, **ARGS)


def test_a_plain_name_in_a_bundle_stays_monais():
    """Whatever was imported first: MONAI looks for bare names in every module that starts with `monai`."""
    code = (
        "import monai_auxops.clara\n"
        "from monai.bundle import ConfigParser\n"
        "parser = ConfigParser({'net': {'_target_': 'SegResNet', 'spatial_dims': 2}})\n"
        "print(type(parser.get_parsed_content('net')).__module__)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error:there are more", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "monai.networks.nets.segresnet"
    assert "more than 1 component" not in done.stderr
