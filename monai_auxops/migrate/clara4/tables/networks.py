"""Networks: the weights fit where the row says exact; ``--check`` loads them strictly."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.clara4.tables.base import Draft, Row
from monai_auxops.migrate.diagnostics import Outcome


def _group_norm(draft: Draft) -> None:
    """Write norm_name and num_groups as today's norm."""
    given = [name for name in ("norm_name", "num_groups") if name in draft.args]
    kind = draft.args.pop("norm_name", "group") or "group"
    groups = draft.args.pop("num_groups", 8)
    if not given or "norm" in draft.args:
        return
    if str(kind).lower() != "group":
        draft.lower(Outcome.APPROXIMATE, f"the norm {kind!r} did not exist in MONAI here; group was used")
    draft.args["norm"] = ["group", {"num_groups": groups}]


def _batch_norm(draft: Draft) -> None:
    """Write EfficientNet's two numbers as today's norm; TensorFlow's momentum is one minus PyTorch's."""
    momentum = draft.args.pop("batch_norm_momentum", 0.99)
    epsilon = draft.args.pop("batch_norm_epsilon", 1e-3)
    values: tuple[Any, ...] = (momentum, epsilon)
    if not all(isinstance(value, int | float) for value in values) or values == (0.99, 1e-3):
        return
    draft.args["norm"] = ["batch", {"eps": epsilon, "momentum": round(1 - momentum, 10)}]


_DIMENSIONS: Final = {"dimensions": "spatial_dims"}

NETWORKS: Final = (
    Row(
        names=("UNet", "Unet", "unet"),
        target="UNet",
        rename=_DIMENSIONS,
        why="dimensions is spatial_dims today; weights and initialization are unchanged.",
    ),
    Row(
        names=("BasicUNet", "BasicUnet", "Basicunet", "basicunet"),
        target="BasicUNet",
        rename=_DIMENSIONS,
        why="dimensions is spatial_dims today; weights and initialization are unchanged.",
    ),
    Row(
        names=("AutoEncoder", "VarAutoEncoder"),
        rename=_DIMENSIONS,
        why="dimensions is spatial_dims today.",
    ),
    Row(
        names=("SegResNet", "SegResnet", "Segresnet"),
        target="SegResNet",
        edit=_group_norm,
        why="The same; norm_name and num_groups are norm today.",
    ),
    Row(
        names=("SegResNetVAE",),
        edit=_group_norm,
        why="The same; norm_name and num_groups are norm today.",
    ),
    Row(
        names=("EfficientNet",),
        edit=_batch_norm,
        why="The same; the batch norm's numbers are norm today.",
    ),
    Row(
        names=("ResNet", "NetAdapter", "TorchVisionFCModel"),
        rename={"n_classes": "num_classes"},
        why="The same; n_classes is num_classes today.",
    ),
    Row(
        names=("TorchVisionFullyConvModel",),
        target="TorchVisionFCModel",
        rename={"n_classes": "num_classes"},
        drop={"pool_size": "today's class takes pool", "pool_stride": "today's class takes pool"},
        add={"use_conv": True},
        outcome=Outcome.APPROXIMATE,
        why="MONAI's present class; compare the head of the network and its weights.",
    ),
    Row(
        names=("UNETR", "ViT", "ViTAutoEnc"),
        rename={"pos_embed": "proj_type"},
        why="The same; pos_embed is proj_type today.",
    ),
    Row(
        names=("SwinUNETR",),
        drop={"img_size": "today's network takes any size that its patches divide"},
        why="The same network; it no longer asks for the size of the image.",
    ),
    Row(
        names=("LocalNet",),
        rename={"use_addictive_sampling": "use_additive_sampling"},
        why="The same; the argument was misspelled.",
    ),
)
