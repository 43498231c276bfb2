"""Names of the classes by channel number, in a form that every viewer accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from monai_auxops.attach.problem import AttachError

if TYPE_CHECKING:
    from monai_auxops.attach.network import Output

_REFUSED: Final = re.compile(
    r"[^\w\-. ]+"
)  # the characters that MLflow accepts in a metric's name, without the slash that groups classes


def class_names(output: Output, channels: int | None, where: str, given: Sequence[str] | None) -> list[str] | None:
    """Return a name for each channel, or None if nothing names them.

    Args:
        output: what the metadata tells.
        channels: the number of channels of the network, or None if unknown.
        where: the source of that number.
        given: the user's names; an empty list means no names.

    Raises:
        AttachError: the numbers contradict each other.
    """
    if given is not None:
        if given and channels is not None and len(given) != channels:
            raise AttachError(
                f"--class-names: expected {channels} names, one for each channel ({where}), got {len(given)}"
            )
        return disambiguate_names(given) if given else None
    said = {"num_channels": output.channels, "channel_def": len(output.names) if output.names else None}
    for key, number in said.items():
        if number is not None and channels is not None and number != channels:
            raise AttachError(
                f"metadata.json contradicts the network: {key} says {number} output channels and {where} {channels}; "
                "correct one, or pass --class-names (one name for each channel, or none to omit them)"
            )
    if output.names and output.channels not in (None, len(output.names)):
        raise AttachError(
            f"metadata.json contradicts itself: num_channels is {output.channels} and channel_def has "
            f"{len(output.names)} names; correct one, or pass --class-names"
        )
    return disambiguate_names(output.names) if output.names else None


def disambiguate_names(names: Iterable[str]) -> list[str]:
    """Return names that viewers can tell apart and trackers accept.

    Examples:
        >>> disambiguate_names(["liver (left)", "a/b", "cyst", "cyst"])
        ['liver left', 'a-b', 'cyst', 'cyst 2']
    """
    found: list[str] = []
    for number, name in enumerate(names):
        plain = " ".join(_REFUSED.sub(" ", name.replace("/", "-")).split()) or f"class {number}"
        same = [other for other in found if other == plain or re.fullmatch(re.escape(plain) + r" \d+", other)]
        found.append(f"{plain} {len(same) + 1}" if plain in found else plain)
    return found
