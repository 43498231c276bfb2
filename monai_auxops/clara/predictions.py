"""Post-processing of Clara Train's classification pipelines."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from monai.transforms import MapTransform

if TYPE_CHECKING:
    from monai.config import KeysCollection


class ActivateByLabelFormatd(MapTransform):  # type: ignore[misc]
    """Clara's ``ProcessMulticlassPreds``: a sigmoid for binary labels, a softmax for labels of several classes.

    Args:
        keys: the predictions, logits of one item ``[sum(label_format)]``.
        label_format: one entry per label, ``1`` or the number of classes.

    Examples:
        >>> item = {"pred": torch.tensor([0.0, 5.0, 5.0])}
        >>> ActivateByLabelFormatd("pred", [1, 2])(item)["pred"]
        tensor([0.5000, 0.5000, 0.5000])
    """

    def __init__(self, keys: KeysCollection, label_format: Sequence[int], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.label_format = list(label_format)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the item with probabilities."""
        item = dict(data)
        for key in self.key_iterator(item):
            groups = torch.as_tensor(item[key]).split(self.label_format)
            item[key] = torch.cat([torch.sigmoid(x) if len(x) == 1 else torch.softmax(x, 0) for x in groups])
        return item
