"""Transforms that read files or move channels."""

from __future__ import annotations

from typing import Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import OMIT, A, Caveat, F, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import FIELDS, KEYS
from monai_auxops.migrate.rules.kinds import flag, integer, optional, text
from monai_auxops.migrate.rules.paths import escapes, output_path

_DTYPE = Param("dtype", None, optional(text), note="MONAI loads float32, which the network needs")


def _image(name: str, what: str) -> Rule:
    return Rule(
        name,
        Section.TRANSFORM,
        (FIELDS, _DTYPE),
        (T("LoadImaged", keys=KEYS, reader="PILReader", reverse_indexing=False),),
        Outcome.EQUIVALENT,
        "Read by Pillow instead of OpenCV, rows first as in Clara.",
        f"Reads {what} files, red channel first.",
        facts={"loads": True},
    )


LOADING: Final = (
    Rule(
        "LoadNifti",
        Section.TRANSFORM,
        (FIELDS, _DTYPE, Param("nii_is_channels_first", False, flag), Param("as_closest_canonical", False, flag)),
        (
            T(
                "LoadImaged",
                keys=KEYS,
                reader="NibabelReader",
                as_closest_canonical=A("as_closest_canonical", lambda value: value or OMIT),
            ),
            T("EnsureChannelFirstd", when=lambda c: c["nii_is_channels_first"], keys=KEYS, channel_dim=0),
        ),
        Outcome.EXACT,
        "The same reader; a list of files becomes one channel each.",
        "Reads NIfTI files.",
        also=("LoadNifty",),
        facts={"loads": True, "channel_first": A("nii_is_channels_first")},
    ),
    _image("LoadPng", "PNG"),
    _image("LoadJpg", "JPEG"),
    Rule(
        "LoadImageMasksFromNumpy",
        Section.TRANSFORM,
        (FIELDS, _DTYPE),
        (T("LoadImaged", keys=KEYS, reader="NumpyReader"),),
        Outcome.APPROXIMATE,
        "Clara's layout of the arrays is not documented; MONAI reads them as they are.",
        "Reads masks from NumPy files.",
        facts={"loads": True},
    ),
    Rule(
        "ConvertToChannelsFirst",
        Section.TRANSFORM,
        (FIELDS,),
        (T("EnsureChannelFirstd", keys=KEYS),),
        Outcome.EXACT,
        "The same: the channels come first, and a missing channel dimension is added.",
        "Moves the channels to the front.",
        also=("VolumeTo4DArray", "VolumeTo4dArray"),
        facts={"channel_first": True},
    ),
    Rule(
        "ConvertToChannelsLast",
        Section.TRANSFORM,
        (FIELDS,),
        (T("EnsureChannelFirstd", when=lambda c: not c.facts.channel_first, keys=KEYS),),
        Outcome.EQUIVALENT,
        "MONAI is channels first from end to end, so the channels go to the front instead.",
        "Moves the channels to the end.",
        facts={"channel_first": True},
    ),
    Rule(
        "RepeatChannel",
        Section.TRANSFORM,
        (FIELDS, Param("repeat_times", kind=integer)),
        (T("RepeatChanneld", keys=KEYS, repeats=A("repeat_times")),),
        Outcome.EXACT,
        "The same.",
        "Repeats a channel.",
    ),
    Rule(
        "SaveAsNifti",
        Section.TRANSFORM,
        (
            FIELDS,
            Param("out_dir", "", text),
            Param("interrupt", False, note="it waited for a key, which a training run must not"),
        ),
        (T("SaveImaged", keys=KEYS, output_dir=F(lambda c: output_path(c["out_dir"], c.facts), uses=("out_dir",))),),
        Outcome.APPROXIMATE,
        "MONAI's file names; it does not wait for a key.",
        "Writes intermediate images, for a look at the transforms.",
        caveats=(
            escapes("out_dir"),
            Caveat(lambda _: True, "it writes one file for every item and epoch: remove it for a real training run"),
        ),
    ),
)
