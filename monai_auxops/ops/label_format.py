"""Clara's ``label_format``: one entry per label, 1 for a binary label of one logit, k for k classes of k logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from monai_auxops.core.context import BuildContext

LOG_ODDS = "log_odds"  # the context holds "<tag>/log_odds" for probabilities, because log odds never saturate


def log_odds(logits: Tensor) -> Tensor:
    """Return ``log(p / (1 - p))`` of the sigmoid of one logit, or softmax of several, ``[..., classes]`` in float64.

    Examples:
        >>> log_odds(torch.tensor([[20.0], [28.0]])).tolist(), log_odds(torch.tensor([[60.0, 0.0]])).tolist()
        ([[20.0], [28.0]], [[60.0, -60.0]])
    """
    logits = logits if logits.device.type == "mps" else logits.double()  # Apple's GPUs have no float64
    if logits.shape[-1] == 1:
        return logits
    itself = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    others = logits.unsqueeze(-2).masked_fill(itself, -torch.inf)
    return logits - others.logsumexp(-1)


def label_format_of(given: Sequence[int] | None, build_ctx: BuildContext | None) -> tuple[int, ...] | None:
    """Return the op's own ``label_format``, or the data's (``_data_property``), or None."""
    if given is None and build_ctx is not None:
        given = build_ctx.get("_data_property", {}).get("label_format")
        check_label_format(given)
    return None if given is None else tuple(given)


def split_labels(predictions: Tensor, labels: Tensor, label_format: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """Return logits ``[B, k]`` and values ``[B]`` of each label; ``ValueError`` if shapes do not fit.

    Examples:
        >>> import torch
        >>> pairs = split_labels(torch.zeros(2, 4), torch.tensor([[2, 1], [0, 0]]), [3, 1])
        >>> [(logits.shape[1], label.tolist()) for logits, label in pairs]
        [(3, [2, 0]), (1, [1, 0])]
    """
    if labels is None:
        raise ValueError("expected labels [B, L], got None")
    labels = labels[:, None] if labels.dim() == 1 else labels
    predictions = predictions[:, None] if predictions.dim() == 1 else predictions
    size = len(predictions)
    expected = ([size, sum(label_format)], [size, len(label_format)])
    came = (list(predictions.shape), list(labels.shape))
    if came != expected:
        raise ValueError(
            f"label_format {list(label_format)} expects predictions {expected[0]} and labels {expected[1]}, "
            f"got {came[0]} and {came[1]}"
        )
    return list(zip(predictions.split(list(label_format), 1), labels.unbind(1), strict=True))


class Alike(NamedTuple):
    """Labels of equally many classes: logits ``[B, n, classes]`` and values ``[B, n]``."""

    classes: int
    logits: Tensor
    values: Tensor


def join_alike(predictions: Tensor, labels: Tensor, label_format: Sequence[int]) -> list[Alike]:
    """Join labels of equally many classes, so that 14 binary labels take as many operations as one.

    Raises:
        ValueError: shapes that do not fit.

    Examples:
        >>> import torch
        >>> alike = join_alike(torch.zeros(2, 5), torch.tensor([[0, 2, 1], [1, 0, 0]]), [1, 3, 1])
        >>> [(classes, list(logits.shape), values.tolist()) for classes, logits, values in alike]
        [(1, [2, 2, 1], [[0, 1], [1, 0]]), (3, [2, 1, 3], [[2], [0]])]
    """
    pairs = split_labels(predictions, labels, label_format)
    found = []
    for k in dict.fromkeys(label_format):
        mine = [pair for pair, classes in zip(pairs, label_format, strict=True) if classes == k]
        logits, values = zip(*mine, strict=True)
        found.append(Alike(k, torch.stack(logits, 1), torch.stack(values, 1)))
    return found


def in_order(alike: Sequence[Tensor], label_format: Sequence[int]) -> Tensor:
    """Return the columns of joined labels, ``[B, n, classes]`` each, in the order of ``label_format``.

    Examples:
        >>> import torch
        >>> in_order([torch.tensor([[[1], [2]]]), torch.tensor([[[3, 4, 5]]])], [1, 3, 1])
        tensor([[1, 3, 4, 5, 2]])
    """
    columns = {k: iter(joined.unbind(1)) for k, joined in zip(dict.fromkeys(label_format), alike, strict=True)}
    return torch.cat([next(columns[k]) for k in label_format], 1)


def class_mask(label: Tensor, classes: int) -> Tensor:
    """Return where a label is one of its classes (0 or 1 if binary): not NaN, negative, fractional or too large."""
    top = max(classes, 2) - 1
    label = widen(label)
    whole = label == label.round() if label.is_floating_point() and classes > 1 else ~label.isnan()
    return (label >= 0) & (label <= top) & whole


def widen(label: Tensor) -> Tensor:
    """Convert ``label`` to a dtype that holds every class: in uint8 299 would become 43, in bfloat16 300."""
    if label.is_floating_point():
        return label if label.dtype in (torch.float32, torch.float64) else label.float()
    return label.long()


def check_label_format(label_format: Sequence[int] | None, op: object = None) -> None:
    """Raise a ``ValueError`` that names ``op`` unless ``label_format`` is None or a list of positive integers."""
    if label_format is None:
        return
    if not (isinstance(label_format, Sequence) and label_format and all(is_count(k) for k in label_format)):
        who = "" if op is None else f"{op!r}: "
        raise ValueError(f"{who}expected label_format to be a list of positive integers, got {label_format!r}")


def is_count(value: object) -> bool:
    """Tell whether ``value`` is a positive integer."""
    return isinstance(value, int) and value > 0
