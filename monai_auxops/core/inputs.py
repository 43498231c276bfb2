"""Predictions and labels as callers pass them: tensors, lists of outputs, or lists of samples."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from torch import Tensor


def plain_tensor(value: Any) -> Any:
    """Return the first of a list of outputs (deep supervision), detached, as a plain tensor instead of a MetaTensor."""
    if is_list(value) and len(value):
        value = value[0]
    if isinstance(value, MetaTensor):
        value = value.as_tensor()
    return value.detach() if isinstance(value, Tensor) and value.requires_grad else value


def is_list(value: Any) -> bool:
    """Tell whether ``value`` is a list or tuple."""
    return isinstance(value, list | tuple)


def batches_of(predictions: Any, label: Any) -> list[tuple[Any, Any]]:
    """Return predictions and label as one batch, or as batches of one if samples in a list differ in size.

    A list as label holds samples, and so do predictions without a batch axis next to a batched label. Samples of equal
    size are stacked. Any other list of predictions is kept: it holds outputs of a network, and the first is used.

    Examples:
        >>> ones = torch.ones(1, 4)
        >>> [(x.shape, y.shape) for x, y in batches_of([ones, ones], [ones, ones])]
        [(torch.Size([2, 1, 4]), torch.Size([2, 1, 4]))]
        >>> len(batches_of([ones, ones[:, :2]], [ones, ones[:, :2]]))
        2
    """
    if not is_list(label) and not (is_list(predictions) and _are_samples(predictions, label)):
        return [(predictions, label)]
    if is_list(predictions) and is_list(label) and _is_batched(predictions[0], label):
        predictions = predictions[0]  # several outputs, each a batch: use the first
    pairs = list(zip(predictions, label, strict=False))
    tensors = all(isinstance(x, Tensor) and isinstance(y, Tensor) for x, y in pairs)
    if not tensors or len(predictions) != len(label) or not pairs:
        raise ValueError(
            f"expected as many predictions as labels, all of them tensors, got {_shape_text(predictions)} and "
            f"{_shape_text(label)}"
        )
    samples = [(plain_tensor(x), plain_tensor(y)) for x, y in pairs]
    if len({(x.shape, y.shape) for x, y in samples}) > 1:
        return [(x[None], y[None]) for x, y in samples]
    return [(torch.stack([x for x, _ in samples]), torch.stack([y for _, y in samples]))]


def _are_samples(predictions: Sequence[Any], label: Any) -> bool:
    """Tell whether the tensors of a list are samples ``[C, *S]`` of the batch ``label`` instead of batches."""
    if not (isinstance(label, Tensor) and label.dim() and len(predictions) == len(label)):
        return False
    first = predictions[0]
    if not isinstance(first, Tensor) or first.dim() > label.dim():
        return False
    if first.dim() < label.dim():
        return True
    batched = len(first) == len(label) and first.shape[2:] == label.shape[2:]
    return not batched and first.shape[1:] == label.shape[1:]  # a label without channels


def _is_batched(predictions: Any, labels: Sequence[Any]) -> bool:
    return (
        isinstance(predictions, Tensor)
        and isinstance(labels[0] if labels else None, Tensor)
        and predictions.dim() == labels[0].dim() + 1
        and len(predictions) == len(labels)
    )


def count_equal_outputs(predictions: Any) -> int:
    """Count the outputs in a list if they have one size, which cannot tell which one is meant; otherwise return 0.

    Examples:
        >>> count_equal_outputs([torch.zeros(1, 2, 8), torch.zeros(1, 2, 8)])
        2
        >>> count_equal_outputs([torch.zeros(8), torch.zeros(4)])
        0
    """
    if not is_list(predictions) or len(predictions) < 2:
        return 0
    shapes = [x.shape for x in predictions if isinstance(x, Tensor)]
    return len(shapes) if len(shapes) == len(predictions) and len(set(shapes)) == 1 else 0


def _shape_text(value: Any) -> str:
    if is_list(value):
        kinds = sorted({type(each).__name__ for each in value})
        return f"a list of {len(value)} ({', '.join(kinds)})"
    return f"{type(value).__name__} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


@contextlib.contextmanager
def naming_errors(op: object) -> Iterator[None]:
    """Prefix a ``ValueError`` with the op's name."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{op!r}: {error}") from None


def loss_values(loss: object, device: torch.device | None = None) -> Tensor:
    """Return a loss as float32: a number, or a value per sample.

    Raises:
        ValueError: several losses in a dict, or anything else that is no number.
    """
    try:
        return torch.as_tensor(loss, dtype=torch.float32, device=device)
    except (TypeError, ValueError, RuntimeError):
        came = sorted(loss) if isinstance(loss, dict) else type(loss).__name__
        text = f"expected the loss to be a number or a tensor, got {came}; pass output_transform= to say where it is"
        raise ValueError(text) from None
