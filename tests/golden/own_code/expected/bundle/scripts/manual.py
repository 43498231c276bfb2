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
        """The loss of a batch; pred holds logits."""
        raise _to_complete('ClaraTverskyLoss')


class ClaraWindowing:
    """my_transforms.Windowing, transform."""

    def __init__(self, **args: object) -> None:
        raise _to_complete('ClaraWindowing')

    def __call__(self, data: dict) -> dict:
        """The item with its fields changed."""
        raise _to_complete('ClaraWindowing')
