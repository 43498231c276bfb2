"""The values that handlers show: losses of an iteration, running means, and values of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from monai_auxops.engine.hub import Hub

if TYPE_CHECKING:
    from ignite.engine import Engine


def loss_of(output: Any) -> Any:
    """Return the loss in an output: a dict, MONAI's decollated list of dicts, or ``(y_pred, y, loss)``; otherwise None.

    Examples:
        >>> loss_of([{"loss": 0.5}]), loss_of({"loss": 0.5}), loss_of({"pred": 1})
        (0.5, 0.5, None)
    """
    if isinstance(output, list) and output and isinstance(output[0], dict):
        output = output[0]
    if isinstance(output, dict):
        return output.get("loss")
    return output[2] if isinstance(output, tuple) and len(output) == 3 else None


def scalars_of(losses: Any, name: str) -> dict[str, Any]:
    """Return the losses that are single numbers, by name, from a (nested) dict or a single loss.

    Examples:
        >>> import torch
        >>> scalars_of({"dice": 0.25, "parts": {"ce": torch.tensor([0.5])}, "maps": torch.zeros(2)}, "loss")
        {'dice': 0.25, 'parts/ce': tensor([0.5000])}
        >>> scalars_of(1, "loss"), scalars_of(None, "loss")
        ({'loss': 1}, {})
    """
    if isinstance(losses, Mapping):
        return {
            f"{key}/{inner}" if inner else str(key): value
            for key, each in losses.items()
            for inner, value in scalars_of(each, "").items()
        }
    is_number = isinstance(losses, int | float) or (isinstance(losses, Tensor) and losses.numel() == 1)
    return {name: losses} if is_number else {}


def number_of(value: Any) -> float:
    """Return a number on the host."""
    return float(value.detach().reshape(()).item() if isinstance(value, Tensor) else value)


def metrics_of(engine: Engine, flag: str) -> dict[str, Any]:
    """Return the epoch's values by name, without ops whose ``flag`` is off, and without duplicates.

    A metric that is a dict is flattened.
    """
    hub, metrics = Hub.of(engine), dict(engine.state.metrics)
    hidden = set() if hub is None else hub.hidden_names(flag) | repeated_names(engine, hub, flag)
    return {name: value for name, value in flatten_metrics(metrics).items() if name not in hidden}


def epoch_numbers(engine: Engine, flag: str) -> dict[str, float]:
    """Return those of ``metrics_of`` that are numbers, on the host."""
    return {name: number_of(value) for name, value in metrics_of(engine, flag).items() if is_number(value)}


def repeated_names(engine: Engine, hub: Hub, flag: str) -> set[str]:
    """Return the metrics that equal another one which is shown.

    The key metric is always shown. The console then omits the other one, while a chart keeps it, because training has a
    curve of that name.
    """
    key, same, hidden = getattr(engine.state, "key_metric_name", None), hub.equal_names(), hub.hidden_names(flag)
    twice = {name for name, other in same.items() if name != key and other not in hidden}
    return twice | ({same[key]} if key in same and flag == "do_print" else set())


def flatten_metrics(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested metrics into one dict.

    Examples:
        >>> flatten_metrics({"dice": 0.5, "by": {"a": 1.0}})
        {'dice': 0.5, 'by/a': 1.0}
    """
    found: dict[str, Any] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            found |= flatten_metrics(value, f"{prefix}{name}/")
        else:
            found[f"{prefix}{name}"] = value
    return found


def is_number(value: Any) -> bool:
    """Tell whether a metric is one number, including NaN and infinity."""
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)


def running_values(handler: Any, engine: Engine, flag: str, prefix: str = "") -> dict[str, Any]:
    """Return the losses of an iteration and the running means of the aux-ops; both are shown if names collide."""
    losses = scalars_of(handler.output_transform(engine.state.output), handler.tag_name)
    hub = Hub.of(engine)
    means = {} if hub is None else {prefix + name: value for name, value in hub.running_means(flag).items()}
    return {(f"{name} (loss)" if name in means else name): value for name, value in losses.items()} | means
