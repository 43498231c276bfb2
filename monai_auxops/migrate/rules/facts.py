"""What one component must know of the others: collected from the rows in a first pass, read in a second."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one part of a configuration (training, validation, evaluation)."""

    activation: str | None = None
    out_channels: int | None = None
    in_channels: int = 1
    label_channels: int = 1
    spatial_dims: int = 3
    patch_size: tuple[int, ...] = ()
    crop_size: tuple[int, ...] = ()
    channels_last: bool = False
    label_format: tuple[int, ...] = ()
    label_onehot: bool = False
    task: str = "segmentation"
    samples: int = 1
    batch_size: int = 1
    batched_by_transforms: bool = False
    datalist: str = ""
    data_root: str = ""
    data_key: str = ""
    training: bool = True
    channel_first: bool = False
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
        """Channels of the network's output; the label format decides where the model does not."""
        return self.out_channels or sum(self.label_format) or 1

    @property
    def single(self) -> bool:
        """Tell whether the network has one output channel."""
        return self.channels == 1


NAMES = frozenset(item.name for item in fields(Facts))
"""What a row may provide."""
