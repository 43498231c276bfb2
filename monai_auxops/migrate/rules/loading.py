"""Transforms that read files or move channels."""

from __future__ import annotations

from typing import Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T
from monai_auxops.migrate.rules.common import FIELDS, KEYS
from monai_auxops.migrate.rules.kinds import flag, integer, optional, text
from monai_auxops.migrate.rules.paths import OUTPUT
from monai_auxops.migrate.rules.values import OMIT, A

_DTYPE = Param("dtype", None, optional(text), note="MONAI loads float32, which the network needs")


def _image(name: str, what: str) -> Rule:
    return Rule(
        name=name,
        section=Section.TRANSFORM,
        params=(FIELDS, _DTYPE),
        targets=(T("LoadImaged", keys=KEYS, reader="PILReader", reverse_indexing=False),),
        outcome=Outcome.EQUIVALENT,
        why="Read by Pillow instead of OpenCV, rows first as in Clara.",
        clara=f"Reads {what} files, red channel first.",
    )


LOADING: Final = (
    Rule(
        name="LoadNifti",
        section=Section.TRANSFORM,
        params=(
            FIELDS,
            _DTYPE,
            Param("nii_is_channels_first", False, flag),
            Param("as_closest_canonical", False, flag),
        ),
        targets=(
            T(
                "LoadImaged",
                keys=KEYS,
                reader="NibabelReader",
                as_closest_canonical=A("as_closest_canonical", lambda value: value or OMIT),
            ),
            T(
                "EnsureChannelFirstd",
                when=lambda nii_is_channels_first: nii_is_channels_first,
                keys=KEYS,
                channel_dim=0,
            ),
        ),
        outcome=Outcome.EXACT,
        why="The same reader; a list of files becomes one channel each.",
        clara="Reads NIfTI files.",
        also=("LoadNifty",),
    ),
    _image("LoadPng", "PNG"),
    _image("LoadJpg", "JPEG"),
    Rule(
        name="LoadImageMasksFromNumpy",
        section=Section.TRANSFORM,
        params=(FIELDS, _DTYPE),
        targets=(T("LoadImaged", keys=KEYS, reader="NumpyReader"),),
        outcome=Outcome.APPROXIMATE,
        why="Clara's layout of the arrays is not documented; MONAI reads them as they are.",
        clara="Reads masks from NumPy files.",
    ),
    Rule(
        name="ConvertToChannelsFirst",
        section=Section.TRANSFORM,
        params=(FIELDS,),
        targets=(T("EnsureChannelFirstd", keys=KEYS),),
        outcome=Outcome.EXACT,
        why="The same: the channels come first, and a missing channel dimension is added.",
        clara="Moves the channels to the front.",
        also=("VolumeTo4DArray", "VolumeTo4dArray"),
    ),
    Rule(
        name="ConvertToChannelsLast",
        section=Section.TRANSFORM,
        params=(FIELDS,),
        targets=(T("EnsureChannelFirstd", keys=KEYS),),
        outcome=Outcome.EQUIVALENT,
        why="MONAI is channels-first throughout, so the channels go to the front instead.",
        clara="Moves the channels to the end.",
    ),
    Rule(
        name="RepeatChannel",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("repeat_times", kind=integer)),
        targets=(T("RepeatChanneld", keys=KEYS, repeats=A("repeat_times")),),
        outcome=Outcome.EXACT,
        why="The same.",
        clara="Repeats a channel.",
    ),
    Rule(
        name="SaveAsNifti",
        section=Section.TRANSFORM,
        params=(
            FIELDS,
            Param("out_dir", "", text, note="a folder on the old machine; the bundle writes to its own output folder"),
            Param("interrupt", False, note="it waited for a key press, which a training run must not do"),
        ),
        targets=(T("SaveImaged", keys=KEYS, output_dir=OUTPUT),),
        outcome=Outcome.APPROXIMATE,
        why="MONAI's file names; it does not wait for a key press.",
        clara="Writes intermediate images, to inspect the transforms.",
        caveats=(Caveat(lambda: True, "it writes a file for every item and epoch; remove it for a real training run"),),
    ),
)
