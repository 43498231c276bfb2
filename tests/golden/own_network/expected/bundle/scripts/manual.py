"""Classes to complete: Clara Train components without a counterpart in MONAI. See docs/README.md."""

import torch


def _to_complete(name: str) -> NotImplementedError:
    return NotImplementedError(f"complete {name} in scripts/manual.py: Clara's class was TensorFlow code or is unknown")


class ClaraComputeDice:
    """my.ops.ComputeDice, aux_op."""

    def __init__(self, **args: object) -> None:
        raise _to_complete('ClaraComputeDice')

    def __call__(self, *args: object) -> object:
        """See the class that it replaces."""
        raise _to_complete('ClaraComputeDice')


class ClaraSegResnet(torch.nn.Module):
    """nets.mine.SegResnet, model."""

    def __init__(self, **args: object) -> None:
        super().__init__()
        raise _to_complete('ClaraSegResnet')

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits [B, 3, 32, 32, 32] of images [B, 1, 32, 32, 32], without an activation."""
        raise _to_complete('ClaraSegResnet')


class ClaraSmooth:
    """my_transforms.Smooth, transform."""

    def __init__(self, **args: object) -> None:
        raise _to_complete('ClaraSmooth')

    def __call__(self, data: dict) -> dict:
        """Return the item with its fields changed. Its keys are image, label and pred (Clara's model)."""
        raise _to_complete('ClaraSmooth')


class ClaraWindow:
    """my_transforms.Window, transform."""

    def __init__(self, **args: object) -> None:
        raise _to_complete('ClaraWindow')

    def __call__(self, data: dict) -> dict:
        """Return the item with its fields changed. Its keys are image, label and pred (Clara's model)."""
        raise _to_complete('ClaraWindow')
