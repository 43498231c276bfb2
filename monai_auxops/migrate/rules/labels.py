"""Transforms of labels and of predictions, and of whole batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import Each, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import FIELD, FIELDS, IMAGE_FIELD, KEY, KEYS, LABEL_FIELD, key_of
from monai_auxops.migrate.rules.kinds import anything, flag, label_format, number, optional, text, texts
from monai_auxops.migrate.rules.values import OMIT, A, F

if TYPE_CHECKING:
    from monai_auxops.migrate.rules.facts import Facts

_BRATS = ["TC", "WT", "ET"]


def _groups(label_format: Any, facts: Facts) -> list[int]:
    return list(facts.label_format) if label_format is OMIT else label_format


def _all_binary(label_format: Any, facts: Facts) -> bool:
    return set(_groups(label_format, facts)) <= {1}


def _pairs(names: list[str]) -> list[tuple[int, str]]:
    return list(enumerate(names))


def _copy_of(pair: Any) -> Any:
    index, name = pair
    return T("CopyItemsd", keys=A("field", lambda field: [f"{key_of(field)}_{index}"]), times=1, names=[name])


LABELS: Final = (
    Rule(
        name="ConvertToMultiChannelBasedOnBratsClasses",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("class_names", _BRATS, texts, also=("classes",))),
        targets=(
            T("ConvertToMultiChannelBasedOnBratsClassesd", when=lambda class_names: class_names == _BRATS, keys=KEYS),
            T("CastToTyped", when=lambda class_names: class_names == _BRATS, keys=KEYS, dtype=Expr("$torch.float32")),
            T(
                "monai_auxops.clara.BratsClassesd",
                when=lambda class_names: class_names != _BRATS,
                keys=KEYS,
                class_names=A("class_names"),
            ),
        ),
        outcome=Outcome.EXACT,
        why="The same channels in the same order; a subset of the classes is a transform of this package.",
        clara="BraTS labels 1, 2, 4 to the channels tumor core, whole tumor, enhancing tumor.",
        also=("BratsConvertLabels",),
        facts={"channel_names": A("class_names", tuple), "label_onehot": True},
    ),
    Rule(
        name="ConvertToMultiChannelBasedOnLabel",
        section=Section.TRANSFORM,
        params=(FIELDS,),
        targets=(T("AsDiscreted", keys=KEYS, to_onehot=F(lambda facts: facts.channels)),),
        outcome=Outcome.APPROXIMATE,
        why="One channel per class of the model; Clara's number of channels is not documented.",
        clara="Class indices to one channel each.",
        facts={"label_onehot": True},
        open=True,
    ),
    Rule(
        name="SplitBasedOnBratsClasses",
        section=Section.TRANSFORM,
        params=(FIELD,),
        targets=(),
        outcome=Outcome.MANUAL,
        why="Its arguments are not documented. ConvertToMultiChannelBasedOnBratsClasses and SplitAcrossChannels do it.",
        clara="Splits a BraTS label map into one field per class.",
        open=True,
    ),
    Rule(
        name="AddExtremePointsChannel",
        section=Section.TRANSFORM,
        params=(
            IMAGE_FIELD,
            LABEL_FIELD,
            Param("dtype", None, note="MONAI keeps the image's type"),
            Param("sigma", 3, number),
            Param("permutation", 0, number),
            Param("rescale_min", -1, number),
            Param("rescale_max", 1, number),
            Param("points_channel_field", None, optional(text), note="MONAI adds the channel to the image itself"),
        ),
        targets=(
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
        outcome=Outcome.APPROXIMATE,
        why="The same points; their random offset is drawn differently.",
        clara="Adds a channel with the extreme points of the label.",
    ),
    Rule(
        name="MergeBatchDims",
        section=Section.TRANSFORM,
        params=(Param("fields", [], texts, note="MONAI's collate merges every field"),),
        targets=(),
        outcome=Outcome.EQUIVALENT,
        why="MONAI's DataLoader merges the crops of all images into one batch by itself.",
        clara="Merges the crops of several images into one batch.",
    ),
    Rule(
        name="ArgmaxAcrossChannels",
        section=Section.TRANSFORM,
        params=(FIELDS,),
        targets=(T("AsDiscreted", keys=KEYS, argmax=True),),
        outcome=Outcome.EXACT,
        why="The same.",
        clara="The class with the highest score, one channel.",
    ),
    Rule(
        name="ThresholdValues",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("threshold", 0.5, number)),
        targets=(T("AsDiscreted", keys=KEYS, threshold=A("threshold")),),
        outcome=Outcome.EQUIVALENT,
        why="Whether a value equal to Clara's threshold counts as above is not documented; in MONAI it does.",
        clara="1 above the threshold, 0 below.",
    ),
    Rule(
        name="SplitAcrossChannels",
        section=Section.TRANSFORM,
        params=(
            FIELD,
            Param("channel_names", kind=texts),
            Param("squeeze", False, flag, note="MONAI keeps the channel dimension"),
        ),
        targets=(
            T(
                "SplitDimd",
                keys=KEY,
                output_postfixes=A("channel_names", lambda names: [str(index) for index in range(len(names))]),
                dim=0,
            ),
            Each(A("channel_names", _pairs), _copy_of),
        ),
        outcome=Outcome.EXACT,
        why="The same fields.",
        clara="One field per channel.",
        creates=A("channel_names"),
    ),
    Rule(
        name="SplitBasedOnLabel",
        section=Section.TRANSFORM,
        params=(FIELD, Param("label_names", kind=texts)),
        targets=(
            T("CopyItemsd", keys=KEY, times=A("label_names", len), names=A("label_names")),
            Each(
                A("label_names", _pairs),
                lambda pair: T("LabelToMaskd", keys=[pair[1]], select_labels=[pair[0]]),
            ),
        ),
        outcome=Outcome.EXACT,
        why="The same fields: name i is the mask of label i.",
        clara="One mask per label value.",
        creates=A("label_names"),
    ),
    Rule(
        name="CopyProperties",
        section=Section.TRANSFORM,
        params=(
            Param("fields", [], texts, note="all fields made from the image carry its properties"),
            Param("from_field", "image", text, note="MONAI's tensors carry the properties themselves"),
            Param("properties", [], anything, note="MONAI's tensors carry the affine"),
        ),
        targets=(),
        outcome=Outcome.EQUIVALENT,
        why="Nothing to do: MONAI's tensors carry the affine from the image to the prediction.",
        clara="Copies the affine to other fields.",
    ),
    Rule(
        name="KeepLargestCC",
        section=Section.TRANSFORM,
        params=(FIELDS,),
        targets=(T("KeepLargestConnectedComponentd", keys=KEYS),),
        outcome=Outcome.APPROXIMATE,
        why="The largest component of each label; Clara's connectivity is not documented.",
        clara="Keeps the largest connected component.",
        open=True,
    ),
    Rule(
        name="ProcessMulticlassPreds",
        section=Section.TRANSFORM,
        params=(FIELD, Param("label_format", OMIT, label_format)),
        targets=(
            T("Activationsd", when=_all_binary, keys=KEY, sigmoid=True),
            T(
                "monai_auxops.clara.ActivateByLabelFormatd",
                when=lambda label_format, facts: not _all_binary(label_format, facts),
                keys=KEY,
                label_format=F(_groups),
            ),
        ),
        outcome=Outcome.EQUIVALENT,
        why="A sigmoid for binary labels, a softmax for labels of several classes.",
        clara="Activates the outputs of a classification network label by label.",
        open=True,
    ),
    *(
        Rule(
            name=name,
            section=Section.TRANSFORM,
            params=(),
            targets=(),
            outcome=Outcome.MANUAL,
            why="It belongs to annotation servers (AIAA); MONAI Label has its own.",
            clara=did,
            open=True,
        )
        for name, did in (
            ("FetchExtremePoints", "Takes the points that a user clicked."),
            ("FilterProbabilityThreshold", "Thresholds a probability map for a user."),
        )
    ),
)
