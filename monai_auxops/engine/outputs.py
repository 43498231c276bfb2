"""The output in an engine's state: where predictions and label are, and how aux-op outputs are added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor

from monai_auxops.core.inputs import loss_values

Transform = Callable[[Any], Any]


def is_decollated(output: Any) -> bool:
    """Tell whether ``output`` is a decollated batch as MONAI makes it: a list with a dict per sample."""
    return isinstance(output, list) and all(isinstance(item, dict) for item in output)


def as_batch_of_one(item: dict[str, Any]) -> dict[str, Any]:
    """Return a sample as a batch of one; so is each output of a list (deep supervision)."""
    return {key: _with_batch_axis(value) for key, value in item.items()}


def _with_batch_axis(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value[None]
    if isinstance(value, list | tuple) and value and all(isinstance(each, Tensor) for each in value):
        return [each[None] for each in value]
    return value


def outputs_of_sample(values: dict[str, Any], i: int, size: int) -> dict[str, Any]:
    """Return aux-op outputs of the i-th of ``size`` samples as a batch of one; other values are unchanged."""

    def row_of(value: Any) -> Any:
        has_batch_axis = isinstance(value, Tensor) and value.dim() > 0 and len(value) == size
        return value[i : i + 1] if has_batch_axis else value

    return {key: row_of(value) for key, value in values.items()}


def filenames(image: Any) -> list[str] | None:
    """Return the file that each sample of a MetaTensor batch came from."""
    names = getattr(image, "meta", {}).get("filename_or_obj")
    if names is None:
        return None
    return [str(name) for name in ([names] if isinstance(names, str) else names)]


def split_output(output: Any, transform: Transform | str | int | None, who: object) -> dict[str, Any]:
    """Return predictions, label and loss from an engine's output: a dict, or ``(y_pred, y[, loss])``.

    Args:
        output: what the engine's step returned.
        transform: maps another output to one of these; a key or index selects a part of the predictions.
        who: the op to name in errors.
    """
    if callable(transform):
        output = transform(output)
    if isinstance(output, tuple) and 2 <= len(output) <= 3:
        output = dict(zip(("pred", "label", "loss"), output, strict=False))
    if is_loss_alone(output, who):
        return {**output, "pred": _batch_of(output, who), "label": None}
    if not isinstance(output, dict) or "pred" not in output:
        came = sorted(output) if isinstance(output, dict) else type(output).__name__
        raise ValueError(
            f"{who!r}: expected the engine's output to be a dict with 'pred' and 'label' (and 'loss') or a tuple "
            f"(y_pred, y[, loss]), got {came}; attach with output_transform= to say where they are"
        )
    if isinstance(transform, str | int):
        return {**output, "pred": _part_of_predictions(output["pred"], transform, who)}
    return output


def is_loss_alone(output: Any, who: object) -> bool:
    """Tell whether an op that needs only the loss meets an output without predictions, as detection engines have."""
    has_loss = lacks_predictions(output) and output.get("loss") is not None
    return has_loss and getattr(who, "reads_loss_alone", False)


def lacks_predictions(output: Any) -> bool:
    """Tell whether an engine's output is a dict without predictions."""
    return isinstance(output, dict) and "pred" not in output


def _batch_of(output: dict[str, Any], who: object) -> Tensor:
    """Return a tensor with the batch axis, which says how many samples the loss is of."""
    for key in ("image", "label"):
        if isinstance(output.get(key), Tensor) and output[key].dim() > 0:
            return cast("Tensor", output[key])
    try:
        return loss_values(output["loss"]).reshape(-1)
    except ValueError as error:
        raise ValueError(f"{who!r}: {error}") from None


def _part_of_predictions(predictions: Any, key: str | int, who: object) -> Any:
    if isinstance(predictions, Tensor):
        return predictions  # many networks return several outputs in training only
    try:
        return predictions[key]
    except (KeyError, IndexError, TypeError):
        came = sorted(predictions) if isinstance(predictions, dict) else type(predictions).__name__
        raise ValueError(
            f"{who!r}: expected output_transform={key!r} to be in the network's output, got {came}"
        ) from None


def as_batch(outputs: dict[str, Tensor], batch_size: int) -> dict[str, Tensor]:
    """Give scalars and per-sample values the shape ``[B, 1]``, which decollates without a host synchronization."""
    batch: dict[str, Tensor] = {}
    for tag, value in outputs.items():
        shape = value.shape
        if shape == (batch_size,):
            batch[tag] = value.unsqueeze(1)
        elif shape in ((), (1,)):
            batch[tag] = value.reshape(1, 1).expand(batch_size, 1)
        elif shape[0] == batch_size:
            batch[tag] = value
    return batch
