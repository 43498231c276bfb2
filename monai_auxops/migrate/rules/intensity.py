"""Transforms of intensities."""

from __future__ import annotations

import math
from typing import Any, Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T, Target
from monai_auxops.migrate.rules.common import FIELDS, KEYS, prob
from monai_auxops.migrate.rules.kinds import flag, number, numbers
from monai_auxops.migrate.rules.values import OMIT, A


def _random(name: str, target: Target, did: str) -> Rule:
    return Rule(
        name=name,
        section=Section.TRANSFORM,
        params=(FIELDS, prob()),
        targets=(target,),
        outcome=Outcome.APPROXIMATE,
        why="Clara's strength is not documented; MONAI's defaults are used.",
        clara=did,
        open=True,
    )


def _one_or_more(values: Any) -> Any:
    return values[0] if len(values) == 1 else values


INTENSITY: Final = (
    Rule(
        name="ScaleIntensityRange",
        section=Section.TRANSFORM,
        params=(
            FIELDS,
            *(Param(name, kind=number) for name in ("a_min", "a_max", "b_min", "b_max")),
            Param("clip", False, flag),
        ),
        targets=(
            T(
                "ScaleIntensityRanged",
                keys=KEYS,
                a_min=A("a_min"),
                a_max=A("a_max"),
                b_min=A("b_min"),
                b_max=A("b_max"),
                clip=A("clip"),
            ),
        ),
        outcome=Outcome.EXACT,
        why="The same.",
        clara="Maps an intensity range linearly to another.",
    ),
    Rule(
        name="NormalizeNonzeroIntensities",
        section=Section.TRANSFORM,
        params=(FIELDS,),
        targets=(T("NormalizeIntensityd", keys=KEYS, nonzero=True, channel_wise=True),),
        outcome=Outcome.EQUIVALENT,
        why="Per channel, as NVIDIA's own later BraTS configuration had it.",
        clara="Mean 0 and standard deviation 1 over the voxels that are not 0.",
    ),
    Rule(
        name="CenterData",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("subtrahend", OMIT, numbers), Param("divisor", OMIT, numbers)),
        targets=(
            T(
                "NormalizeIntensityd",
                keys=KEYS,
                subtrahend=A("subtrahend", _one_or_more),
                divisor=A("divisor", _one_or_more),
                channel_wise=A("subtrahend", lambda values: len(values) > 1 or OMIT),
            ),
        ),
        outcome=Outcome.APPROXIMATE,
        why="Clara's defaults are not documented; without its argument, each image's own mean or deviation is used.",
        clara="Subtracts a value and divides by another.",
        open=True,
    ),
    Rule(
        name="ScaleIntensityOscillation",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("magnitude", 0.1, number), prob(1.0)),
        targets=(T("RandShiftIntensityd", keys=KEYS, offsets=A("magnitude"), prob=A("probability")),),
        outcome=Outcome.APPROXIMATE,
        why="Read as a random constant added to the image, as NVIDIA's own later spleen configuration had it.",
        clara="Changes the intensity at random, within a magnitude.",
    ),
    Rule(
        name="ScaleShiftIntensity",
        section=Section.TRANSFORM,
        params=(FIELDS, Param("scale", 0.1, number), Param("shift", 0.1, number)),
        targets=(
            T("RandScaleIntensityd", keys=KEYS, factors=A("scale"), prob=1.0),
            T("RandShiftIntensityd", keys=KEYS, offsets=A("shift"), prob=1.0),
        ),
        outcome=Outcome.APPROXIMATE,
        why="The defaults (0.1) and the unit of the shift are inferred.",
        clara="Scales and shifts the intensities at random.",
        also=("AugmentIntensityRandomScaleShift",),
        open=True,
    ),
    Rule(
        name="AddGaussianNoise",
        section=Section.TRANSFORM,
        params=(FIELDS, prob(0.5), Param("variance", 0.1, number)),
        targets=(
            T(
                "RandGaussianNoised",
                keys=KEYS,
                prob=A("probability"),
                mean=0.0,
                std=A("variance", lambda variance: round(math.sqrt(max(variance, 0.0)), 6)),
                sample_std=False,
            ),
        ),
        outcome=Outcome.EXACT,
        why="The same noise: MONAI takes the standard deviation, the root of Clara's variance.",
        clara="Adds Gaussian noise.",
        caveats=(Caveat(lambda variance: variance < 0, "a negative variance counts as 0", Outcome.APPROXIMATE),),
    ),
    _random(
        "AdjustContrast", T("RandAdjustContrastd", keys=KEYS, prob=A("probability")), "Changes the gamma at random."
    ),
    _random("RandomSharpen", T("RandGaussianSharpend", keys=KEYS, prob=A("probability")), "Sharpens at random."),
    _random("RandomGaussianSmooth", T("RandGaussianSmoothd", keys=KEYS, prob=A("probability")), "Smooths at random."),
    _random("RandomMRBiasField", T("RandBiasFieldd", keys=KEYS, prob=A("probability")), "Adds a bias field at random."),
)
