"""Networks. Clara's end in their activation and take their channels from the pipeline; MONAI's emit logits."""

from __future__ import annotations

from math import gcd
from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import DATA_FORMAT
from monai_auxops.migrate.rules.kinds import channels, flag, integer, integers, number, one_of, optional, text
from monai_auxops.migrate.rules.values import OMIT, A, F

_CLASSES = Param("num_classes", kind=channels)
_ACTIVATION = Param(
    "final_activation",
    "softmax",
    one_of("softmax", "sigmoid", "linear"),
    note="moves to the loss, the post-processing and the aux-ops: the bundle's network emits logits",
)
_BATCH_NORM = Param("use_batch_norm", False, flag)
_GROUP_NORM = Param("use_group_norm", False, flag)
_GROUPS = Param("use_group_normG", 8, integer)
_REGULARIZATION = Param("reg_weight", 0.0, number, note="becomes the optimizer's weight_decay")

_FACTS: Final[dict[str, Any]] = {
    "final_activation": A("final_activation"),
    "out_channels": A("num_classes"),
    "channels_last": A("data_format", lambda value: value == "channels_last" or None),
}
_SHAPE: Final[dict[str, Any]] = {
    "spatial_dims": F(lambda facts: facts.spatial_dims),
    "in_channels": F(lambda facts: facts.in_channels),
    "out_channels": F(lambda facts: facts.channels),
}
_PRETRAINED = tuple(
    Param(name, None, optional(text), note="Keras weights do not load into PyTorch")
    for name in ("pretrain_weight_name", "pretrain_weight_url")
)


_BATCH_NORM_DIFFERS = Caveat(
    lambda use_batch_norm: use_batch_norm,
    "batch normalization has PyTorch's epsilon and momentum (1e-5, 0.1), not TensorFlow's (1e-3, 0.01)",
    Outcome.APPROXIMATE,
)


def _groups_do_not_divide(
    use_batch_norm: bool,
    use_group_norm: bool,
    init_filters: Any,
    use_group_normG: int,  # noqa: N803 (Clara's argument)
) -> bool:
    grouped = use_group_norm and not use_batch_norm
    return grouped and init_filters not in (OMIT, 0) and init_filters % use_group_normG != 0


def _segresnet_norm(
    use_batch_norm: bool,
    use_group_norm: bool,
    use_group_normG: int,  # noqa: N803 (Clara's argument)
    init_filters: Any,
) -> object:
    if use_batch_norm:
        return ["BATCH"]
    if not use_group_norm:
        return ""
    width = 8 if init_filters is OMIT else init_filters
    return ["GROUP", {"num_groups": gcd(use_group_normG, width)}]


def _unet_norm(use_batch_norm: bool, use_group_norm: bool, use_group_normG: int, nf_enc: list[int]) -> object:  # noqa: N803
    if use_batch_norm:
        return "BATCH"
    if use_group_norm:
        return ["GROUP", {"num_groups": gcd(use_group_normG, *nf_enc)}]
    return ["INSTANCE", {"affine": True}]


def _decoder_differs(nf_enc: list[int], nf_dec: list[int], given: frozenset[str]) -> bool:
    widths = nf_enc[-2::-1]
    expected = [width for width in widths for _ in range(2)]
    return "nf_dec" in given and nf_dec[: len(expected)] != expected


def _levels(first: int, rest: int) -> A:
    return A("nf_enc", lambda widths: [first] + [rest] * (len(widths) - 1))


