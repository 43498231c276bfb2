"""Label transforms of Clara Train."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import torch
from monai.transforms import MapTransform

if TYPE_CHECKING:
    from monai.config import KeysCollection

_VALUES: Final = {"TC": (1, 4), "WT": (1, 2, 4), "ET": (4,)}


class BratsClassesd(MapTransform):  # type: ignore[misc]
    """Clara's ``ConvertToMultiChannelBasedOnBratsClasses`` for a subset of the classes.

    MONAI's own transform always gives tumor core, whole tumor and enhancing tumor; ``class_names`` selects some.

    Args:
        keys: the labels, index maps with the values 0, 1, 2, 4.
        class_names: some of ``TC``, ``WT``, ``ET``, in the order of the channels.

    Examples:
        >>> label = torch.tensor([[0, 1, 2, 4]])
        >>> BratsClassesd("label", ["ET", "WT"])({"label": label})["label"]
        tensor([[0., 0., 0., 1.],
                [0., 1., 1., 1.]])
    """

    def __init__(self, keys: KeysCollection, class_names: Sequence[str], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        unknown = [name for name in class_names if name not in _VALUES]
        if unknown or not class_names:
            raise ValueError(f"BratsClassesd expected class names among {list(_VALUES)}, got {list(class_names)}")
        self.class_names = tuple(class_names)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the item with one channel per class."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self._channels(torch.as_tensor(item[key]))
        return item

    def _channels(self, label: torch.Tensor) -> torch.Tensor:
        values = label[:1] if label.dim() > 1 else label[None]
        masks = [sum((values == value).float() for value in _VALUES[name]) for name in self.class_names]
        return torch.cat([torch.as_tensor(mask) for mask in masks])
