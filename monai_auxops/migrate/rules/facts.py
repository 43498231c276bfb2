"""What one component must know of the others: collected from the rows, then settled, then read."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any


class UnknownFactError(LookupError):
    """A row needs a fact that nothing in the MMAR says; ``answer`` is the variable of ``--set`` that says it."""

    def __init__(self, answer: str) -> None:
        super().__init__(QUESTIONS[answer])
        self.answer = answer


QUESTIONS = {
    "classes": "how many channels the network's output has",
    "activation": "which activation the network ended in",
    "label_format": "the label_format of the data list",
    "roi_size": "the size of the inferer's window",
}
"""What a row may ask for, by the variable of `--set` that answers."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one part of a configuration (training, validation, evaluation).

    What nothing says is unknown, which is not a value: a property that needs it raises ``UnknownFactError``.
    """

    final_activation: str | None = None
    out_channels: int | None = None
    measured_classes: int | None = None
    in_channels: int = 1
    label_channels: int = 1
    spatial_dims: int = 3
    patch_size: tuple[int, ...] = ()
    crop_size: tuple[int, ...] = ()
    stride: int = 1
    channels_last: bool = False
    known_label_format: tuple[int, ...] = ()
    label_onehot: bool = False
    task: str = "segmentation"
    samples: int = 1
    batch_size: int = 1
    batched_by_transforms: bool = False
    datalist: str = ""
    data_root: str = ""
    data_key: str = ""
    training: bool = True
    scanning: bool = False
    weight_decay: float = 0.0
    output_dir: str = ""
    channel_names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def update(self, **found: Any) -> Facts:
        """Return the facts with these added."""
        return replace(self, **found)

    @property
    def channels(self) -> int:
        """Channels of the network's output; the label format decides if the model does not."""
        known = self.out_channels or sum(self.known_label_format)
        if not known:
            raise UnknownFactError("classes")
        return known

    @property
    def single(self) -> bool:
        """Tell whether the network has one output channel."""
        return self.channels == 1

    @property
    def activation(self) -> str | None:
        """What Clara's network ended in: softmax (sigmoid if there is one channel), sigmoid, or None."""
        if self.final_activation is None:
            raise UnknownFactError("activation")
        if self.final_activation == "linear":
            return None
        return "sigmoid" if self.final_activation == "softmax" and self.single else self.final_activation

    @property
    def label_format(self) -> tuple[int, ...]:
        """The channels of each label of a classification."""
        if not self.known_label_format:
            raise UnknownFactError("label_format")
        return self.known_label_format

    @property
    def window(self) -> tuple[int, ...]:
        """The size of the training's crops, for an inferer that names none."""
        if not self.patch_size:
            raise UnknownFactError("roi_size")
        return self.patch_size


NAMES = frozenset(item.name for item in fields(Facts))
"""What a row may provide."""
