"""The baseline: the best that two plain thresholds can do on the same image, even when they are told the answer."""

import torch
from torch import Tensor

from monai_auxops import AuxiliaryOperation, BuildContext

LEVELS = 512


class BestThresholds(AuxiliaryOperation):
    """Dice of grey and white matter for the pair of thresholds with the highest mean of both, found by trying all.

    Grey matter lies between the two thresholds, white matter above the second. Candidates are the edges of ``LEVELS``
    equal steps from the darkest to the brightest voxel of each image.
    """

    def get_output_tensors(self, predictions: Tensor, label: Tensor, build_ctx: BuildContext) -> dict[str, Tensor]:
        """``{"threshold_dice": [B], "threshold_dice_grey": [B], "threshold_dice_white": [B]}``."""
        images = build_ctx.must_get("_model_input")
        grey, white = torch.stack([best_pair(*pair) for pair in zip(images, label, strict=True)]).T
        return {
            "threshold_dice": (grey + white) / 2,
            "threshold_dice_grey": grey,
            "threshold_dice_white": white,
        }


def best_pair(image: Tensor, label: Tensor) -> Tensor:
    """``[2]``: Dice of grey (1) and white matter (2) for the best pair of thresholds."""
    low, high = image.min().item(), image.max().item()
    counts = torch.stack([torch.histc(image[label == tissue].float(), LEVELS, low, high) for tissue in (0, 1, 2)])
    below = torch.nn.functional.pad(counts.double().cumsum(1), (1, 0))  # [3, LEVELS + 1], voxels darker than an edge
    size = below[:, -1]
    first, second = torch.triu_indices(LEVELS + 1, LEVELS + 1, device=image.device)
    between = below[:, second] - below[:, first]
    above = size[:, None] - below[:, second]
    grey = 2 * between[1] / (between.sum(0) + size[1])
    white = 2 * above[2] / (above.sum(0) + size[2])
    best = (grey + white).argmax()
    return torch.stack([grey[best], white[best]])
