"""Transforms of labels and of predictions, and of whole batches."""

from __future__ import annotations

from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import OMIT, A, Call, Caveat, Each, F, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import FIELD, FIELDS, IMAGE_FIELD, KEY, KEYS, LABEL_FIELD, key_of
from monai_auxops.migrate.rules.kinds import anything, flag, label_format, number, optional, text, words

_BRATS = ["TC", "WT", "ET"]


def _channel(call: Call, index: int) -> str:
    return f"{key_of(call['field'])}_{index}"


def _channel_keys(call: Call) -> list[str]:
    return [_channel(call, index) for index in range(len(call["channel_names"]))]


def _all_binary(call: Call) -> bool:
    return set(call.facts.label_format) <= {1}


def _pairs(names: list[str]) -> list[tuple[int, str]]:
    return list(enumerate(names))


def _copied(pair: Any) -> Any:
    index, name = pair
    return T("CopyItemsd", keys=F(lambda c: [_channel(c, index)], uses=("field",)), times=1, names=[name])


LABELS: Final = (
    Rule(
        "ConvertToMultiChannelBasedOnBratsClasses",
        Section.TRANSFORM,
        (FIELDS, Param("class_names", _BRATS, words, also=("classes",))),
        (
            T("ConvertToMultiChannelBasedOnBratsClassesd", when=lambda c: c["class_names"] == _BRATS, keys=KEYS),
            T("CastToTyped", when=lambda c: c["class_names"] == _BRATS, keys=KEYS, dtype=Expr("$torch.float32")),
            T(
                "monai_auxops.clara.BratsClassesd",
                when=lambda c: c["class_names"] != _BRATS,
                keys=KEYS,
                class_names=A("class_names"),
            ),
        ),
        Outcome.EXACT,
        "The same channels in the same order; a subset of the classes is a transform of this package.",
        "BraTS labels 1, 2, 4 to the channels tumour core, whole tumour, enhancing tumour.",
        also=("BratsConvertLabels",),
        facts={"channel_names": A("class_names", tuple), "label_onehot": True},
    ),
    Rule(
        "ConvertToMultiChannelBasedOnLabel",
        Section.TRANSFORM,
        (FIELDS,),
        (T("AsDiscreted", keys=KEYS, to_onehot=F(lambda c: c.facts.channels)),),
        Outcome.APPROXIMATE,
        "One channel per class of the model; Clara's number of channels is not documented.",
        "Class indices to one channel each.",
        facts={"label_onehot": True},
        open=True,
    ),
    Rule(
        "SplitBasedOnBratsClasses",
        Section.TRANSFORM,
        (FIELD,),
        (),
        Outcome.MANUAL,
        "Its arguments are not documented; ConvertToMultiChannelBasedOnBratsClasses with SplitAcrossChannels does it.",
        "Splits a BraTS label map into one field per class.",
        open=True,
    ),
    Rule(
        "AddExtremePointsChannel",
        Section.TRANSFORM,
        (
            IMAGE_FIELD,
            LABEL_FIELD,
            Param("dtype", None, note="MONAI keeps the image's type"),
            Param("sigma", 3, number),
            Param("permutation", 0, number),
            Param("rescale_min", -1, number),
            Param("rescale_max", 1, number),
            Param("points_channel_field", None, optional(text), note="MONAI adds the channel to the image itself"),
        ),
        (
            T(
                "AddExtremePointsChanneld",
                keys=A("image_field", lambda field: [field]),
                label_key=A("label_field"),
                pert=A("permutation"),
                sigma=A("sigma"),
                rescale_min=A("rescale_min"),
                rescale_max=A("rescale_max"),
            ),
        ),
        Outcome.APPROXIMATE,
        "The same points; their random offset is drawn differently.",
        "Adds a channel with the extreme points of the label.",
    ),
    Rule(
        "MergeBatchDims",
        Section.TRANSFORM,
        (Param("fields", [], words, note="MONAI's collate merges every field"),),
        (),
        Outcome.EQUIVALENT,
        "MONAI's DataLoader merges the crops of all images into one batch by itself.",
        "Merges the crops of several images into one batch.",
        facts={"merged": True},
    ),
    Rule(
        "ArgmaxAcrossChannels",
        Section.TRANSFORM,
        (FIELDS,),
        (T("AsDiscreted", keys=KEYS, argmax=True),),
        Outcome.EXACT,
        "The same.",
        "The class with the highest score, one channel.",
    ),
    Rule(
        "ThresholdValues",
        Section.TRANSFORM,
        (FIELDS, Param("threshold", 0.5, number)),
        (T("AsDiscreted", keys=KEYS, threshold=A("threshold")),),
        Outcome.EQUIVALENT,
        "Whether Clara's threshold itself counts as above is not documented; MONAI's does.",
        "1 above the threshold, 0 below.",
    ),
    Rule(
        "SplitAcrossChannels",
        Section.TRANSFORM,
        (
            FIELD,
            Param("channel_names", kind=words),
            Param("squeeze", False, flag, note="MONAI keeps the channel dimension"),
        ),
        (
            T(
                "SplitDimd",
                keys=KEY,
                output_postfixes=A("channel_names", lambda names: [str(index) for index in range(len(names))]),
                dim=0,
            ),
            Each(A("channel_names", _pairs), _copied),
        ),
        Outcome.EXACT,
        "The same fields.",
        "One field per channel.",
        creates=A("channel_names"),
    ),
    Rule(
        "SplitBasedOnLabel",
        Section.TRANSFORM,
        (FIELD, Param("label_names", kind=words)),
        (
            T("CopyItemsd", keys=KEY, times=A("label_names", len), names=A("label_names")),
            Each(
                A("label_names", _pairs),
                lambda pair: T("LabelToMaskd", keys=[pair[1]], select_labels=[pair[0]]),
            ),
        ),
        Outcome.EXACT,
        "The same fields: name i is the mask of label i.",
        "One mask per label value.",
        creates=A("label_names"),
    ),
    Rule(
        "CopyProperties",
        Section.TRANSFORM,
        (
            Param("fields", [], words, note="all fields made from the image carry its properties"),
            Param("from_field", "image", text, note="MONAI's tensors carry the properties themselves"),
            Param("properties", [], anything, note="MONAI's tensors carry the affine"),
        ),
        (),
        Outcome.EQUIVALENT,
        "Nothing to do: MONAI's tensors carry the affine from the image to the prediction.",
        "Copies the affine to other fields.",
    ),
    Rule(
        "KeepLargestCC",
        Section.TRANSFORM,
        (FIELDS,),
        (T("KeepLargestConnectedComponentd", keys=KEYS),),
        Outcome.APPROXIMATE,
        "The largest component of each label; Clara's connectivity is not documented.",
        "Keeps the largest connected component.",
        open=True,
    ),
    Rule(
        "ProcessMulticlassPreds",
        Section.TRANSFORM,
        (FIELD, Param("label_format", OMIT, label_format)),
        (
            T("Activationsd", when=_all_binary, keys=KEY, sigmoid=True),
            T(
                "monai_auxops.clara.ActivateByLabelFormatd",
                when=lambda c: not _all_binary(c),
                keys=KEY,
                label_format=F(lambda c: list(c.facts.label_format)),
            ),
        ),
        Outcome.EQUIVALENT,
        "A sigmoid for binary labels, a softmax for labels of several classes.",
        "Activates the outputs of a classification network label by label.",
        facts={"activates": True},
        open=True,
        caveats=(
            Caveat(
                lambda c: "label_format" in c.given,
                "the label format comes from the data list",
            ),
        ),
    ),
    *(
        Rule(
            name,
            Section.TRANSFORM,
            (),
            (),
            Outcome.MANUAL,
            "It belongs to annotation servers (AIAA); MONAI Label has its own.",
            did,
            open=True,
        )
        for name, did in (
            ("FetchExtremePoints", "Takes the points that a reader clicked."),
            ("FilterProbabilityThreshold", "Thresholds a probability map for a reader."),
        )
    ),
)
