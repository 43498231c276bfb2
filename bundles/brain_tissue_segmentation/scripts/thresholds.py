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
        grey, white = torch.tensor([best_pair(*pair)[:2] for pair in zip(images, label, strict=True)]).T
        return {
            "threshold_dice": (grey + white) / 2,
            "threshold_dice_grey": grey,
            "threshold_dice_white": white,
        }


def best_pair(image: Tensor, label: Tensor) -> tuple[float, float, float, float]:
    """Dice of grey (1) and white matter (2) for the best pair of thresholds, and the two thresholds."""
    low, high = image.min().item(), image.max().item()
    counts = torch.stack([torch.histc(image[label == tissue].float(), LEVELS, low, high) for tissue in (0, 1, 2)])
    darker = torch.nn.functional.pad(counts.double().cumsum(1), (1, 0))  # [3, LEVELS + 1], voxels below each edge
    size = darker[:, -1]
    first, second = torch.triu_indices(LEVELS + 1, LEVELS + 1, device=image.device)
    between, above = darker[:, second] - darker[:, first], size[:, None] - darker[:, second]
    grey = 2 * between[1] / (between.sum(0) + size[1])
    white = 2 * above[2] / (above.sum(0) + size[2])
    best, edges = (grey + white).argmax(), torch.linspace(low, high, LEVELS + 1)
    return grey[best].item(), white[best].item(), edges[first[best]].item(), edges[second[best]].item()


def thresholded(image: Tensor, first: float, second: float) -> Tensor:
    """Return the tissue of each voxel: 1 from the first threshold, 2 from the second."""
    return (image >= first).int() + (image >= second).int()
