"""Classes to complete: Clara Train components without a counterpart in MONAI. See docs/README.md."""

import torch


def _to_complete(name: str) -> NotImplementedError:
    return NotImplementedError(f"complete {name} in scripts/manual.py: Clara's class was TensorFlow code or is unknown")


class ClaraTverskyLoss(torch.nn.Module):
    """my_losses.TverskyLoss, loss."""

    def __init__(self, **args: object) -> None:
        super().__init__()
        raise _to_complete('ClaraTverskyLoss')

    def forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits [B, 2, 32, 32, 32] and the label, a scalar."""
        raise _to_complete('ClaraTverskyLoss')


class ClaraWindowing:
    """my_transforms.Windowing, transform."""

    def __init__(self, **args: object) -> None:
        raise _to_complete('ClaraWindowing')

    def __call__(self, data: dict) -> dict:
        """Return the item with its fields changed. Its keys are image, label and pred (Clara's model)."""
        raise _to_complete('ClaraWindowing')
