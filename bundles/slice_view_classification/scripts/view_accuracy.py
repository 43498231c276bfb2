"""An aux-op of this bundle's own: the accuracy of the first label alone."""

from torch import Tensor

from monai_auxops import AuxiliaryOperation, BuildContext


class ViewAccuracy(AuxiliaryOperation):
    """1 for each slice whose view the network names right, else 0."""

    def get_output_tensors(self, predictions: Tensor, label: Tensor, build_ctx: BuildContext) -> dict[str, Tensor]:
        """``{"view_accuracy": [B]}``, from logits ``[B, 3 + 1]`` and labels ``[B, 2]``."""
        return {"view_accuracy": (predictions[:, :3].argmax(1) == label[:, 0]).float()}
