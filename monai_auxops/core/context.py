"""The context of one iteration: what every aux-op can read, and what aux-ops store for each other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from monai_auxops.core.inputs import batches_of, count_equal_outputs, plain_tensor

T = TypeVar("T")


@contextlib.contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Disable gradients and autocast, which would change values."""
    kind = device.type
    changes = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    with torch.no_grad(), torch.autocast(kind, enabled=False) if changes else contextlib.nullcontext():
        yield


def refuse_capture(device: torch.device) -> None:
    """Raise a ``RuntimeError`` while a CUDA graph is captured.

    A replay repeats the kernels but no Python, so that it would not add to the running means.
    """
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "aux-ops cannot be part of a CUDA graph, because a replay would not add to their running means; call them "
            "after the replay on the captured tensors, or capture the functions of monai_auxops.functional"
        )


class BuildContext:
    """The batch, the loss, and the values that earlier aux-ops stored in the same iteration.

    Keys with a leading underscore are reserved: they are Clara's names for what the training loop provides. These are
    ``_model_output``, ``_label_input``, ``_model_input``, ``_loss``, ``_is_train``, ``_learning_rate`` and
    ``_data_property`` (a dict, e.g. ``{"label_format": [1, 3]}``). All other keys belong to the aux-ops.

    Args:
        predictions: raw network output ``[B, C, *S]``; the first of a list of outputs; a list of samples is stacked.
        label: class indices ``[B, 1, *S]`` / ``[B, *S]``, one-hot ``[B, C, *S]``, a vector ``[B, L]``, or None.
        loss: the training loss of the batch, if there is one.
        image: the input of the network.
        is_train: whether the batch is a training batch.
        learning_rate: the learning rate of the optimizer's first group.
        data_property: properties of the data, as in Clara's datalist.
        filenames: the file that each sample came from.
        batch: the batch as the data loader returned it.
        values: the values stored so far; shared by the contexts of one iteration.

    Examples:
        >>> import torch
        >>> ctx = BuildContext(torch.zeros(2, 3), torch.tensor([[0], [2]]))
        >>> ctx.set("hard", torch.tensor([1.0, 0.0]))
        >>> ctx.must_get("hard").mean().item(), ctx.get("_label_input").shape, ctx.get("nothing", "here")
        (0.5, torch.Size([2, 1]), 'here')

    Source: Clara Train 3.1, ``ai4med.common.build_ctx``.
    """

    def __init__(
        self,
        predictions: Tensor | Sequence[Tensor],
        label: Tensor | Sequence[Tensor] | None = None,
        *,
        loss: Tensor | None = None,
        image: Tensor | None = None,
        is_train: bool | None = None,
        learning_rate: float | None = None,
        data_property: Mapping[str, Any] | None = None,
        filenames: Sequence[str] | None = None,
        batch: Mapping[str, Any] | None = None,
        values: dict[str, Any] | None = None,
    ) -> None:
        batches = batches_of(predictions, label)
        if len(batches) > 1:
            raise ValueError("samples of different sizes do not form a batch; make one BuildContext for each of them")
        predictions, label = batches[0]
        self.equal_outputs = count_equal_outputs(predictions)
        self.predictions: Tensor = plain_tensor(predictions)
        self.label: Tensor | None = plain_tensor(label)
        self._reserved: dict[str, Any] = {
            "_model_output": self.predictions,
            "_label_input": self.label,
            "_model_input": plain_tensor(image),
            "_loss": plain_tensor(loss),
            "_is_train": is_train,
            "_learning_rate": learning_rate,
            "_data_property": dict(data_property or {}),
        }
        self.filenames, self.batch = filenames, batch or {}
        self._values = {} if values is None else values
        self._once: dict[Hashable, Any] = {}

    @staticmethod
    def is_reserved(key: str) -> bool:
        """Tell whether ``key`` belongs to the training loop: a leading underscore."""
        return key.startswith("_")

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of ``key``, or ``default``; ``KeyError`` if a reserved key is not available."""
        if self.is_reserved(key):
            if key not in self._reserved:
                raise KeyError(
                    f"the reserved key {key!r} is not available; expected one of {', '.join(self._reserved)}"
                )
            value = self._reserved[key]
            return default if value is None else value
        return self._values.get(key, default)

    def holds(self, key: object) -> bool:
        """Tell whether an aux-op of this iteration wrote ``key``."""
        return key in self._values

    def must_get(self, key: str) -> Any:
        """Return the value of ``key``; ``KeyError`` if there is none."""
        missing = object()
        value = self.get(key, missing)
        if value is missing:
            there = ", ".join(sorted(self._values)) or "nothing"
            raise KeyError(
                f"no value named {key!r} in this iteration; the aux-ops have written: {there}. "
                "Check the name, and attach the aux-op that writes it first"
            )
        return value

    def set(self, key: str, value: Any) -> None:
        """Store ``value`` for later aux-ops of this iteration; ``KeyError`` if ``key`` is reserved."""
        if self.is_reserved(key):
            raise KeyError(f"{key!r} is reserved (leading underscore); choose another key")
        self._values[key] = value

    def leave(self, values: Mapping[str, Any]) -> None:
        """Store several values at once, under keys that ``set`` has accepted before."""
        self._values.update(values)

    def must_set(self, key: str, value: Any) -> None:
        """Store ``value`` like ``set``; ``KeyError`` if ``key`` was already written."""
        if key in self._values:
            raise KeyError(f"{key!r} was already written in this iteration; each name can be written once")
        self.set(key, value)

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the result of ``compute``, which is called only for the first aux-op that asks for ``key``.

        The key must include everything the result depends on besides this context's predictions and label.
        """
        if key not in self._once:
            self._once[key] = compute()
        value: T = self._once[key]
        return value

    def from_batch(self, key: str) -> Tensor:
        """Return the tensor that an earlier aux-op wrote as ``key``, or that of the batch, on the predictions' device.

        ``ValueError`` if there is none.
        """
        value = plain_tensor(self._values.get(key, self.batch.get(key)))
        if not isinstance(value, Tensor):
            there = ", ".join(sorted({*self._values, *map(str, self.batch)})) or "nothing"
            raise ValueError(f"expected a tensor under {key!r} in the batch, which holds {there}")
        return value.to(self.predictions.device, non_blocking=True)  # an engine moves only image and label

    @property
    def batch_size(self) -> int:
        """The number of samples."""
        return int(self.predictions.shape[0])

    def require(self, predictions: Any, label: Any) -> None:
        """Raise a ``ValueError`` unless this context was made from these very tensors, by their memory and shape."""
        for name, mine, given in (("predictions", self.predictions, predictions), ("label", self.label, label)):
            if memory_of(mine) != memory_of(plain_tensor(given)):
                raise ValueError(f"build_ctx was made from another {name} tensor; make one BuildContext per batch")


def memory_of(value: Any) -> tuple[int, torch.Size] | None:
    """Return the memory address of a tensor, and its shape."""
    return (value.data_ptr(), value.shape) if isinstance(value, Tensor) else None
