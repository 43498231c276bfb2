"""What an engine leaves in its state: where predictions and label are, and how outputs stand beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def is_decollated(output: Any) -> bool:
    """Whether ``output`` is what MONAI's decollation leaves: a list with a dict per sample."""
    return isinstance(output, list) and all(isinstance(item, dict) for item in output)


def of_one(item: dict[str, Any]) -> dict[str, Any]:
    """A sample as a batch of one."""
    return {key: value[None] if isinstance(value, Tensor) else value for key, value in item.items()}


def filenames(image: Any) -> list[str] | None:
    """The file each sample of a MetaTensor batch came from."""
    names = getattr(image, "meta", {}).get("filename_or_obj")
    if names is None:
        return None
    return [str(name) for name in ([names] if isinstance(names, str) else names)]


def pick(output: Any, transform: Callable[[Any], Any] | None, who: object) -> dict[str, Any]:
    """Predictions, label and loss of an engine's output: a dict, or ``(y_pred, y[, loss])``; an error names ``who``."""
    if transform is not None:
        output = transform(output)
    if isinstance(output, tuple) and 2 <= len(output) <= 3:
        output = dict(zip(("pred", "label", "loss"), output, strict=False))
    if not isinstance(output, dict) or "pred" not in output:
        came = sorted(output) if isinstance(output, dict) else type(output).__name__
        raise ValueError(
            f"{who!r}: expected the engine's output to be a dict with 'pred' and 'label' (and 'loss') or a tuple "
            f"(y_pred, y[, loss]), got {came}; attach with output_transform= to say where they are"
        )
    return output


def as_batch(outputs: dict[str, Tensor], batch_size: int) -> dict[str, Tensor]:
    """Outputs with a batch axis: scalars and per-sample values as ``[B, 1]``, which decollates without a host sync."""
    batch: dict[str, Tensor] = {}
    for tag, value in outputs.items():
        if value.dim() == 0 or value.shape == (1,):
            batch[tag] = value.reshape(1, 1).expand(batch_size, 1)
        elif value.shape[0] == batch_size:
            batch[tag] = value[:, None] if value.dim() == 1 else value
    return batch
