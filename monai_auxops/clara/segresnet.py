"""Clara's residual network for segmentation, as MONAI's with TensorFlow's padding and upsampling."""

from __future__ import annotations

from typing import Any, Final

from monai.networks.nets import SegResNet
from torch import Tensor, nn
from torch.nn import functional

UPSAMPLINGS: Final = ("half_pixel", "repeat", "align_corners", "nearest")
PADDINGS: Final = ("same", "symmetric")
_LINEAR: Final = {2: "bilinear", 3: "trilinear"}


class ClaraSegResNet(SegResNet):  # type: ignore[misc]
    """MONAI's ``SegResNet`` with the two details in which TensorFlow differs.

    Its public name is ``monai_auxops.clara.SegResNet``. The class itself has another name, because MONAI looks for
    bare names in all modules that start with ``monai``, and a bundle's plain ``SegResNet`` must stay MONAI's.

    The keys of the state dict are MONAI's, so that weights move freely between the two classes. Their predictions
    differ: with weights trained in TensorFlow, MONAI's padding and upsampling cost a fifth of the Dice.

    Args:
        upsampling: where a voxel is when an axis is doubled. ``"half_pixel"``: at its center, as in MONAI.
            ``"repeat"``: at its lower edge, which is TensorFlow 1's default: x, mean of x and the next one, and so on.
            ``"align_corners"``: the first and the last voxel stay. ``"nearest"``: each voxel twice.
        padding: of the convolutions of stride 2. ``"same"``: TensorFlow's, the odd voxel comes after the image.
            ``"symmetric"``: one voxel on each side, as in MONAI.
        **args: the arguments of MONAI's class; a norm's epsilon is ``norm=("GROUP", {"num_groups": 8, "eps": 1e-5})``.

    Shape:
        ``(batch, in_channels, *space)`` to ``(batch, out_channels, *space)``; each size of space is a multiple of 2 to
        the power of ``len(blocks_down) - 1``.

    Raises:
        ValueError: an unknown ``upsampling`` or ``padding``.

    Examples:
        >>> import torch
        >>> network = ClaraSegResNet(upsampling="repeat", spatial_dims=2, blocks_down=(1, 1), blocks_up=(1,))
        >>> network(torch.zeros(1, 1, 8, 6)).shape
        torch.Size([1, 2, 8, 6])
    """

    def __init__(self, *, upsampling: str = "half_pixel", padding: str = "same", **args: Any) -> None:
        if upsampling not in UPSAMPLINGS:
            raise ValueError(f"SegResNet expected upsampling among {list(UPSAMPLINGS)}, got {upsampling!r}")
        if padding not in PADDINGS:
            raise ValueError(f"SegResNet expected padding among {list(PADDINGS)}, got {padding!r}")
        super().__init__(**args)
        if padding == "same":
            for layer in self.down_layers[1:]:
                layer[0] = _SameConv(layer[0].conv)
        if upsampling != "half_pixel":
            for sample in self.up_samples:
                sample[1] = _upsample(upsampling, self.spatial_dims)


class _SameConv(nn.Module):
    """A convolution of kernel 3 and stride 2 with TensorFlow's padding: an even size is padded at its end only."""

    def __init__(self, conv: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.conv = conv
        self.conv.padding = (0,) * (conv.weight.dim() - 2)

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size in x.shape[2:]:
            pads = [size % 2, 1] + pads  # noqa: RUF005  (torch.jit.script knows no unpacking)
        return self.conv(functional.pad(x, pads))  # type: ignore[no-any-return]


class _Repeat(nn.Module):
    """TensorFlow 1's linear upsampling by two: x, mean of x and the next one, and so on; the last one twice."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.nearest = nn.Upsample(scale_factor=2.0)
        pool = nn.AvgPool3d if dims == 3 else nn.AvgPool2d
        self.mean = pool(2, 1)
        self.pads = [0, 1] * dims

    def forward(self, x: Tensor) -> Tensor:
        return self.mean(functional.pad(self.nearest(x), self.pads, mode="replicate"))  # type: ignore[no-any-return]


def _upsample(kind: str, dims: int) -> nn.Module:
    if kind == "repeat":
        return _Repeat(dims)
    if kind == "nearest":
        return nn.Upsample(scale_factor=2.0, mode="nearest")
    return nn.Upsample(scale_factor=2.0, mode=_LINEAR[dims], align_corners=True)