MODELS: Final = (
    Rule(
        name="SegResnet",
        section=Section.MODEL,
        params=(
            _CLASSES,
            Param("blocks_down", [1, 2, 2, 4], integers),
            Param("blocks_up", [1, 1, 1], integers),
            Param("init_filters", OMIT, integer),
            Param(
                "use_vae", False, flag, note="the VAE branch is a regularizer of training, which the bundle leaves out"
            ),
            _BATCH_NORM,
            Param("use_group_norm", True, flag),
            _GROUPS,
            Param("reg_weight", 1e-5, number, note="becomes the optimizer's weight_decay"),
            Param("dropout_prob", OMIT, number),
            _ACTIVATION,
            DATA_FORMAT,
        ),
        targets=(
            T(
                "SegResNet",
                **_SHAPE,
                init_filters=A("init_filters"),
                blocks_down=A("blocks_down"),
                blocks_up=A("blocks_up"),
                dropout_prob=A("dropout_prob", lambda p: p or OMIT),
                norm=F(_segresnet_norm),
            ),
        ),
        outcome=Outcome.EQUIVALENT,
        why="The same layers, with Clara's number of tensors and parameters. TensorFlow pads a convolution of stride 2 "
        "one voxel to the other side; how Clara upsampled is not documented.",
        clara="Residual encoder-decoder for segmentation, the network of the BraTS MMAR.",
        facts={**_FACTS, "weight_decay": A("reg_weight"), "stride": A("blocks_down", lambda b: 2 ** (len(b) - 1))},
        caveats=(
            _BATCH_NORM_DIFFERS,
            Caveat(
                lambda use_batch_norm, use_group_norm: not use_batch_norm and not use_group_norm,
                "both use_group_norm and use_batch_norm are off, which is read as no normalization",
                Outcome.APPROXIMATE,
            ),
            Caveat(
                lambda use_vae: use_vae, "the VAE branch, a regularizer of training, is left out", Outcome.APPROXIMATE
            ),
            Caveat(
                F(_groups_do_not_divide),
                "the number of groups does not divide init_filters; their greatest common divisor is used",
                Outcome.APPROXIMATE,
            ),
        ),
    ),
    Rule(
        name="Unet",
        section=Section.MODEL,
        params=(
            _CLASSES,
            Param("nf_enc", [32, 64, 64, 64], integers),
            Param("nf_dec", [64, 64, 64, 64, 64, 32, 32], integers, note="the decoder has the encoder's widths"),
            _BATCH_NORM,
            _GROUP_NORM,
            _GROUPS,
            _REGULARIZATION,
            Param("dropout_prob", OMIT, number),
            _ACTIVATION,
            DATA_FORMAT,
        ),
        targets=(
            T(
                "DynUNet",
                **_SHAPE,
                kernel_size=_levels(3, 3),
                strides=_levels(1, 2),
                upsample_kernel_size=A("nf_enc", lambda widths: [2] * (len(widths) - 1)),
                filters=A("nf_enc"),
                dropout=A("dropout_prob", lambda p: p or OMIT),
                norm_name=F(_unet_norm),
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="Clara's layers are not documented: same levels and widths, two convolutions each, instance norm.",
        clara="U-Net with the widths nf_enc on the way down and nf_dec on the way up.",
        facts={**_FACTS, "weight_decay": A("reg_weight"), "stride": A("nf_enc", lambda w: 2 ** (len(w) - 1))},
        caveats=(
            _BATCH_NORM_DIFFERS,
            Caveat(_decoder_differs, "the decoder has nf_enc's widths, which nf_dec mirrored differs from"),
        ),
    ),
    Rule(
        name="SegAhnet",
        section=Section.MODEL,
        params=(
            _CLASSES,
            Param("if_use_psp", False, flag),
            Param("plane", "z", text, note="MONAI's network has no plane to choose"),
            *_PRETRAINED,
            _ACTIVATION,
            DATA_FORMAT,
            Param("n_spatial_dim", 2, integer, note="follows the pipeline's crop size"),
        ),
        targets=(
            T("AHNet", **_SHAPE, psp_block_num=A("if_use_psp", lambda psp: 4 if psp else 0), upsample_mode="transpose"),
        ),
        outcome=Outcome.APPROXIMATE,
        why="The same architecture; Clara's ImageNet start and its choice of plane have no counterpart.",
        clara="Anisotropic hybrid network: 2-D features in a 3-D network.",
        facts={**_FACTS, "stride": 32},
        caveats=(
            Caveat(
                lambda n_spatial_dim, facts, given: "n_spatial_dim" in given and n_spatial_dim != facts.spatial_dims,
                "the crop decides the number of dimensions, and n_spatial_dim differs",
                code="CT518",
            ),
        ),
    ),
    Rule(
        name="DenseNet121",
        section=Section.MODEL,
        params=(
            Param("num_classes", None, optional(channels)),
            Param("weight_decay", 0.0, number, note="becomes the optimizer's weight_decay"),
            *_PRETRAINED,
            Param("final_activation", "linear", one_of("softmax", "sigmoid", "linear"), note=_ACTIVATION.note),
            DATA_FORMAT,
        ),
        targets=(T("DenseNet121", **_SHAPE),),
        outcome=Outcome.APPROXIMATE,
        why="The same architecture; Clara started from Keras weights, the bundle from random ones.",
        clara="Densely connected network for classification; its outputs follow label_format.",
        facts={**_FACTS, "weight_decay": A("weight_decay")},
    ),
    *(
        Rule(
            name=name,
            section=Section.MODEL,
            params=(
                Param("num_classes", None, optional(channels)),
                Param("final_activation", "softmax", one_of("softmax", "sigmoid", "linear"), note=_ACTIVATION.note),
                DATA_FORMAT,
            ),
            targets=(),
            outcome=Outcome.MANUAL,
            why=reason,
            clara=did,
            facts=_FACTS,
        )
        for name, reason, did in (
            ("Alexnet", "MONAI has no AlexNet; write the class in scripts/manual.py.", "AlexNet for classification."),
            (
                "UnetParallel",
                "Its layers are not documented; use Unet or a MONAI network instead.",
                "A U-Net cut over two GPUs.",
            ),
        )
    ),
)
